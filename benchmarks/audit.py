"""Does the audit find labels known to be wrong? `python benchmarks/audit.py [SET …]` writes a section each.

Labels of real training rows are changed at random: to another product's (random), a sibling's (sibling), or
to one below a sibling of the parent (parent). Average precision of the audit, and of three of cleanlab's
scores on the same out-of-fold probabilities, tempered so that they are calibrated; then models are trained on
the changed labels, on what the audit made of them, and without what it calls likely wrong, and evaluated
on test rows.
"""

import argparse
import json
import pickle
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from cleanlab.rank import get_label_quality_scores
from scipy.optimize import minimize_scalar
from sklearn.metrics import average_precision_score

from aisle.data import Catalog, read
from aisle.data.splits import folds
from aisle.evaluation.audit.candidates import AuditCases, audit_cases, relative
from aisle.evaluation.audit.evidence import Evidence, gather
from aisle.evaluation.audit.label_scores import LabelScores, score_labels
from aisle.metrics import paired_bootstrap
from aisle.taxonomy import Taxonomy
from aisle.training.fit import fit
from aisle.training.stacking import fold_models
from aisle.workflow import part, resolve
from results import SHARED, machine, write_section

FILES = {"marketplace": "marketplace/products.csv", "fashion": "fashion/products.parquet"}
KINDS = {"random": 0, "sibling": 1, "parent": 2}
RATES = (0.05, 0.1, 0.2)
FOLDS = 3
# `fast` on text only, with small vocabularies: the same probabilities for both, and cheap.
CHANGES = (
    "views.image=false",
)  # fmt: skip
PLAIN = (*CHANGES, "split.validation=0", "split.calibration=0", "split.threshold=0")
BASELINES = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")


def spoil(catalog: Catalog, kind: str, rate: float, seed: int = 1) -> tuple[Catalog, np.ndarray]:
    """The catalog with labels changed, and (n,) where."""
    rng, tree = np.random.default_rng(seed), catalog.taxonomy
    node = catalog.targets().node
    picked = rng.random(len(node)) < rate
    if kind == "random":
        other = rng.permutation(node)
    else:
        other = relative(tree, node, np.unique(node), KINDS[kind], rng)
    wrong = picked & (other >= 0) & (other != node)
    labels = [tree.nodes[n].path for n in np.where(wrong, other, node)]
    return catalog.with_labels(labels, tree), wrong


def some(catalog: Catalog, rows: int) -> Catalog:
    """So many of the labelled rows, drawn by chance."""
    known = np.random.default_rng(0).permutation(np.flatnonzero(catalog.targets().node >= 0))
    return catalog.select(np.sort(known[: rows or None]))


