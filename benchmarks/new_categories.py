"""Are proposed categories real ones? `python benchmarks/new_categories.py` writes a section.

Branches of real trees are held out of training: whole top categories, or categories of level 2. Their
products are mixed with four times as many new ones of known categories, and `aisle taxonomy propose` is asked
for the categories that the tree lacks. Its limits were chosen on other branches (seeds 0 and 1).
"""

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import normalized_mutual_info_score

import aisle
from aisle.data import Catalog, read
from aisle.evaluation.new_categories import NewCategories, propose_categories
from aisle.taxonomy import CategoryPath
from results import SHARED, machine, table, write_section

SETS = {"instacart": ("text/instacart.parquet", 4000), "marketplace": ("marketplace/products.csv", 1500)}
SEEDS = (11, 12)
HELD, MIXED = 400, 1600  # products of held-out and of known branches, at most
SMALLEST = 40  # products of a branch that is held out


def measure(name: str, level: int, seed: int) -> dict[str, Any]:
    """One choice of branches held out."""
    file, limit = SETS[name]
    catalog, rng = read(SHARED / "data" / file), np.random.default_rng(seed)
    node, split = catalog.targets().node, catalog.split
    labelled = np.flatnonzero(node >= 0)
    path = {int(row): catalog.taxonomy.nodes[node[row]].path for row in labelled}
    sizes = Counter(path[int(row)][:level] for row in labelled if len(path[int(row)]) >= level)
    large = [branch for branch, count in sorted(sizes.items()) if count >= SMALLEST]
    count = max(2, min(6, len(large) // 5)) if level == 1 else max(4, len(large) // 12)
    out = {large[i] for i in rng.choice(len(large), count, replace=False)}
    held = np.array([path[int(row)][:level] in out for row in labelled])
    known_train = labelled[~held & (split[labelled] == "train")]
    known_test = labelled[~held & (split[labelled] == "test")]
    learn = np.sort(rng.permutation(known_train)[:limit])
    model = aisle.train(rows_of(catalog, learn, path), changes=["views.image=false"])
    rows = np.append(rng.permutation(labelled[held])[:HELD], rng.permutation(known_test)[:MIXED])
    mixed = read([{k: v for k, v in row.items() if k != "category"} for row in rows_of(catalog, rows, path)])
    found = propose_categories(model, mixed)
    truth = [path[int(product.id)] for product in mixed]
    return {"data": name, "level": level, "seed": seed, **figures(found, truth, out, level)}


def rows_of(catalog: Catalog, rows: np.ndarray, path: dict[int, CategoryPath]) -> list[dict[str, str]]:
    """Rows with their text and their category."""
    return [
        {**catalog[int(row)].fields, "id": str(int(row)), "category": " > ".join(path[int(row)])}
        for row in rows
    ]


def figures(
    found: NewCategories, truth: list[CategoryPath], out: set[CategoryPath], level: int
) -> dict[str, Any]:
    """What the proposals hold, compared with the labels."""
    new = np.array([path[:level] in out for path in truth])
    right, pure, inside, parents, labels, groups = 0, 0, 0, [], [], []
    for number, one in enumerate(found.categories):
        own = [truth[row] for row in one.rows]
        # A proposal below a branch that was held out counts as pure whatever the depth of its labels.
        branch = Counter(path[:level] for path in own).most_common(1)[0]
        pure += branch[1]
        inside += len(own)
        is_new = branch[0] in out and branch[1] > len(own) / 2
        right += is_new
        if is_new:
            parents.append(one.parent == branch[0][:-1])
        labels += [" > ".join(path[:level]) for path in own]
        groups += [number] * len(own)
    rows = np.array([row for one in found.categories for row in one.rows], dtype=np.int64)
    return {
        "products": len(truth),
        "held": int(new.sum()),
        "proposals": len(found.categories),
        "right": int(right),
        "pure": pure,
        "inside": inside,
        "nmi": float(normalized_mutual_info_score(labels, groups)) if labels else None,
        "caught": int(new[rows].sum()),
        "known_inside": int((~new[rows]).sum()),
        "parents_right": int(sum(parents)),
        "branches": len(out),
        "branches_found": len({truth[row][:level] for one in found.categories for row in one.rows} & out),
        "flagged": found.flagged,
        "names": [(one.name, Counter(" > ".join(truth[r]) for r in one.rows).most_common(1)[0][0])
                  for one in found.categories],
    }  # fmt: skip


def line(name: str, level: int, found: list[dict[str, Any]]) -> str:
    """A row of the table: sums over the choices of branches."""
    total = {key: sum(one[key] for one in found) for key in found[0] if isinstance(found[0][key], int)}
    nmi = [one["nmi"] for one in found if one["nmi"] is not None]
    known = total["products"] - total["held"]
    cells = [
        f"`{name}`",
        "top categories" if level == 1 else f"level {level}",
        f"{total['held']:,} of {total['products']:,}",
        f"{total['proposals']}",
        f"{total['right']} of {total['proposals']}",
        f"{total['pure'] / max(total['inside'], 1):.2f}",
        f"{np.mean(nmi):.2f}" if nmi else "",
        f"{total['caught'] / total['held']:.0%}",
        f"{total['known_inside'] / known:.1%}",
        f"{total['parents_right']} of {total['right']}",
    ]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--kept", type=Path, default=Path("/tmp/new_categories.jsonl"), help="measured before"
    )
    args = parser.parse_args()
    kept = [json.loads(row) for row in args.kept.read_text().splitlines()] if args.kept.exists() else []
    done = {(one["data"], one["level"], one["seed"]) for one in kept}
    for name in SETS:
        for level in (1, 2):
            for seed in SEEDS:
                if (name, level, seed) not in done:
                    kept.append(measure(name, level, seed))
                    print(kept[-1], flush=True)
                    with args.kept.open("a") as file:
                        file.write(json.dumps(kept[-1]) + "\n")
    lines = [
        line(name, level, [one for one in kept if (one["data"], one["level"]) == (name, level)])
        for name in SETS
        for level in (1, 2)
    ]
    header = (
        "products", "held out", "products held out", "proposals", "mostly held-out products", "purity", "NMI",
        "held-out products caught", "known products in proposals", "right parent",
    )  # fmt: skip
    text = [
        "## Proposed categories",
        "",
        f"`benchmarks/new_categories.py`, {machine()}. Sums over {len(SEEDS)} choices of branches held out "
        "of the training of `fast` on text; limits of `aisle taxonomy propose` were chosen on other choices. "
        "Purity: share of a proposal's products in the branch that most of them have. NMI: of proposals and "
        "branches, over the products in proposals. `right parent`: of the proposals of mostly held-out "
        "products, those placed under the parent that the branch had (a top category: under none).",
        "",
        *table(header, lines),
    ]
    write_section("new_categories", "\n".join(text))


if __name__ == "__main__":
    main()
