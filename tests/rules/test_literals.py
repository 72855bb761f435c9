"""What patterns cannot match without, and where they need no time limit."""

import pytest

from aisle.rules.literals import longest_safe_text, required_literals


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"\bÉcole\s+2", (("ecole",), ("2",))),
        ("(foo|barn)?x", (("x",),)),
        ("(foo|barn)+x", (("foo", "barn"), ("x",))),
        ("a*", ()),
        ("(?:abc){e<=1}", ()),
        ("(", ()),
    ],
)
def test_literals_of_every_match(pattern, groups):
    assert required_literals(pattern) == groups


def test_patterns_that_may_run_away_always_have_a_time_limit():
    for pattern in ("(a+)+$", "(a|aa)+b", "(?:a|aa)+", r"(\w+\s?)*x", "a(?=b+)", r"(a*)\1", "(x{2}y)+", "("):
        assert longest_safe_text(pattern) == 0, pattern


def test_simple_patterns_need_none_on_titles():
    for pattern in ("nike", r"\d{3}-\d+", r"\ba\W+(\w+\W+)?b\b", "size (3[89]|4[0-2])"):
        assert 80 <= longest_safe_text(pattern) <= 5_000_000, pattern
