"""How much of an encoder learns, what rests meanwhile, what a bundle and a checkpoint keep of it."""

import shutil

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import RecipeError
from aisle.training import network as fitting
from aisle.training.loop import EpochStats, StageTrainer
from aisle.training.run import Run
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, catalog, recipe
from tests.training.test_resume import Killed

WORDS = [word for words, _ in PLACES.values() for word in words.split()]
QUICK = {"epochs": 1, "batch_size": 16, "lr": 0.01}

NOTHING = EpochStats(0, 0.0, 0.0, 0.0, {})


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("pretrained")
    return tiny_text(home / "text", WORDS), tiny_vision(home / "vision", 32)


@pytest.fixture(scope="module")
def shop():
    return catalog(40)


def pretrained(folders, stages=(QUICK,), image=None, **title):
    text = {"type": "TransformerTextEncoder", "name": str(folders[0]), "max_length": 16}
    pictures = {"type": "TransformerImageEncoder", "name": str(folders[1]), "size": 32}
    views = {
        "title": {"encoder": text, **title},
        "image": {"encoder": pictures, **(image if image is not None else {"freeze": True})},
    }
    return recipe(views=views, stages=list(stages))


def watched(monkeypatch, shop, given, **more):
    """The trained model, and the network's weights before the first and after every stage."""
    seen = []
    original = fitting.run_stage

    def run_stage(model, *rest):
        seen.append({k: v.clone() for k, v in model.state_dict().items()})
        original(model, *rest)
        seen.append({k: v.clone() for k, v in model.state_dict().items()})

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "run_stage", run_stage)
        return aisle.train(shop, given, **more), seen


def moved(before, after):
    return {k for k in before if k.startswith("encoders.") and not torch.equal(before[k], after[k])}


def test_only_the_last_layers_learn_and_the_rest_keeps_still(folders, shop, monkeypatch):
    modes = {}
    original = StageTrainer._step

    def step(self, *args):
        body = self.model.encoders["title"].body
        modes.update({name: module.training for name, module in body.named_modules()})
        return original(self, *args)

    monkeypatch.setattr(StageTrainer, "_step", step)
    _, (before, after) = watched(monkeypatch, shop, pretrained(folders, finetune={"last_layers": 1}))
    changed = moved(before, after)
    assert all(name.startswith("encoders.title.body.encoder.layer.1.") for name in changed)
    assert len(changed) == 16  # six linear maps and two norms, each with its bias
    assert modes["encoder.layer.1.attention.output.dropout"]
    assert not modes["encoder.layer.0.attention.output.dropout"]
    assert not modes["embeddings.dropout"]


def test_the_last_stage_of_a_convolutional_network_learns_with_its_statistics(folders, shop, monkeypatch):
    given = pretrained(folders, freeze=True, image={"finetune": {"last_layers": 1}})
    _, (before, after) = watched(monkeypatch, shop, given)
    changed = moved(before, after)
    assert any(name.endswith("running_mean") for name in changed)
    assert all(name.startswith("encoders.image.body.encoder.stages.1.") for name in changed)


def test_lower_layers_learn_more_slowly(folders, shop, monkeypatch):
    tops = {}
    original = StageTrainer.train_epoch

    def learn(self, advance):
        for group in self.optimizer.param_groups:
            tops.update({id(p): group["max_lr"] for p in group["params"]})
        names = self.model.encoders["title"].named_parameters()
        tops["by name"] = {n: tops.get(id(p)) for n, p in names}
        return original(self, advance)

    monkeypatch.setattr(StageTrainer, "train_epoch", learn)
    stage = {**QUICK, "lr_multipliers": {"title": 0.1}}
    aisle.train(shop, pretrained(folders, [stage], finetune={"layer_decay": 0.5}))
    rates = {name: top for name, top in tops["by name"].items() if top is not None}
    assert rates["body.encoder.layer.1.attention.self.query.weight"] == pytest.approx(1e-3)
    assert rates["body.encoder.layer.0.attention.self.query.weight"] == pytest.approx(5e-4)
    assert rates["body.embeddings.word_embeddings.weight"] == pytest.approx(2.5e-4)


