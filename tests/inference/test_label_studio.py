"""Tasks, configurations and annotations of Label Studio."""

import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest

import aisle
from aisle.data import Product
from aisle.guarantee import Prediction
from aisle.guarantee.prediction import Alternative
from aisle.inference.label_studio import (
    AnnotationError,
    Control,
    choices,
    find_control,
    label_config,
    prodigy_task,
    read_annotations,
    task,
    task_product,
)
from aisle.taxonomy import Taxonomy

TREE = Taxonomy.from_paths([("Clothing", "Shoes", "Trainers"), ("Clothing", "Hats"), ("Books & More",)])
SHOES, HATS = ["Clothing", "Shoes", "Trainers"], ["Clothing", "Hats"]
PREDICTION = Prediction(
    id="A-17",
    best=("Clothing", "Shoes", "Trainers"),
    best_id="Clothing > Shoes > Trainers",
    path=("Clothing", "Shoes"),
    path_id="Clothing > Shoes",
    confidence=(0.99, 0.97, 0.8125),
    decision="partial",
    reason="",
    alternatives=(Alternative(("Clothing", "Shoes", "Trainers"), 0.8125),),
    model_id="11c58615d0cd",
)


def annotation(*paths, by=1, at="2026-01-01T00:00:00Z", **more):
    value = {
        "from_name": "category",
        "to_name": "title",
        "type": "taxonomy",
        "value": {"taxonomy": list(paths)},
    }
    result = [value] if paths else []
    return {"id": by, "completed_by": by, "updated_at": at, "was_cancelled": False, "result": result, **more}


def exported(tmp_path, *annotations_of_tasks):
    tasks = [
        {
            "id": 100 + i,
            "data": {"id": f"A-{i}", "title": f"Title {i}", "description": "", "images": "", "fields": {}},
            "annotations": annotations,
        }
        for i, annotations in enumerate(annotations_of_tasks)
    ]
    file = tmp_path / "export.json"
    file.write_text(json.dumps(tasks), "utf-8")
    return file


def labels(found):
    return {row["id"]: list(row["category"]) for row in found.rows}


def test_the_configuration_holds_the_tree():
    root = ElementTree.fromstring(label_config(TREE))
    tag = root.find("Taxonomy")
    assert (tag.get("name"), tag.get("toName"), tag.get("leafsOnly")) == ("category", "title", "true")
    assert {element.get("value") for element in root if element.get("value")} == {
        *("$title", "$images", "$description", "$fields")
    }

    def paths(element, above=()):
        for choice in element.findall("Choice"):
            yield (*above, choice.get("value"))
            yield from paths(choice, (*above, choice.get("value")))

    assert list(paths(tag)) == [node.path for node in TREE.nodes]


def test_a_category_above_others_can_be_chosen_if_products_are_there():
    tree = Taxonomy.from_paths([("A",), ("A", "B")])
    assert ElementTree.fromstring(label_config(tree)).find("Taxonomy").get("leafsOnly") == "false"


def test_a_large_tree_is_an_external_file():
    config = label_config(TREE, "https://shop.example/tree.json")
    tag = ElementTree.fromstring(config).find("Taxonomy")
    assert tag.get("apiUrl") == "https://shop.example/tree.json"
    assert list(tag) == []
    assert choices(TREE) == {
        "items": [
            {"value": "Books & More"},
            {
                "value": "Clothing",
                "children": [
                    {"value": "Hats"},
                    {"value": "Shoes", "children": [{"value": "Trainers"}]},
                ],
            },
        ]
    }


def test_a_task_has_the_product_and_the_pre_annotation():
    product = Product("A-17", {"title": "Red shoes", "brand": "Fleet"})
    found = task(product, PREDICTION, ["https://shop.example/a.jpg?x=1&y=2", "local.jpg"])
    image = '<img src="https://shop.example/a.jpg?x=1&amp;y=2" style="max-height: 320px"/>'
    assert found["data"] == {
        "id": "A-17",
        "title": "Red shoes",
        "description": "",
        "images": image,
        "fields": {"brand": "Fleet"},
    }
    (prediction,) = found["predictions"]
    assert (prediction["model_version"], prediction["score"]) == ("11c58615d0cd", 0.8125)
    assert prediction["result"] == [
        {
            "from_name": "category",
            "to_name": "title",
            "type": "taxonomy",
            "value": {"taxonomy": [SHOES]},
            "score": 0.8125,
        }
    ]
    assert task_product(found) == (product, ["https://shop.example/a.jpg?x=1&y=2"])


