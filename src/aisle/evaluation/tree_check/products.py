"""Findings that need products: leaves without them, leaves that are confused, and catch-all categories."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.cluster import HDBSCAN
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from aisle.evaluation.cluster_names import as_written, terms
from aisle.evaluation.tree_check.findings import TreeFinding
from aisle.mapping.sides import words
from aisle.taxonomy import Taxonomy, format_path

_CATCH_ALL = re.compile(
    r"\b(?:other|others|misc|miscellaneous|various|uncategori[sz]ed|assorted|sonstige\w*|andere\w*|diverse\w*|"
    r"verschiedene\w*|autres?|divers|otr[oa]s|varios|altr[oi]|varie|outros|diversos|overig\w*|inne|pozosta\w*|"
    r"övrig\w*|прочее|прочие|другие|diğer|muut)\b|その他|其他|其它|기타",
    re.IGNORECASE,
)
_MOST_TITLES = 5_000  # of a catch-all that are clustered
_DIMENSIONS = 40
_CLUSTER = 8  # products of a cluster, at least
_CLUSTER_SHARE = 0.05  # of a catch-all's products that a cluster has, at least
_FEWEST = 5  # products of two categories that are confused, at least
_MAX_EXAMPLES = 5
_MAX_NAME_WORDS = 3  # words that name a group
_MIN_SHARE, _MIN_LIFT = 0.5, 12.0  # share of a group that has such a word, and how much more than of others


def size_findings(
    tree: Taxonomy, titles: Mapping[int, Sequence[str]], min_products: int
) -> Iterator[TreeFinding]:
    """Leaves with no product, or with fewer than `min_products`.

    Args:
        tree: the tree.
        titles: of the products of exactly each node.
        min_products: products that a leaf has at least.
    """
    for node in range(len(tree)):
        if tree.children[node] or len(leaf_titles := titles.get(node, ())) >= min_products:
            continue
        target = _nearest(tree, node)
        kind = "tiny leaf" if leaf_titles else "empty leaf"
        yield TreeFinding(
            kind=kind,
            categories=(format_path(tree.nodes[node].path),),
            message=f"it has {len(leaf_titles)} products" if len(leaf_titles) != 1 else "it has one product",
            proposal=f"merge it into {target!r}"
            if leaf_titles
            else f"remove it, or merge it into {target!r}",
            examples=tuple(leaf_titles[:_MAX_EXAMPLES]),
            products=len(leaf_titles),
        )


def _nearest(tree: Taxonomy, node: int) -> str:
    """The sibling that shares most words with a leaf, else its parent."""
    parent = int(tree.parent[node])
    siblings = tree.children[parent] if parent >= 0 else [int(n) for n in tree.level(1)]
    leaf_words = set(words(tree.nodes[node].name))
    shared = {
        n: len(leaf_words & set(words(tree.nodes[n].name)))
        for n in siblings
        if n != node and not tree.children[n]
    }
    best = max(shared, key=lambda n: shared[n], default=parent)
    if shared.get(best, 0) == 0:
        best = parent
    return format_path(tree.nodes[best].path) if best >= 0 else "another category"


def confusion_findings(
    tree: Taxonomy, truth: np.ndarray, predicted: np.ndarray, titles: Sequence[str], min_share: float
) -> Iterator[TreeFinding]:
    """Pairs of categories of which so many products get the other one.

    Args:
        tree: the tree.
        truth: (n,) node of each product.
        predicted: (n,) node that a model which was not trained on it gives.
        titles: of the n products.
        min_share: of the products of both that are confused.
    """
    wrong = np.flatnonzero((truth >= 0) & (predicted >= 0) & (truth != predicted))
    pairs: dict[tuple[int, int], list[int]] = {}
    for row in wrong.tolist():
        a, b = sorted((int(truth[row]), int(predicted[row])))
        pairs.setdefault((a, b), []).append(row)
    size = np.bincount(truth[truth >= 0], minlength=len(tree))
    rates = {pair: len(rows) / max(int(size[list(pair)].sum()), 1) for pair, rows in pairs.items()}
    for pair in sorted(rates, key=lambda pair: -rates[pair]):
        rows = pairs[pair]
        if rates[pair] < min_share or len(rows) < _FEWEST:
            continue
        names = [format_path(tree.nodes[n].path) for n in pair]
        larger = names[int(size[pair[1]] > size[pair[0]])]
        siblings = tree.parent[pair[0]] == tree.parent[pair[1]]
        yield TreeFinding(
            kind="confused leaves",
            categories=tuple(names),
            message=f"{rates[pair]:.0%} of their products are taken for the other one ({len(rows)})",
            proposal=f"merge them into {larger!r}"
            if siblings
            else "check the labels of the examples, or merge the two",
            examples=tuple(titles[row] for row in rows[:_MAX_EXAMPLES]),
            products=int(size[list(pair)].sum()),
        )


def catch_all_findings(tree: Taxonomy, titles: Mapping[int, Sequence[str]]) -> Iterator[TreeFinding]:
    """Categories such as `Other` whose products form clear clusters.

    Titles become TF-IDF vectors of words, reduced by SVD, and are clustered by HDBSCAN.

    Args:
        tree: the tree.
        titles: of the products of exactly each node.
    """
    for node, own_titles in sorted(titles.items()):
        if not _CATCH_ALL.search(tree.nodes[node].name) or len(own_titles) < 2 * _CLUSTER:
            continue
        word_shares = _word_shares(
            [title for other, other_titles in titles.items() if other != node for title in other_titles]
        )
        clusters = title_clusters(
            own_titles[:_MOST_TITLES], max(_CLUSTER, int(_CLUSTER_SHARE * len(own_titles))), word_shares
        )
        if not clusters:
            continue
        path = format_path(tree.nodes[node].path)
        described = [
            f"{name!r} ({len(rows)}{_existing_category(tree, node, name)})" for name, rows in clusters
        ]
        clustered = sum(len(rows) for _, rows in clusters)
        yield TreeFinding(
            kind="catch-all with clusters",
            categories=(path,),
            message=f"{clustered} of its {len(own_titles)} products are in clear groups ({len(clusters)})",
            proposal=f"give them categories of their own: {', '.join(described)}",
            examples=tuple(f"{name}: {own_titles[rows[0]]}" for name, rows in clusters),
            products=clustered,
        )


def _word_shares(titles: Sequence[str]) -> dict[str, float]:
    """The share of titles that have a word."""
    counts = Counter(word for title in titles for word in set(words(title)))
    return {word: count / len(titles) for word, count in counts.items()}


def _existing_category(tree: Taxonomy, node: int, name: str) -> str:
    """An existing category that a cluster may belong to."""
    cluster_words = set(words(name))
    for other in range(len(tree)):
        category_words = set(words(tree.nodes[other].name))
        if other != node and category_words and category_words <= cluster_words:
            return f", or move them to {format_path(tree.nodes[other].path)!r}"
    return ""


def title_clusters(
    titles: Sequence[str], min_size: int, word_shares: Mapping[str, float] | None = None
) -> list[tuple[str, list[int]]]:
    """Clear groups of titles: their words, and their rows; the largest first.

    Args:
        titles: n titles.
        min_size: titles of a group at least.
        word_shares: share of all other titles that have a word; words that are not far more typical of a
            group do not name it.
    """
    options: dict[str, Any] = {"analyzer": terms, "min_df": 2, "sublinear_tf": True}
    vectorizer = TfidfVectorizer(**options)
    try:
        x = sparse.csr_matrix(vectorizer.fit_transform(titles))
    except ValueError:  # no word occurs twice
        return []
    names: list[str] = list(vectorizer.get_feature_names_out())
    if len(names) < 3:
        return []
    size = min(_DIMENSIONS, len(names) - 1)
    z = normalize(TruncatedSVD(size, random_state=0).fit_transform(x))
    settings: dict[str, Any] = {"min_cluster_size": min_size, "min_samples": min(5, min_size), "copy": True}
    clusterer: Any = HDBSCAN(**settings)
    label: np.ndarray = clusterer.fit_predict(np.array(z))
    clusters: list[tuple[str, list[int]]] = []
    for one in range(label.max(initial=-1) + 1):
        rows: list[int] = np.flatnonzero(label == one).tolist()
        word_share = np.asarray((x[rows] > 0).mean(0)).ravel()
        lift = word_share / np.array([max((word_shares or {}).get(name, 0.0), 1e-6) for name in names])
        typical = [k for k in range(len(names)) if word_share[k] >= _MIN_SHARE and lift[k] >= _MIN_LIFT]
        if typical:  # else there is nothing that they have in common
            best = {names[k] for k in sorted(typical, key=lambda k: -word_share[k])[:_MAX_NAME_WORDS]}
            clusters.append((as_written(best, [titles[row] for row in rows]), rows))
    return sorted(clusters, key=lambda each: -len(each[1]))
