import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.errors import CatalogError
from aisle.evaluation.audit import audit, corrected
from aisle.evaluation.audit.candidates import duplicate_labels, wrong_labels
from aisle.evaluation.audit.evidence import margins
from aisle.evaluation.audit.neighbors import K, nearest, votes
from aisle.taxonomy import Scores, Taxonomy
from aisle.workflow import resolve
from tests.evaluation.shop import PLACES, catalog, products

QUICK = ("views.image=false",)
TREE = Taxonomy.from_paths(PLACES)


def scores(rows=6, seed=0):
    logits = np.random.default_rng(seed).normal(0, 2, (rows, len(TREE.terminals)))
    return Scores(TREE, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def test_a_place_stands_against_the_best_other_at_every_level():
    """Recomputed with plain sums over the terminals below each node."""
    said = scores()
    places = np.array([TREE.terminals, np.roll(TREE.terminals, 1)]).T[: len(said)]
    margin, logp = margins(said, places, np.ones(places.shape, bool))
    mass = np.exp(said.all())
    for b, c in np.ndindex(places.shape):
        node = int(places[b, c])
        own = TREE.terminal_of[node]
        assert logp[b, c] == pytest.approx(said.all()[b, own])
        rest = np.delete(said.all()[b], own).max()
        assert margin[b, c, 0] == pytest.approx(said.all()[b, own] - rest, abs=1e-4)
        for column, level in ((1, max(len(TREE.nodes[node].path) - 1, 1)), (2, 1)):
            sums = {n: mass[b, slice(*TREE.span[n])].sum() for n in TREE.level(level).tolist()}
            mine = sums.pop(int(TREE.ancestors[node, level - 1]))
            assert margin[b, c, column] == pytest.approx(np.log(mine / max(sums.values())), abs=1e-4)


def test_made_up_labels_are_wrong_and_stand_where_they_should():
    node = np.repeat(TREE.terminals, 5)
    given = np.stack([node, np.full(len(node), -1)], 1)
    fake = wrong_labels(TREE, node, given)
    assert (fake != node[:, None]).all()
    for own, (_, sibling, cousin) in zip(node.tolist(), fake.tolist(), strict=True):
        path = TREE.nodes[own].path
        if sibling >= 0:
            assert TREE.nodes[sibling].path[: len(path) - 1] == path[:-1]
        if cousin >= 0:
            assert TREE.nodes[cousin].path[: len(path) - 2] == path[:-2]
            assert TREE.nodes[cousin].path[: len(path) - 1] != path[:-1]
    boots = TREE.index(("Clothing", "Shoes", "Boots"))
    assert set(fake[node == boots, 1]) == {TREE.index(("Clothing", "Shoes", "Sandals"))}


def test_neighbors_vote_and_duplicates_do_not():
    vectors = np.eye(4)[[0, 0, 0, 1, 1, 2]] + 0.01
    vectors[5] = 0
    group = np.array([0, 0, 1, 2, 3, 4])
    boots, lamps = TREE.index(("Clothing", "Shoes", "Boots")), TREE.index(("Home", "Lamps"))
    node = np.array([boots, lamps, boots, lamps, lamps, boots])
    near = nearest({"words": vectors}, group)["words"]
    assert near.number.shape == (6, K)
    assert near.number[0, 0] == 2  # never 1, its duplicate
    assert 1 not in near.number[0]
    assert (near.number[5] == -1).all()
    share = votes(near, TREE, node, np.full(6, boots))
    assert share[0, 0] > 0.9
    assert share[3, 0] < 0.1
    assert np.isnan(share[5]).all()
    agree, other = duplicate_labels(group, node)
    assert (agree[0], other[0]) == (0.0, lamps)
    assert np.isnan(agree[2])


def test_too_little_to_audit_is_said():
    with pytest.raises(CatalogError, match="too few to audit in 5 folds"):
        audit(catalog(6), resolve("fast", QUICK))
    one = catalog(40, places={("Home", "Lamps"): "lamp bulb shade"})
    with pytest.raises(CatalogError, match="one category"):
        audit(one, resolve("fast", QUICK))
    with pytest.raises(CatalogError, match="at least 2"):
        audit(catalog(40), resolve("fast", QUICK), folds=1)


def write(folder, rows, wrong):
    file = folder / "products.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(["id", "title", "description", "category"])
        for p in rows:
            path = wrong.get(p.id, p.categories[0])
            writer.writerow([p.id, p.fields["title"], p.fields["description"], " > ".join(path)])
    return file


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory):
    """A shop in which every twelfth product is labelled wrongly, audited from the command line."""
    folder = tmp_path_factory.mktemp("audit")
    rows = products(480, seed=21)
    paths = list(PLACES)
    rng = np.random.default_rng(4)
    wrong = {}
    for p in rows[::12]:
        others = [path for path in paths if path != p.categories[0]]
        wrong[p.id] = others[int(rng.integers(len(others)))]
    for p in rows:  # words that tell, so that a label can be known to be wrong
        p.fields["description"] = PLACES[p.categories[0]] + " " + p.fields["description"]
    file = write(folder, rows, wrong)
    asked = ["audit", file, "--folds", "2", "--out", folder / "out", "--corrected", folder / "fixed.csv"]
    changes = [part for change in QUICK for part in ("--set", change)]
    said = CliRunner().invoke(register(), [str(a) for a in asked] + changes, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    return folder, rows, wrong, said.output


@pytest.mark.slow
def test_wrong_labels_rank_first_with_the_right_proposal(spoiled):
    folder, rows, wrong, output = spoiled
    found = [json.loads(line) for line in (folder / "out" / "audit.jsonl").read_text().splitlines()]
    assert [f["rank"] for f in found] == list(range(1, len(rows) + 1))
    chances = [f["suspicion"] for f in found]
    assert chances == sorted(chances, reverse=True)
    first = found[: len(wrong)]
    assert sum(f["id"] in wrong for f in first) >= 0.8 * len(wrong)
    true = {p.id: list(p.categories[0]) for p in rows}
    hits = [f["proposed"] == true[f["id"]] for f in first if f["id"] in wrong]
    assert np.mean(hits) > 0.9
    assert all(f["reasons"] for f in first[:10])
    summary = json.loads((folder / "out" / "audit.json").read_text())
    assert abs(summary["share"] - 1 / 12) < 0.05
    assert f"{summary['likely']:,} of 480 labels" in output
    table = list(csv.DictReader((folder / "out" / "audit.csv").read_text().splitlines()))
    assert [row["id"] for row in table] == [f["id"] for f in found]
    assert table[0]["present"] == " > ".join(found[0]["present"])
    assert table[0]["reasons"] == "; ".join(found[0]["reasons"])


@pytest.mark.slow
def test_the_corrected_file_reads_back_with_proposed_labels(spoiled):
    folder, rows, wrong, _ = spoiled
    fixed = aisle.read(folder / "fixed.csv")
    true = {p.id: p.categories[0] for p in rows}
    right = sum(p.categories[0] == true[p.id] for p in fixed)
    assert len(fixed) == len(rows)
    assert right > len(rows) - 0.5 * len(wrong)
    assert list(csv.DictReader((folder / "fixed.csv").read_text().splitlines()))[1]["id"] == rows[1].id


@pytest.mark.slow
def test_the_page_is_one_quiet_file(spoiled):
    from aisle.evaluation.audit import Audit

    folder, *_ = spoiled
    html = (folder / "out" / "audit.html").read_text()
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")
    assert len(html) < 5_000_000
    read = aisle.read(folder / "products.csv")
    data = json.loads((folder / "out" / "audit.json").read_text())
    lines = [json.loads(line) for line in (folder / "out" / "audit.jsonl").read_text().splitlines()]
    found = Audit.model_validate({**data, "findings": lines})
    again = corrected(read, found, min_chance=2.0)  # no chance is that high: labels are unchanged
    assert (again.targets().node == read.targets().node).all()


@pytest.mark.slow
def test_likely_wrong_labels_go_to_the_review_queue(spoiled, trained, tmp_path):
    from aisle.server.app import create_app
    from aisle.server.state import Server
    from aisle.server.store import reviews
    from tests.server.conftest import patient
    from tests.server.live_server import Site

    folder, *_ = spoiled
    server = Server.start(patient(runs={"shop": trained.run}, store=str(tmp_path / "store.db")))
    site = Site(create_app(server), server)
    asked = ["audit", folder / "products.csv", "--folds", "2", "--out", tmp_path / "out", "--json"]
    changes = [part for change in QUICK for part in ("--set", change)]
    words = [*map(str, asked), *changes, "--server", site.address]
    said = CliRunner().invoke(register(), words, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    found = json.loads(said.stdout)
    queued = reviews.lease(server.store, "ana", 100)
    site.stop()
    server.stop()
    likely = {one["id"]: one for one in found["findings"] if one["chance"] >= 0.5}
    assert found["queued"] == len(likely) == found["likely"] > 20
    assert {row["product_id"] for row in queued} == set(likely)
    for row in queued:
        assert row["label"] == " > ".join(likely[row["product_id"]]["present"])
        assert row["note"].endswith("Proposed: " + " > ".join(likely[row["product_id"]]["proposed"]))