def test_tasks_of_others_are_read_too():
    found, images = task_product(
        {"id": 7, "data": {"text": "Red shoes", "price": 9.5, "image": "/data/a.jpg"}}
    )
    assert found == Product("7", {"title": "Red shoes", "price": "9.5"})
    assert images == ["/data/a.jpg"]
    assert task_product({"id": 8, "data": None}) == (Product("8"), [])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (label_config(TREE), Control("category", "title")),
        ('<View><Text name="t" value="$t"/><Taxonomy name="kind" toName="t"/></View>', Control("kind", "t")),
        ("<View><Choices name='a' toName='t'/></View>", None),
        ("<View", None),
        ('<!DOCTYPE v [<!ENTITY a "b">]><View><Taxonomy name="&a;" toName="t"/></View>', None),
    ],
)
def test_the_control_is_found_in_any_configuration(config, expected):
    assert find_control(config) == expected


def test_annotations_become_labels(tmp_path):
    file = exported(tmp_path, [annotation(SHOES)], [annotation(HATS)], [], [annotation(was_cancelled=True)])
    found = read_annotations(file, TREE)
    assert labels(found) == {"A-0": SHOES, "A-1": HATS}
    assert (found.tasks, found.open, found.skipped) == (4, 1, 1)


def test_the_majority_decides_with_the_latest_annotation_of_each(tmp_path):
    first = [annotation(SHOES, by=1), annotation(HATS, by=2), annotation(HATS, by=3)]
    changed = [
        annotation(HATS, by=1, at="2026-01-02T00:00:00Z"),
        annotation(SHOES, by=1, at="2026-01-01T00:00:00Z"),
    ]
    tie = [annotation(SHOES, by=1), annotation(HATS, by=2)]
    truth = [annotation(SHOES, by=1), annotation(HATS, by=2, ground_truth=True), annotation(SHOES, by=3)]
    people = [annotation(SHOES, by={"id": 5, "email": "ana@shop.example"}), annotation(was_cancelled=True)]
    found = read_annotations(exported(tmp_path, first, changed, tie, truth, people), TREE)
    assert labels(found) == {"A-0": HATS, "A-1": HATS, "A-3": HATS, "A-4": SHOES}
    assert found.disagreements == ["A-2"]


def test_unknown_categories_are_reported(tmp_path):
    gone = ["Clothing", "Gone"]
    file = exported(tmp_path, [annotation(gone)], [annotation(gone)], [annotation(["Clothing"], SHOES)])
    found = read_annotations(file, TREE)
    assert labels(found) == {"A-2": SHOES}  # the ancestor comes with it
    assert dict(found.unknown) == {("Clothing", "Gone"): 2}
    assert len(read_annotations(file).rows) == 3
    several = read_annotations(exported(tmp_path, [annotation(HATS, SHOES)]), TREE)
    assert (labels(several), several.several) == ({"A-0": HATS}, 1)


@pytest.mark.parametrize("content", ["", "{", '[{"title": "x", "category": "y"}]', "[1]"])
def test_what_is_no_export_is_refused(tmp_path, content):
    file = tmp_path / "export.json"
    file.write_text(content, "utf-8")
    with pytest.raises(AnnotationError, match=r"export\.json") as caught:
        read_annotations(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".jsonl", ".csv"])
def test_the_labels_are_read_as_a_catalog(tmp_path, ending):
    file = exported(tmp_path, [annotation(SHOES)], [annotation(["Books & More"])])
    found = read_annotations(file)
    found.rows[0] |= {
        "fields": {"title": 'Red "shoes", 42\nnew', "brand": "Fleet", "material": "wool"},
        "images": ["https://shop.example/a.jpg"],
    }
    found.write(tmp_path / f"labels{ending}")
    catalog = aisle.read(tmp_path / f"labels{ending}")
    assert [product.categories for product in catalog] == [(tuple(SHOES),), (("Books & More",),)]
    assert [product.id for product in catalog] == ["A-0", "A-1"]
    assert "Red" in catalog[0].fields["title"]
    assert set(catalog[0].fields.values()) >= {"Fleet", "wool"}


def test_a_name_of_another_file_type_is_refused(tmp_path):
    found = read_annotations(exported(tmp_path, [annotation(SHOES)]))
    with pytest.raises(AnnotationError, match=r"\.csv or a \.jsonl"):
        found.write(tmp_path / "labels.xlsx")


