"""Names groups of titles by their own words."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import CountVectorizer

from aisle.mapping.sides import words

_MIN_NAME_SHARE = 0.3  # share of a group's titles that have each word of its name
_MAX_NAME_WORDS = 3  # of a name, at most
_MIN_LIFT = 2.0  # how much more frequent a typical word is in a group than in the other titles, at least


def terms(title: str) -> list[str]:
    """The words of a title, without numbers, single letters, case, accents and plural endings."""
    return [word for word in words(title) if not word.isdecimal() and (len(word) > 1 or ord(word) > 0x2E80)]


def typical_words(titles: Sequence[str], group: np.ndarray, n_words: int = 5) -> list[list[str]]:
    """The words that tell each group from the others, by class-based TF-IDF (Grootendorst 2022), best first.

    Args:
        titles: n titles.
        group: (n,) numbers of groups from 0; -1: in no group, which counts as a group of its own.
        n_words: words of a group.

    Returns:
        Folded words of each group; none but the first is in one title only, or as frequent in other titles.
    """
    groups = int(group.max(initial=-1)) + 1
    options: dict[str, Any] = {"analyzer": terms, "binary": True}
    counter = CountVectorizer(**options)
    try:
        counts = sparse.csr_matrix(counter.fit_transform(titles))
    except ValueError:  # no title has a word
        return [[] for _ in range(groups)]
    group_id = np.where(group < 0, groups, group)
    one_hot = sparse.csr_matrix(
        (np.ones(len(group_id)), (group_id, np.arange(len(group_id)))), (groups + 1, len(group_id))
    )
    group_counts = sparse.csr_matrix(one_hot @ counts).toarray()  # (groups + 1, words)
    size = np.maximum(group_counts.sum(1, keepdims=True), 1)
    members = np.maximum(np.bincount(group_id, minlength=groups + 1), 1)[:, None]
    others = np.maximum(len(titles) - members, 1)
    typical = (group_counts >= 2) & (
        group_counts / members >= _MIN_LIFT * (group_counts.sum(0) - group_counts) / others
    )
    score = group_counts / size * np.log1p(size.mean() / group_counts.sum(0)) * np.where(typical, 1.0, 1e-6)
    names = counter.get_feature_names_out()
    best = np.argsort(-score[:groups], axis=1, kind="stable")[:, :n_words]
    return [
        [str(names[k]) for k in row if typical[g, k] or (k == row[0] and group_counts[g, k])]
        for g, row in enumerate(best)
    ]


def group_name(typical: Sequence[str], titles: Sequence[str]) -> str:
    """The typical words that 30 % of a group's titles have, else the first one, as titles write them.

    Args:
        typical: words of the group, best first.
        titles: its titles.
    """
    document_frequency = Counter(word for title in titles for word in set(terms(title)))
    frequent = [word for word in typical if document_frequency[word] >= _MIN_NAME_SHARE * len(titles)]
    name = as_written((frequent or list(typical[:1]))[:_MAX_NAME_WORDS], titles)
    return name[:1].upper() + name[1:]


def as_written(stems: Iterable[str], titles: Sequence[str]) -> str:
    """The words of a group as most titles write them, in their order there."""
    forms: dict[str, Counter[str]] = {stem: Counter() for stem in stems}
    positions: dict[str, list[int]] = {stem: [] for stem in forms}
    for title in titles:
        for position, word in enumerate(re.findall(r"\w+", title)):
            for stem in words(word):
                if stem in forms:
                    forms[stem][word.casefold()] += 1
                    positions[stem].append(position)
    order = sorted(forms, key=lambda stem: (float(np.mean(positions[stem] or [99])), stem))
    return " ".join(forms[stem].most_common(1)[0][0] for stem in order if forms[stem])