@pytest.mark.parametrize("view", ["title", pytest.param("image", marks=pytest.mark.slow)])
def test_adapters_alone_learn_and_the_bundle_holds_the_sum(folders, shop, tmp_path, monkeypatch, view):
    pytest.importorskip("peft")
    kept = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    plan = {"finetune": {"lora_rank": 4, "lora_alpha": 8.0}}
    given = pretrained(kept, **plan) if view == "title" else pretrained(kept, freeze=True, image=plan)
    states = []
    original = Run.save
    monkeypatch.setattr(Run, "save", lambda run, state: (states.append(state), original(run, state)))
    model, (before, after) = watched(monkeypatch, shop, given, out=tmp_path / "run")
    changed = moved(before, after)
    assert len(changed) == {"title": 24, "image": 12}[view]
    assert all(f"encoders.{view}." in name and ".lora_" in name for name in changed)
    assert {k for k in states[0]["now"]["model"] if k.startswith("encoders.")} == {
        k for k in before if ".lora_" in k
    }
    final = model.model.encoders[view].state_dict()
    assert not any("lora" in name for name in final)
    for name, value in final.items():
        base = before.get(f"encoders.{view}.{name}")
        if base is None:  # an adapted layer: W + alpha / rank * B A
            path = f"encoders.{view}.{name.rpartition('.')[0]}"
            base = before[f"{path}.base_layer.{name.rpartition('.')[2]}"]
            if name.endswith("weight"):
                a, b = (after[f"{path}.lora_{x}.default.weight"] for x in "AB")
                base = base + 2 * (b.flatten(1) @ a.flatten(1)).view_as(base)
        torch.testing.assert_close(value, base)
    expected = model.with_store(None).score(shop).all()  # kept features were computed in other batches
    for folder in kept:
        shutil.rmtree(folder)
    np.testing.assert_array_equal(aisle.load(tmp_path / "run").score(shop).all(), expected)


def test_targets_choose_the_adapted_layers(folders, shop, monkeypatch):
    pytest.importorskip("peft")
    given = pretrained(folders, finetune={"lora_rank": 2, "target_modules": ["query", "value"]})
    _, (before, _) = watched(monkeypatch, shop, given)
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in before if ".lora_" in name}
    assert adapted == {"query", "value"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            ["views.title.finetune={last_layers = 3}"],
            "finetune.last_layers is 3, but TransformerTextEncoder has 2 layers",
        ),
        (
            ["views.title.finetune={lora_rank = 2, last_layers = 1}"],
            "`last_layers` and `lora_rank` are two ways: keep one",
        ),
        (
            ["views.title.finetune={lora_rank = 2, target_modules = ['querry']}"],
            "no layer 'querry'.*mean 'query'",
        ),
        (["views.image.finetune={last_layers = 1}"], "a frozen encoder neither finetunes"),
        (
            ["views.image={encoder={type='VectorEncoder'}, finetune={lora_rank=2}}"],
            "image.*VectorEncoder has no linear or conv",
        ),
        (
            ["views.title.finetune={last_layer = 1}"],
            "unknown key 'views.title.finetune.last_layer'. Did you mean 'last_layers'",
        ),
    ],
)
def test_what_cannot_be_finetuned_is_said_in_one_line(folders, changes, message):
    pytest.importorskip("peft")
    rows = catalog(20, vectors=True)
    more = ["views.image.fields=['clip']"] if "VectorEncoder" in changes[0] else []
    with pytest.raises(RecipeError, match=message):
        aisle.train(rows, pretrained(folders), changes=changes + more)


# -- first with frozen features, then with the encoder ------------------------------------------------

