"""How many examples a Hypothesis test draws: all in `make test`, a quarter in `make quick`."""

from hypothesis import settings


def examples(full):
    """The number of examples to draw, of `full`."""
    return full // 4 if settings.get_current_profile_name() == "quick" else full