def tempered(logp: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Probabilities at the temperature that makes the given labels most probable."""
    rows = np.arange(len(label))

    def at(power: float) -> np.ndarray:
        scaled = logp.astype(np.float64) * power
        return scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True)

    best: Any = minimize_scalar(lambda p: -at(p)[rows, label].mean(), bounds=(0.05, 2), method="bounded")
    return np.exp(at(best.x))


class Gathered(NamedTuple):
    """What an audit goes by: where labels were changed, the models' answers, the evidence."""

    wrong: np.ndarray
    logp: np.ndarray
    evidence: Evidence


def gathered(noisy: Catalog, wrong: np.ndarray, tree: Taxonomy) -> Gathered:
    number, group = folds(noisy, FOLDS), noisy.groups()
    cases = audit_cases(noisy, tree, number, group)
    logp = np.zeros((len(noisy), len(tree.terminals)), np.float32)

    def models() -> Any:
        for rows, model in fold_models(noisy, resolve("fast", CHANGES), tree, number):
            logp[rows] = model.score(noisy.select(rows)).all()
            yield rows, model

    return Gathered(wrong, logp, gather(noisy, tree, cases, models()))


def cached(file: Path, make: Callable[[], Gathered]) -> Gathered:
    """Evidence from the cache, or gathered and cached: models are slow to train."""
    if not file.exists():
        partial = file.with_suffix(".part")
        partial.write_bytes(pickle.dumps(make()))
        partial.replace(file)
    return pickle.loads(file.read_bytes())  # noqa: S301 - written above, by this very program


def one(catalog: Catalog, test: Catalog, kind: str, rate: float, retrain: bool, file: Path) -> dict[str, Any]:
    """One audit: average precisions, their difference, what was estimated, and what retraining gave."""
    noisy, wrong = spoil(catalog, kind, rate)
    tree = catalog.taxonomy
    wrong, logp, evidence = cached(file, lambda: gathered(noisy, wrong, tree))
    cases, verdicts = evidence.cases, score_labels(evidence)
    label = tree.terminal_of[cases.node]
    truth, sure = wrong[cases.rows], tempered(logp[cases.rows], label)
    theirs = {m: -get_label_quality_scores(label, sure, method=m) for m in BASELINES}
    scores = {m: float(average_precision_score(truth, s)) for m, s in theirs.items()}
    best = max(scores, key=scores.__getitem__)

    def precision(pairs: np.ndarray) -> float:
        return float(average_precision_score(pairs[:, 0] > 0, pairs[:, 1]))

    gain = paired_bootstrap(
        np.stack([truth, verdicts.suspicion], 1), np.stack([truth, theirs[best]], 1), precision,
        groups=cases.group, resamples=500,
    )  # fmt: skip
    ours = np.stack([truth, verdicts.suspicion], 1)
    likely = verdicts.chance >= 0.5
    proposed = cases.candidates[np.arange(len(label)), verdicts.proposal]
    true = catalog.targets().node[cases.rows]
    found = {
        "kind": kind, "rate": float(truth.mean()), "ours": precision(ours),
        "baselines": scores, "best": best, "gain": tuple(gain), "estimated": float(verdicts.chance.mean()),
        "likely": int(likely.sum()), "precise": float(truth[likely].mean()),
        "proposals": float((proposed == true)[truth & likely].mean()),
    }  # fmt: skip
    if retrain:
        found["retrained"] = retrained(noisy, test, cases, verdicts, proposed)
    return found


def retrained(
    noisy: Catalog, test: Catalog, cases: AuditCases, verdicts: LabelScores, proposed: np.ndarray
) -> dict[str, Any]:
    """Accuracy on test rows after training on changed labels, on those that the audit corrected, and on those
    it left."""
    tree = noisy.taxonomy
    node = noisy.targets().node.copy()
    likely = verdicts.chance >= 0.5
    node[cases.rows[likely]] = proposed[likely]
    corrected = noisy.with_labels([tree.nodes[n].path for n in node], tree)
    left = noisy.select(np.setdiff1d(np.arange(len(noisy)), cases.rows[likely]))
    recipe, true = resolve("fast", PLAIN), test.targets().node
    right = {}
    for name, rows in {"noisy": noisy, "corrected": corrected, "left": left}.items():
        model = fit(rows, recipe)
        right[name] = np.array([tree.find(p) for p in best_paths(model, test)]) == true
    found: dict[str, Any] = {name: float(hit.mean()) for name, hit in right.items()}
    for name in ("corrected", "left"):
        gain = paired_bootstrap(right[name], right["noisy"], groups=test.groups())
        found[f"{name} gain"] = tuple(gain)
    return found


def best_paths(model: Any, test: Catalog) -> list[tuple[str, ...]]:
    return [model.taxonomy.nodes[n].path for n in model.score(test).best()]


def section(name: str, found: list[dict[str, Any]], products: int) -> str:
    heads = [
        "noise",
        "wrong",
        "audit",
        *(r.replace("_", " ") for r in BASELINES),
        "gain over the best, 95 % limits",
        "estimated wrong",
        "likely wrong",
        "of them wrong",
    ]
    heads += ["trained on it", "likely wrong corrected", "gain", "likely wrong left out", "gain"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for f in found:
        gain, again = f["gain"], f.get("retrained")
        cells = [
            f["kind"],
            f"{f['rate']:.1%}",
            f"**{f['ours']:.3f}**",
            *(f"{f['baselines'][r]:.3f}" for r in BASELINES),
        ]
        cells.append(f"{gain[0]:+.3f} ({gain[1]:+.3f} to {gain[2]:+.3f})")
        cells += [f"{f['estimated']:.1%}", f"{f['likely']:,}", f"{f['precise']:.0%}"]
        if again:
            cells.append(f"{again['noisy']:.3f}")
            for way in ("corrected", "left"):
                g = again[f"{way} gain"]
                cells += [f"{again[way]:.3f}", f"{g[0]:+.3f} ({g[1]:+.3f} to {g[2]:+.3f})"]
        lines.append(f"| {' | '.join(cells + [''] * (len(heads) - len(cells)))} |")
    return "\n".join([
        f"## Audit: wrong labels found, `{name}`", "",
        f"Average precision of finding labels changed at random among {products:,} training rows, whose own "
        "labels have errors too: to another product's (random), a sibling's, one below a sibling of the "
        "parent (parent). Out-of-fold probabilities of `fast` on text only, with small vocabularies, "
        f"{FOLDS} folds, the same for the audit and for cleanlab (scores by their names there, on "
        "probabilities tempered to be calibrated). Limits: paired bootstrap over products, near-"
        "duplicates together. Likely wrong: by a chance of one half or more. Retraining: "
        "accuracy of full paths on test rows. "
        f"{machine()}. `python benchmarks/audit.py {name}`", "", *lines,
    ])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(FILES))
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--rates", nargs="*", type=float, default=list(RATES))
    parser.add_argument("--rows", type=int, default=0, help="training rows, drawn by chance (default: all)")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "aisle-audit", help="finished audits"
    )
    given = parser.parse_args()
    given.cache.mkdir(parents=True, exist_ok=True)
    for name in given.sets:
        whole = read(SHARED / "data" / FILES[name])
        train, test = some(part(whole, "train"), given.rows), part(whole, "test")
        for rate in given.rates:
            for kind in given.kinds:
                file = given.cache / f"{name}-{given.rows}-{kind}-{rate}.json"
                if not file.exists():
                    began = time.perf_counter()
                    evidence = file.with_suffix(".evidence")
                    file.write_text(json.dumps(one(train, test, kind, rate, rate == 0.2, evidence)))
                    print(
                        name, kind, rate, f"{time.perf_counter() - began:.0f} s", file.read_text(), flush=True
                    )
        files = [given.cache / f"{name}-{given.rows}-{kind}-{rate}.json" for kind in KINDS for rate in RATES]
        found = [json.loads(file.read_text()) for file in files if file.exists()]
        write_section(f"audit {name}", section(name, found, len(train)))


if __name__ == "__main__":
    main()
