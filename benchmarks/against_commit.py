"""Accuracy and training time of `fast` and `balanced` compared with an earlier commit, on the same rows.

    python benchmarks/against_commit.py 86ae21f marketplace instacart --text-encoder PATH --image-encoder PATH

Both commits train on the same folds inside `train` (near-duplicates together), without held-out rows, each
in a process of its own. The earlier commit is checked out into a temporary worktree and needs torch. Each has
a temporary feature store, so that it encodes all rows once. Differences: paired bootstrap over products.
Writes one section into RESULTS.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import aisle
from aisle.data.splits import folds as split
from aisle.metrics import f1_scores, paired_bootstrap
from aisle.workflow import part

sys.path.insert(0, str(Path(__file__).parent))
from accuracy import SETS, WITH_IMAGES
from results import SHARED, machine, read_section, write_section

ROOT = Path(__file__).parents[1]
FOLDS = 5
SECTION = "against commit"
EARLIER = ["parts.stop=0", "parts.calibrate=0", "parts.promise=0"]
NOW = ['guarantee.method="none"']


class Run(NamedTuple):
    """One fold of one commit: best paths of the held-out rows, processor seconds of training."""

    paths: np.ndarray
    seconds: float


def run(source: Path, work: Path, arguments: list[Any]) -> Run:
    """`train_fold.py` in a process with the code in `source`."""
    out = work / "out.json"
    worker = Path(__file__).with_name("train_fold.py")
    command = [sys.executable, worker, json.dumps([*arguments, str(out)])]
    cache = work / source.parent.name
    env = {**os.environ, "PYTHONPATH": str(source), "AISLE_CACHE": str(cache), "HOME": str(cache)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{source}: {done.stderr[-2000:]}")
    found = json.loads(out.read_text())
    return Run(np.array(found["paths"], dtype=object), found["seconds"])


def compare(
    name: str, recipe: str, folds: list[int], earlier: Path, work: Path, changes: dict[str, list[str]]
) -> str:
    """One row of the table."""
    file = str(SHARED / "data" / SETS[name])
    catalog = aisle.read(file)
    known = part(catalog, "train")
    known = known.select(np.flatnonzero(known.targets().node >= 0))
    number = np.full(len(catalog), -1)
    # `rows` are numbers of records, from 1.
    number[np.asarray(known.rows) - 1] = split(known, FOLDS)
    np.save(work / "folds.npy", number)
    truth, before, after, seconds = [], [], [], np.zeros(2)
    for fold in folds:
        given = [file, fold, str(work / "folds.npy"), recipe]
        old = run(earlier / "src", work, [*given, [*EARLIER, *changes["earlier"]]])
        new = run(ROOT / "src", work, [*given, [*NOW, *changes["now"]]])
        held = catalog.select(np.flatnonzero(number == fold))
        truth.append(np.array(["\t".join(product.categories[0]) for product in held], dtype=object))
        before.append(old.paths)
        after.append(new.paths)
        seconds += (old.seconds, new.seconds)
        print(
            name, recipe, fold, *((found == truth[-1]).mean() for found in (old.paths, new.paths)), flush=True
        )
    _, code = np.unique(np.concatenate([*truth, *before, *after]).astype(str), return_inverse=True)
    true, old_path, new_path = np.split(code, 3)
    hits = paired_bootstrap((new_path == true).astype(float), (old_path == true).astype(float))
    pairs = [np.stack([true, paths], 1) for paths in (old_path, new_path)]
    macro = paired_bootstrap(pairs[1], pairs[0], lambda z: f1_scores(z[:, 0], z[:, 1]).macro)
    cells = [f"{(z[:, 0] == z[:, 1]).mean():.3f} / {f1_scores(z[:, 0], z[:, 1]).macro:.3f}" for z in pairs]
    cells += [f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})" for gain in (hits, macro)]
    cells += [f"{seconds[1] / max(seconds[0], 1e-9):.2f}"]
    return f"| {name} | `{recipe}` | {len(folds)} | {' | '.join(cells)} |"


def read_rows(section: str) -> dict[tuple[str, str], str]:
    """Rows of the table in RESULTS.md, by data set and recipe: those not run now stay."""
    lines = [line for line in read_section(section) if line.startswith("| ")][1:]
    return {(cells[1].strip(), cells[2].strip(" `")): line for line in lines if (cells := line.split("|"))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("commit", help="the earlier commit")
    parser.add_argument("sets", nargs="*", choices=[*SETS, []])
    parser.add_argument("--recipes", nargs="*", default=["fast", "balanced"])
    parser.add_argument("--folds", type=int, default=FOLDS, help="how many of the five folds to run")
    parser.add_argument("--text-encoder")
    parser.add_argument("--image-encoder")
    args = parser.parse_args()
    head = [
        f"| data | recipe | folds | {args.commit} | now | accuracy | macro-F1 | training time, ratio |",
        "|" + "---|" * 8,
    ]
    rows = read_rows(SECTION)
    with tempfile.TemporaryDirectory() as folder:
        earlier = Path(folder) / "earlier"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", earlier, args.commit], check=True)
        try:
            for name in args.sets:
                for recipe in args.recipes:
                    changes = encoders(name, recipe, args.text_encoder, args.image_encoder)
                    given = (name, recipe, list(range(args.folds)), earlier, Path(folder), changes)
                    rows[name, recipe] = compare(*given)
                    print(rows[name, recipe], flush=True)
                    about = (
                        f"`benchmarks/against_commit.py {args.commit}`; path accuracy / macro-F1 of held-out "
                        "rows in folds inside `train`, all other rows trained on; differences with 95 % "
                        f"intervals; ratio of processor seconds, each encoding from nothing; {machine()}."
                    )
                    table = "\n".join([*head, *rows.values()])
                    write_section(SECTION, f"## Compared with commit {args.commit}\n\n{about}\n\n{table}")
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", earlier], check=False)


def encoders(data: str, recipe: str, text: str | None, image: str | None) -> dict[str, list[str]]:
    """Recipe changes that name local encoders, in the keys of each commit."""
    found: dict[str, list[str]] = {"earlier": [], "now": []}
    if data not in WITH_IMAGES:
        found = {key: ["views.image=false"] for key in found}
    if recipe == "balanced" and text:
        found["earlier"] += [f"views.{view}.encoder.name={text}" for view in ("title_meaning", "meaning")]
        found["now"] += [f"text_encoder={json.dumps(text)}"]
    if recipe == "balanced" and image and data in WITH_IMAGES:
        found["earlier"] += [f"views.image.encoder.name={image}"]
        found["now"] += [f"image_encoder={json.dumps(image)}"]
    return found


if __name__ == "__main__":
    main()
