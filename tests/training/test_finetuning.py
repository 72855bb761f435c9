"""How much of an encoder learns, what rests meanwhile, what a bundle and a checkpoint keep of it."""

import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

import aisle
from aisle.errors import RecipeError
from aisle.models.encoders import TransformerTextEncoder
from aisle.training.run import Run
from tests.models.pretrained import tiny_text, tiny_vision
from tests.training.shop import PLACES, catalog, recipe
from tests.training.test_resume import Killed
from tests.training.watching import StageProgress, on_forward, train_watched, weights_by_stage

WORDS = [word for words, _ in PLACES.values() for word in words.split()]
QUICK = {"epochs": 1, "batch_size": 16, "lr": 0.01}


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


def moved(before, after):
    return {k for k in before if k.startswith("encoders.") and not torch.equal(before[k], after[k])}


def moved_by_training(shop, given):
    """The weights of encoders that a training of one stage changes."""
    ((before, after),) = weights_by_stage(shop, given)
    return moved(before, after)


def test_only_the_last_layers_learn_and_the_rest_keeps_still(folders, shop):
    modes = {}

    def look(model):
        body = model.encoders["title"].body
        modes.update({name: module.training for name, module in body.named_modules()})

    given = pretrained(folders, finetune={"last_layers": 1})
    with on_forward(look):
        changed = moved_by_training(shop, given)
    assert all(name.startswith("encoders.title.body.encoder.layer.1.") for name in changed)
    assert len(changed) == 16  # six linear maps and two norms, each with its bias
    assert modes["encoder.layer.1.attention.output.dropout"]
    assert not modes["encoder.layer.0.attention.output.dropout"]
    assert not modes["embeddings.dropout"]


def test_the_last_stage_of_a_convolutional_network_learns_with_its_statistics(folders, shop):
    given = pretrained(folders, freeze=True, image={"finetune": {"last_layers": 1}})
    changed = moved_by_training(shop, given)
    assert any(name.endswith("running_mean") for name in changed)
    assert all(name.startswith("encoders.image.body.encoder.stages.1.") for name in changed)


def test_lower_layers_learn_more_slowly(folders, shop):
    names, highest = {}, {}

    def look(model):
        names.update({id(p): name for name, p in model.encoders["title"].named_parameters()})

    def step(optimizer, args, kwargs):
        for group in optimizer.param_groups:
            for name in filter(None, (names.get(id(p)) for p in group["params"])):
                highest[name] = max(highest.get(name, 0.0), group["lr"])

    stage = {**QUICK, "epochs": 4, "schedule": "constant", "warmup": 0, "lr_multipliers": {"title": 0.1}}
    handle = register_optimizer_step_pre_hook(step)
    try:
        with on_forward(look):
            aisle.train(shop, pretrained(folders, [stage], finetune={"layer_decay": 0.5}))
    finally:
        handle.remove()
    assert highest["body.encoder.layer.1.attention.self.query.weight"] == pytest.approx(1e-3)
    assert highest["body.encoder.layer.0.attention.self.query.weight"] == pytest.approx(5e-4)
    assert highest["body.embeddings.word_embeddings.weight"] == pytest.approx(2.5e-4)


@pytest.mark.parametrize("view", ["title", pytest.param("image", marks=pytest.mark.slow)])
def test_adapters_alone_learn_and_the_bundle_holds_the_sum(folders, shop, tmp_path, view):
    pytest.importorskip("peft")
    kept = [shutil.copytree(folder, tmp_path / folder.name) for folder in folders]
    plan = {"finetune": {"lora_rank": 4, "lora_alpha": 8.0}}
    stages = [{**QUICK, "epochs": 2}]
    title = plan if view == "title" else {"freeze": True}
    given = pretrained(kept, stages, image=plan if view == "image" else None, **title)
    networks, trainable, after, checkpoint = [], {}, {}, set()

    def look(network):
        networks.append(network)
        trainable.update({name: p.requires_grad for name, p in network.named_parameters()})
        state = Run(tmp_path / "run", ()).state()  # of the first epoch, during the second
        checkpoint.update(k for k in (state or {"now": {"model": {}}})["now"]["model"] if "encoders." in k)

    def step(optimizer, args, kwargs):
        after.update({name: value.clone() for name, value in networks[-1].state_dict().items()})

    handle = register_optimizer_step_post_hook(step)
    try:
        with on_forward(look):
            model, starts = train_watched(shop, given, out=tmp_path / "run")
    finally:
        handle.remove()
    before = starts["train"]
    adapters = {name for name in before if ".lora_" in name}
    assert len(adapters) == {"title": 24, "image": 12}[view]
    assert {name for name, learns in trainable.items() if learns and name.startswith("encoders.")} == adapters
    assert moved(before, after) == checkpoint == adapters
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


def test_targets_choose_the_adapted_layers(folders, shop):
    pytest.importorskip("peft")
    given = pretrained(folders, finetune={"lora_rank": 2, "target_modules": ["query", "value"]})
    _, starts = train_watched(shop, given)
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in starts["train"] if ".lora_" in name}
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


def test_before_it_learns_an_encoder_runs_once_a_row(folders, shop):
    rows, progress = Counter(), StageProgress()

    def count(module, args, output):
        if isinstance(module, TransformerTextEncoder):
            rows[progress.stage] += len(output.pooled)

    handle = register_module_forward_hook(count)
    try:
        aisle.train(shop, staged(folders), progress=progress)
    finally:
        handle.remove()
    assert not rows["features"]
    assert rows["encoders"] >= 2 * 36  # every row in each of two epochs, and those to stop by


def test_a_stage_that_starts_from_an_earlier_one_finds_its_encoders_as_they_were(folders, shop):
    stages = [STAGES[0], STAGES[1], {**STAGES[1], "name": "again", "init_from": "features"}]
    model, starts = train_watched(shop, staged(folders, stages=stages))
    assert not moved(starts["features"], starts["again"])
    assert moved(starts["again"], model.model.state_dict())


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
