"""Hybrid search: BM25 and vectors, against each alone: `python benchmarks/hybrid.py RUN products.csv`.

Known products are searched among the catalog's `test` rows: by three words of their text drawn by chance,
by their rarest word (as a model number would be), and by their title with half its words spelled wrongly.
Writes a section of RESULTS.md.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

import aisle
from aisle import search
from aisle.data import Product
from aisle.metrics import paired_bootstrap
from aisle.metrics.retrieval import reciprocal_rank, shared_path
from aisle.models.features import FeatureStore
from aisle.search.bm25 import words_of
from aisle.workflow import part
from results import machine, write_section

N_QUERIES, K = 300, 10
WAYS = ("vectors", "words", "both")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    args = parser.parse_args()
    catalog = part(aisle.read(args.data), "test")
    model = aisle.load(args.run).with_store(FeatureStore())
    rng = np.random.default_rng(0)
    products = list(catalog)
    texts = [words_of(f"{p.fields.get('title', '')} {p.fields.get('description', '')}") for p in products]
    spread = Counter(word for text in texts for word in set(text))
    chosen = rng.permutation([i for i, text in enumerate(texts) if len(set(text)) >= 6])[:N_QUERIES]

    def some(i: int) -> str:
        return " ".join(rng.choice(sorted(set(texts[i])), 3, replace=False))

    def rarest(i: int) -> str:
        return min(sorted(set(texts[i])), key=lambda word: (spread[word], -len(word)))

    def misspelled(i: int) -> str:
        words = products[i].fields.get("title", "").split() or texts[i][:4]
        return " ".join(w if len(w) < 4 or k % 2 else w[:1] + w[2:] for k, w in enumerate(words))

    kinds: dict[str, Callable[[int], str]] = {
        "three words of its text": some,
        "its rarest word": rarest,
        "its title, half misspelled": misspelled,
    }
    node, tree = catalog.targets().node, catalog.taxonomy
    place = {p.id: i for i, p in enumerate(products)}
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        index = search.build(model, catalog, Path(folder) / "index", run=args.run)
        for kind, said in kinds.items():
            queries = [Product("q", {"title": said(int(i))}) for i in chosen]
            found: dict[str, np.ndarray] = {}
            alike: dict[str, float] = {}
            for by in WAYS:
                hits = index.search(queries, K, mode=by)  # type: ignore[arg-type]
                rows = [[place[hit.id] for hit in one] for one in hits]
                own = np.zeros((len(chosen), K), bool)
                for q, (one, i) in enumerate(zip(rows, chosen, strict=True)):
                    own[q, : len(one)] = [row == i for row in one]
                found[by] = reciprocal_rank(own)
                shared = [
                    shared_path(tree.ancestors, node[[i]], node[one][None])[0].mean() if one else 0.0
                    for one, i in zip(rows, chosen, strict=True)
                    if node[i] >= 0
                ]
                alike[by] = float(np.mean(shared))
            gains = [paired_bootstrap(found["both"], found[by]) for by in WAYS[:2]]
            cells = [f"{found[by].mean():.3f} / {alike[by]:.3f}" for by in WAYS]
            cells += [f"{g.value:+.3f} ({g.low:+.3f} to {g.high:+.3f})" for g in gains]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    about = (
        f"`benchmarks/hybrid.py`, recipe `{model.results.get('recipe', '?')}`: {len(chosen)} products "
        f"searched among {len(products):,} `test` rows of `{args.data.parent.name}`. MRR@{K} of the product "
        f"/ share of the path that hits have in common with it; then the gain of "
        f"both over each alone. {machine()}."
    )
    head = "| query | vectors | words | both | gain over vectors | gain over BM25 |"
    table = [head, "|---|---|---|---|---|---|", *lines]
    write_section("hybrid", "\n".join(["## Hybrid search: BM25 and vectors", "", about, "", *table]))


if __name__ == "__main__":
    main()
