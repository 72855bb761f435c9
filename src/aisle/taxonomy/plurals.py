"""Plural endings of words in category names."""


def singular(word: str) -> str:
    """An English word without its plural ending; other words lose a final s at most.

    Args:
        word: In lower case.
    """
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