@pytest.mark.slow
def test_the_commands_there_and_back(run, trained, shop, tmp_path):
    out = tmp_path / "tasks.json"
    code, said, error = run("export-tasks", trained.run, shop.products, "--out", out, "--decision", "review")
    assert code == 0, error
    tasks = json.loads(out.read_text("utf-8"))
    predictions = trained.model.predict(trained.catalog)
    assert [one["data"]["id"] for one in tasks] == [p.id for p in predictions if p.decision == "review"]
    assert f"{len(tasks):,} tasks of 240 products" in said
    assert any(one["data"]["images"].startswith('<img src="data:image/jpeg;base64,') for one in tasks)
    assert find_control((tmp_path / "tasks.xml").read_text("utf-8")) == Control()
    assert json.loads((tmp_path / "tasks.choices.json").read_text("utf-8"))["items"]
    for task_ in tasks:  # as if somebody had accepted all
        task_["annotations"] = [{"id": 1, "completed_by": 1, **task_["predictions"][0]}]
    out.write_text(json.dumps(tasks), "utf-8")
    labelled = tmp_path / "labelled.jsonl"
    code, said, error = run("import-annotations", out, "--out", labelled, "--run", trained.run)
    assert code == 0, error
    assert f"{len(tasks):,} labelled, 0 skipped" in said
    back = {product.id: product.categories[0] for product in aisle.read(labelled)}
    assert back == {p.id: p.best for p in predictions if p.decision == "review"}


def test_the_commands_say_what_is_wrong(run, trained, shop, tmp_path):
    out = tmp_path / "tasks.json"
    assert (
        "--decision maybe"
        in run("export-tasks", trained.run, shop.products, "--out", out, "--decision", "maybe")[2]
    )
    assert (
        "ending in .json" in run("export-tasks", trained.run, shop.products, "--out", tmp_path / "a.csv")[2]
    )
    file = exported(tmp_path, [annotation(["Nowhere"])], [annotation(SHOES, by=1), annotation(HATS, by=2)])
    code, said, error = run("import-annotations", file, "--out", tmp_path / "l.csv", "--run", trained.run)
    assert (code, "0 labelled" in said) == (0, True)
    assert "Nowhere (1)" in error
    assert "annotators disagree: A-1" in error


def test_a_prediction_without_a_decision_is_still_suggested():
    unsure = replace(PREDICTION, path=(), path_id="", decision="review")
    assert task(Product("1"), unsure)["predictions"][0]["result"][0]["value"] == {"taxonomy": [SHOES]}


def test_tasks_for_prodigy_come_back_as_labels(tmp_path):
    hats = Alternative(("Clothing", "Hats"), 0.1)
    prediction = replace(PREDICTION, alternatives=(*PREDICTION.alternatives, hats))
    made = prodigy_task(Product("A-17", {"title": "A & B", "color": "red"}), prediction, ["https://x/1.jpg"])
    assert made["html"].startswith("<p>A &amp; B</p>")
    assert "https://x/1.jpg" in made["html"]
    assert [option["path"] for option in made["options"]] == [SHOES, HATS]
    assert made["accept"] == ["Clothing > Shoes > Trainers"]
    other = made | {"data": made["data"] | {"id": "A-18"}}
    answers = [
        made | {"answer": "accept", "_annotator_id": "a", "_timestamp": 1},
        made | {"answer": "accept", "accept": ["Clothing > Hats"], "_annotator_id": "a", "_timestamp": 2},
        other | {"answer": "reject", "_annotator_id": "a", "_timestamp": 3},
        made | {"data": made["data"] | {"id": "A-19"}},
    ]
    file = tmp_path / "annotated.jsonl"
    file.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    found = read_annotations(file, TREE)
    assert [(row["id"], list(row["category"]), row["images"]) for row in found.rows] == [
        ("A-17", HATS, ["https://x/1.jpg"])
    ]
    assert (found.tasks, found.skipped, found.open) == (3, 1, 1)
    file.write_text('{"text": "x"}\n')
    with pytest.raises(AnnotationError, match="no task"):
        read_annotations(file)


def test_tasks_for_prodigy_are_written(trained, shop, tmp_path, run):
    out = tmp_path / "tasks.jsonl"
    code, said, error = run("export-tasks", trained.run, shop.products, "--out", out)
    assert code == 0, error
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    assert f"{len(lines):,} tasks of" in said
    assert all(line["accept"] for line in lines)
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.jsonl"]
