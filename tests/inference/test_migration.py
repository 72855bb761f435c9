"""Moving a model, and the labels of a file, to another version of the tree."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import aisle
from aisle.cli import register
from aisle.data import read
from aisle.errors import CatalogError
from aisle.guarantee import Settings
from aisle.inference.labelled_scores import LabelledScores
from aisle.inference.migration import MigratedModel, Migration, migrate
from aisle.inference.relabel import relabel
from aisle.taxonomy import Taxonomy
from aisle.taxonomy.tree_diff import diff

WORDS = {
    "Food > Beer": ["lager", "ale", "pilsner", "stout"],
    "Food > Wine": ["merlot", "riesling", "chardonnay", "rose"],
    "Clothes > Shoes": ["sneaker", "boot", "running sneaker", "hiking boot"],
    "Clothes > Hats": ["beanie", "fedora", "cap", "beret"],
    "Toys > Puzzles": ["jigsaw", "cube", "tangram", "maze"],
}
NEW = (
    "Food > Beer & Wine", "Apparel > Shoes > Sneakers", "Apparel > Shoes > Boots", "Apparel > Hats",
    "Games > Puzzles",
)  # fmt: skip


def tree(*paths: str) -> Taxonomy:
    return Taxonomy.from_paths([tuple(path.split(" > ")) for path in paths])


def rows(per_word: int = 6) -> list[dict[str, str]]:
    return [
        {
            "id": f"{category[:8]}-{word}-{k}",
            "title": f"{word} no {k} {'red' if k % 2 else 'blue'}",
            "category": category,
        }
        for category, words in WORDS.items()
        for word in words
        for k in range(per_word)
    ]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    lines = ["id,title,category", *(f"{r['id']},{r['title']},{r['category']}" for r in rows())]
    (folder / "old.csv").write_text("\n".join(lines) + "\n")
    aisle.train(folder / "old.csv", out=folder / "run")
    (folder / "new.txt").write_text("\n".join(NEW))
    return folder


@pytest.fixture(scope="module")
def moved(run: Path) -> Migration:
    return migrate(aisle.load(run / "run"), tree(*NEW), labelled=LabelledScores.load(run / "run"))


def test_merges_add_up_and_renames_keep_their_scores(run: Path, moved: Migration) -> None:
    products = read(rows(1))
    before, after = moved.model.earlier.score(products), moved.model.score(products)
    old, new = before.taxonomy, after.taxonomy

    def column(scores, path: str) -> np.ndarray:
        return np.exp(scores.node(np.full(len(scores), scores.taxonomy.index(tuple(path.split(" > "))))))

    merged = column(before, "Food > Beer") + column(before, "Food > Wine")
    np.testing.assert_allclose(column(after, "Food > Beer & Wine"), merged, rtol=1e-4)
    np.testing.assert_allclose(column(after, "Games > Puzzles"), column(before, "Toys > Puzzles"), rtol=1e-4)
    np.testing.assert_allclose(column(after, "Apparel > Shoes"), column(before, "Clothes > Shoes"), rtol=1e-4)
    np.testing.assert_allclose(np.exp(after.logp).sum(1), 1, rtol=1e-5)
    assert len(old.terminals) == len(new.terminals) == 5


def test_parts_of_a_split_category_are_told_apart_by_their_names(moved: Migration) -> None:
    found = moved.model.predict([{"title": "sneaker no 3 blue"}, {"title": "hiking boot no 2 red"}])
    assert [p.best[-1] for p in found] == ["Sneakers", "Boots"]


def test_examples_tell_parts_apart_where_names_do_not(run: Path) -> None:
    new = tree(*NEW[:1], "Apparel > Shoes > Group A", "Apparel > Shoes > Group B", *NEW[3:])
    examples = read([
        {"title": f"{word} no {k}", "category": f"Apparel > Shoes > Group {group}"}
        for word, group in (("sneaker", "A"), ("boot", "B"))
        for k in range(3)
    ])  # fmt: skip
    model = migrate(aisle.load(run / "run"), new, examples=examples).model
    found = model.predict([{"title": "sneaker no 5 blue"}, {"title": "hiking boot no 5 red"}])
    assert [p.best[-1] for p in found] == ["Group A", "Group B"]


def test_nothing_is_decided_where_no_label_tests_it(moved: Migration) -> None:
    assert moved.labelled_rows == len(rows())
    assert moved.without_labels == ("Apparel > Shoes",)
    decided = moved.model.predict(rows(2))
    assert not any(p.path[:2] == ("Apparel", "Shoes") for p in decided)
    assert moved.model.policy.settings.never == ("Apparel > Shoes",)


def split_examples(per_word: int) -> list[dict[str, str]]:
    """Rows of the training catalog, with the part that each belongs to."""
    part = {"sneaker": "Sneakers", "boot": "Boots"}
    return [
        {**row, "category": f"Apparel > Shoes > {part[row['title'].split(' no ')[0].split()[-1]]}"}
        for row in rows(per_word)
        if row["category"] == "Clothes > Shoes"
    ]


def test_examples_test_the_guarantee_of_the_parts_that_they_teach(run: Path) -> None:
    model, labelled = aisle.load(run / "run"), LabelledScores.load(run / "run")
    found = migrate(model, tree(*NEW), examples=read(split_examples(3)), labelled=labelled)
    assert found.without_labels == ()
    assert found.labelled_rows == len(rows())  # examples are labelled rows: none is counted twice
    assert found.model.policy.settings.never == ()
    new = {"title": "sneaker sandal", "category": "Apparel > Shoes > Sneakers"}
    more = migrate(model, tree(*NEW), examples=read([*split_examples(3), new]), labelled=labelled)
    assert more.labelled_rows == len(rows()) + 1
    alone = migrate(model, tree(*NEW), examples=read([new]), labelled=labelled)
    assert alone.without_labels == ("Apparel > Shoes > Boots",)


def test_examples_show_what_became_of_their_old_category(run: Path) -> None:
    new = tree(*NEW[:1], "Apparel > Runners", "Apparel > Climbing", *NEW[3:])
    assert diff(tree(*WORDS), new).counts.get("split") is None
    part = {"Sneakers": "Runners", "Boots": "Climbing"}
    examples = [
        {**row, "category": f"Apparel > {part[row['category'].split(' > ')[-1]]}"}
        for row in split_examples(4)
    ]
    labelled = LabelledScores.load(run / "run")
    found = migrate(aisle.load(run / "run"), new, examples=read(examples), labelled=labelled)
    (split,) = (change for change in found.changes if change.kind == "split")
    assert {found.changes.new.nodes[i].name for i in split.new} == {"Runners", "Climbing"}
    best = [p.best[-1] for p in found.model.predict([{"title": "sneaker no 9"}, {"title": "boot no 9"}])]
    assert best == ["Runners", "Climbing"]


def test_calibration_leaves_examples_out(run: Path) -> None:
    examples = read(split_examples(2))
    found = migrate(aisle.load(run / "run"), tree(*NEW), examples=examples).model
    assert found.seen(examples).all()
    shown = read([{"title": "sandal", "category": "Apparel > Shoes > Sneakers"}])
    assert not found.seen(shown).any()
    assert migrate(aisle.load(run / "run"), tree(*NEW), examples=shown).model.seen(shown).all()


def test_inner_nodes_that_a_tree_lists_are_not_predicted(run: Path) -> None:
    listed = tree("Food", "Clothes", "Toys", *WORDS)
    model = aisle.load(run / "run")
    found = migrate(model, listed, labelled=LabelledScores.load(run / "run"))
    assert found.without_scores == ()
    before, after = (m.predict(rows(2)) for m in (model, found.model))
    assert [p.best for p in after] == [p.best for p in before]


def test_settings_follow_their_categories(run: Path) -> None:
    model = aisle.load(run / "run")
    asked = Settings(never=("Toys > Puzzles",), branch_precision={"Clothes > Hats": 0.8})
    labelled = LabelledScores.load(run / "run")
    assert labelled is not None
    policy = labelled.policy(asked)
    found = migrate(model.with_policy(policy), tree(*NEW), labelled=labelled).model.policy.settings
    assert found.never == ("Games > Puzzles", "Apparel > Shoes")
    assert found.branch_precision == {"Apparel > Hats": 0.8}


def test_without_labelled_rows_nothing_is_guaranteed(run: Path) -> None:
    found = migrate(aisle.load(run / "run"), tree(*NEW))
    assert found.labelled_rows == 0
    assert not found.model.policy.curve
    assert {p.decision for p in found.model.predict(rows(1))} == {"review"}


def test_an_equal_tree_changes_nothing(run: Path) -> None:
    model = aisle.load(run / "run")
    found = migrate(model, model.taxonomy, labelled=LabelledScores.load(run / "run"))
    assert found.changes.unchanged
    assert found.without_labels == ()
    np.testing.assert_allclose(
        np.exp(found.model.score(read(rows(1))).logp), np.exp(model.score(read(rows(1))).logp), atol=1e-5
    )
    for mine, theirs in zip(found.model.policy.guarantees, model.policy.guarantees, strict=True):
        assert (mine.rows, mine.errors, mine.holds) == (theirs.rows, theirs.errors, theirs.holds)


def test_saved_and_loaded(moved: Migration, tmp_path: Path) -> None:
    saved = moved.model.save(tmp_path / "m")
    loaded = aisle.load(tmp_path / "m")
    assert isinstance(loaded, MigratedModel)
    assert loaded.model_id == saved.model_id
    assert [p.best for p in loaded.predict(rows(1))] == [p.best for p in moved.model.predict(rows(1))]


def test_examples_of_another_tree_are_an_error(run: Path) -> None:
    examples = read(
        [{"title": "x", "category": "Garden > Rakes"}, {"title": "y", "category": "Garden > Saws"}]
    )
    with pytest.raises(CatalogError, match="none of the 2 examples"):
        migrate(aisle.load(run / "run"), tree(*NEW), examples=examples)


def command(*arguments: object) -> str:
    found = CliRunner().invoke(register(), [*map(str, arguments)])
    assert found.exit_code == 0, (found.output, found.exception)
    return found.output


def test_the_command(run: Path, tmp_path: Path) -> None:
    out = command(
        "migrate", run / "run", run / "new.txt", "--out", tmp_path / "m", "--catalog", run / "old.csv"
    )
    assert "24 of 120 products have a category that is to be checked" in out
    assert "Apparel > Shoes" in out
    lines = (tmp_path / "m" / "unsure.csv").read_text().splitlines()
    assert lines[0] == "id,title,category,proposed_category,confidence,reason"
    assert len(lines) == 25
    assert all("split" in line for line in lines[1:])
    assert json.loads((tmp_path / "m" / "changes.json").read_text())["counts"]["split"] == 1
    assert "moved from" in command("info", tmp_path / "m")
    command("classify", tmp_path / "m", run / "old.csv", "--out", tmp_path / "p.csv")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 121


def test_a_migrated_model_is_no_member_of_an_ensemble(moved: Migration, run: Path, tmp_path: Path) -> None:
    moved.model.save(tmp_path / "m")
    arguments = ["ensemble", tmp_path / "m", run / "run", "--out", tmp_path / "e"]
    found = CliRunner().invoke(register(), [*map(str, arguments)])
    assert found.exit_code != 0
    assert "was migrated from another tree" in found.output + str(found.exception)


def test_relabel_keeps_every_other_byte(run: Path, tmp_path: Path) -> None:
    source = tmp_path / "shop.csv"
    source.write_bytes(
        b'\xef\xbb\xbfsku;title;category;note\r\n1;"lager; cold";Food > Beer;"a\r\nb"\r\n'
        b"2;boot;Clothes > Shoes;x\r\n"
        b"3;cube;Toys > Puzzles;\r\n4;nothing;;y\r\n5;merlot;Food > Wine;z\r\n6;cap;Clothes > Hats;\r\n"
    )
    found = relabel(read(source), diff(read(source).taxonomy, tree(*NEW)), tmp_path / "new.csv")
    assert (found.products, found.kept, found.moved, found.unsure) == (5, 0, 4, 1)
    assert (tmp_path / "new.csv").read_bytes() == (
        b'\xef\xbb\xbfsku;title;category;note\r\n1;"lager; cold";Food > Beer & Wine;"a\r\nb"\r\n'
        b"2;boot;Clothes > Shoes;x\r\n3;cube;Games > Puzzles;\r\n4;nothing;;y\r\n"
        b"5;merlot;Food > Beer & Wine;z\r\n6;cap;Apparel > Hats;\r\n"
    )


def test_the_relabel_command(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "old.csv", tmp_path / "shop.csv")
    out = command("relabel", tmp_path / "shop.csv", "--to", run / "new.txt")
    assert "120 labels: 0 are the same, 96 moved, 24 to check" in out
    assert "Food > Beer & Wine" in (tmp_path / "shop.relabelled.csv").read_text()
    assert len((tmp_path / "shop.unsure.csv").read_text().splitlines()) == 25