STAGES = [
    {**QUICK, "name": "features", "freeze": ["title"], "epochs": 2},
    {**QUICK, "name": "encoders", "epochs": 2, "lr_multipliers": {"title": 0.1}},
]
LINEAR = {
    "fusion": {"type": "LinearFusion", "dim": 64},
    "head": {"type": "TreeHead", "norm": False},
    "split": {"validation": 0.1, "calibration": 0, "threshold": 0},
}


def staged(folders, stages=STAGES, **title):
    return pretrained(folders, stages, **title) | LINEAR


def test_before_it_learns_an_encoder_runs_once_a_row(folders, shop, monkeypatch):
    rows = []
    original = fitting.run_stage

    def run_stage(model, loss, stage, *rest):
        def count(module, args, output):
            rows.append((stage.name, len(output.pooled)))

        hooks = [e.register_forward_hook(count) for e in model.encoders.values() if e.cacheable]
        original(model, loss, stage, *rest)
        for hook in hooks:
            hook.remove()

    monkeypatch.setattr(fitting, "run_stage", run_stage)
    aisle.train(shop, staged(folders))
    assert not [n for stage, n in rows if stage == "features"]
    learned = sum(n for stage, n in rows if stage == "encoders")
    assert learned >= 2 * 36  # every row in each of two epochs, and those to stop by


def test_a_stage_that_starts_from_an_earlier_one_finds_its_encoders_as_they_were(folders, shop, monkeypatch):
    stages = [STAGES[0], STAGES[1], {**STAGES[1], "name": "again", "init_from": "features"}]
    _, seen = watched(monkeypatch, shop, staged(folders, stages=stages))
    assert moved(seen[2], seen[3])
    monkeypatch.setattr(
        StageTrainer, "train_epoch", lambda self, advance: setattr(self, "done", self.done + 1) or NOTHING
    )
    _, idle = watched(monkeypatch, shop, staged(folders, stages=stages))
    assert not moved(idle[0], idle[5])


@pytest.fixture(scope="module")
def everything(folders):
    """Kept features, then adapters and varied rows."""
    pytest.importorskip("peft")
    return staged(folders, finetune={"lora_rank": 2, "lora_dropout": 0.1}, augment={})


@pytest.fixture(scope="module")
def undisturbed(shop, everything, tmp_path_factory):
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    aisle.train(shop, everything, out=run)
    return (run / "model" / "weights.safetensors").read_bytes()


# Checkpoints: two epochs, the first stage's end, two epochs, the second's end.
@pytest.mark.slow
@pytest.mark.parametrize("saves", [2, 3, 4, 6])
def test_resumed_across_stages_it_ends_bit_identical(
    shop, everything, undisturbed, tmp_path, monkeypatch, saves
):
    count = 0
    original = Run.save

    def save(self, state):
        nonlocal count
        original(self, state)
        count += 1
        if count == saves:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", save)
        with pytest.raises(Killed):
            aisle.train(shop, everything, out=tmp_path / "run")
    aisle.train(shop, everything, out=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "model" / "weights.safetensors").read_bytes() == undisturbed


@pytest.mark.slow
def test_training_rows_vary_and_others_do_not(folders, shop, monkeypatch):
    from aisle.inference.input_pipeline import InputPipeline

    texts = {}
    original = InputPipeline.augmented

    def varied(self, name, values, augment, seeds):
        prepared = original(self, name, values, augment, seeds)
        texts.setdefault(name, []).append((tuple(map(tuple, seeds)), prepared.arrays["ids"].sum()))
        return prepared

    monkeypatch.setattr(InputPipeline, "augmented", varied)
    runs = []
    for _ in range(2):
        texts.clear()
        stages = [{**QUICK, "epochs": 2}]
        model = aisle.train(shop, pretrained(folders, stages, augment={"word_dropout": 0.5}))
        runs.append((texts.copy(), model.score(shop).all()))
    assert set(runs[0][0]) == {"title"}
    assert runs[0][0] == runs[1][0]
    np.testing.assert_array_equal(runs[0][1], runs[1][1])
    first, second = np.array_split([total for _, total in runs[0][0]["title"]], 2)
    assert first.sum() != second.sum()
