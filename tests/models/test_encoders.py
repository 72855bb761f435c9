"""Encoders by name: recurrent networks, perceptrons on vectors, timm's pictures."""

import sys

import numpy as np
import pytest
import torch

import aisle
from aisle.errors import MissingExtraError, MissingModelError, RecipeError
from aisle.models.encoders import RecurrentEncoder, TextCNNEncoder, TimmEncoder, VectorEncoder
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor, VectorPreprocessor
from aisle.models.registry import build_part
from tests.shared import SHARED, needs_shared
from tests.training.shop import catalog, recipe
from tests.training.watching import train_watched


def tokens():
    prepare = TokenPreprocessor(max_length=8, vocab_size=60)
    prepare.fit(["red leather boot", "blue cotton shirt", "small desk lamp"])
    return prepare


@pytest.mark.parametrize("kind", RecurrentEncoder.kinds)
def test_recurrent_networks_read_in_order_and_never_the_padding(kind):
    torch.manual_seed(0)
    prepare = tokens()
    encoder = RecurrentEncoder(prepare, kind, dim=12, layers=2).eval()

    def read(*texts):
        arrays = prepare(texts).arrays
        return encoder(**{key: torch.from_numpy(array) for key, array in arrays.items()})

    alone, beside = read("red boot"), read("red boot", "small blue cotton leather lamp", None)
    torch.testing.assert_close(beside.pooled[0], alone.pooled[0])
    assert (read("boot red").pooled[0] - alone.pooled[0]).abs().max() > 1e-3
    assert beside.tokens.shape == (3, beside.mask.shape[1], 12)
    assert beside.present.tolist() == [True, True, False]
    # word by word, both ways, by hand: a cell of one layer read step by step
    one = RecurrentEncoder(prepare, kind, dim=4).eval()
    arrays = {key: torch.from_numpy(a) for key, a in prepare(["red boot"]).arrays.items()}
    x = one.table(arrays["ids"])
    forward, backward = [], []
    for way, found in ((x, forward), (x.flip(1), backward)):
        single = type(one.body)(4, 2, batch_first=True)
        suffix = "_reverse" if found is backward else ""
        for name, parameter in single.named_parameters():
            parameter.data.copy_(getattr(one.body, name + suffix))
        state = None
        for step in range(way.shape[1]):
            out, state = single(way[:, step : step + 1], state)
            found.append(out[0, 0])
    expected = torch.stack([torch.cat(pair) for pair in zip(forward, backward[::-1], strict=True)])
    torch.testing.assert_close(one(**arrays).tokens[0], expected)


def test_text_cnn_is_the_largest_response_of_each_filter():
    torch.manual_seed(0)
    prepare = tokens()
    encoder = TextCNNEncoder(prepare, dim=6, widths=[2, 3]).eval()
    arrays = {
        key: torch.from_numpy(a)
        for key, a in prepare(["red boot", "small blue cotton leather lamp", None]).arrays.items()
    }
    found = encoder(**arrays)
    assert found.present.tolist() == [True, True, False]
    for row, length in enumerate(arrays["mask"].sum(1).tolist()):
        x = encoder.table.weight[arrays["ids"][row, :length]]
        expected = torch.zeros(length, 6)
        for i, (width, layer) in enumerate(zip(encoder.widths, encoder.convolutions, strict=True)):
            for at in range(length):
                total = layer.bias.clone()
                for k in range(width):
                    source = at + k - (width - 1) // 2
                    if 0 <= source < length:
                        total = total + layer.weight[:, :, k] @ x[source]
                expected[at, 3 * i : 3 * i + 3] = total.clamp(min=0)
        torch.testing.assert_close(found.tokens[row, :length], expected)
        largest = expected.amax(0) if length else torch.zeros(6)
        torch.testing.assert_close(found.pooled[row], largest)


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder",
    [
        {"type": "RecurrentEncoder", "kind": "gru", "dim": 16, "max_length": 12},
        {"type": "TextCNNEncoder", "dim": 24, "max_length": 12},
        {"type": "VectorEncoder", "hidden": [16, 8]},
    ],
    ids=lambda e: e["type"],
)
def test_a_recipe_names_them(encoder, tmp_path):
    rows = catalog(60, vectors=True)
    view = {"encoder": encoder, **({"fields": ["clip"]} if encoder["type"] == "VectorEncoder" else {})}
    given = recipe(views={"title": view}, stages=[{"epochs": 12, "batch_size": 8, "lr": 0.02}])
    model = aisle.train(rows, given, out=tmp_path / "run")
    expected = model.score(rows).all()
    np.testing.assert_allclose(aisle.load(tmp_path / "run").score(rows).all(), expected, atol=1e-5)
    right = [a.best == p.categories[0] for a, p in zip(model.predict(rows), rows, strict=True)]
    assert np.mean(right) > 0.7


def test_a_perceptron_on_vectors_is_that():
    assert VectorEncoder(VectorPreprocessor(3), hidden=5).dim == 5
    encoder = VectorEncoder(VectorPreprocessor(3), hidden=[5, 2]).eval()
    assert encoder.dim == 2
    x = torch.randn(4, 3)
    y = x
    for linear, norm, _, _ in zip(*[iter(encoder.body)] * 4, strict=True):
        y = torch.relu(norm(linear(y)))
    torch.testing.assert_close(encoder(x).pooled, y)
    assert torch.equal(VectorEncoder(VectorPreprocessor(3))(x).pooled, x)


def test_options_that_cannot_be_used_are_one_line():
    with pytest.raises(RecipeError, match="kind is one of lstm, gru, rnn, not 'LSTM'"):
        build_part(RecurrentEncoder, "encoder", {"kind": "LSTM"}, preprocessor=tokens())
    with pytest.raises(RecipeError, match="dim 7 must be even"):
        build_part(RecurrentEncoder, "encoder", {"dim": 7}, preprocessor=tokens())
    with pytest.raises(RecipeError, match="multiple of the number of widths"):
        build_part(TextCNNEncoder, "encoder", {"dim": 7}, preprocessor=tokens())


def test_without_timm_the_encoder_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"TimmEncoder needs timm: pip install 'aisle\[timm\]'"):
        TimmEncoder(ImagePreprocessor(32), "vgg11")


# -- with timm ---------------------------------------------------------------------------------


FAMILIES = [
    "seresnext26d_32x4d",
    "vgg11",
    "mobilenetv2_050",
    "efficientnet_b0",
    "swin_tiny_patch4_window7_224",
]


@pytest.mark.timm
@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_families_of_timm_give_patches(name):
    size = 224 if "swin" in name else 64
    encoder = TimmEncoder(ImagePreprocessor(size), name, pretrained=False).eval()
    pixels = torch.randint(0, 255, (2, 1, 3, size, size), dtype=torch.uint8)
    found = encoder(pixels, torch.tensor([[True], [False]]))
    assert found.tokens.shape[2] == encoder.dim == encoder.body.num_features
    assert found.tokens.shape[1] == found.mask.shape[1] >= 4
    assert found.present.tolist() == [True, False]
    assert found.pooled[0].abs().max() > 0
    again = TimmEncoder(ImagePreprocessor(size), config=encoder.config).eval()
    again.load_state_dict(encoder.state_dict())
    torch.testing.assert_close(again(pixels, torch.ones(2, 1).bool()).pooled[0], found.pooled[0])


@pytest.mark.timm
@pytest.mark.slow
def test_an_untrained_se_resnext_takes_a_real_finetuning_step(tmp_path):
    image = {"type": "TimmEncoder", "name": "seresnext50_32x4d", "pretrained": False, "size": 64}
    views = {
        "title": {"encoder": {"type": "TfidfEncoder", "dim": 16, "min_df": 1}},
        "image": {"encoder": image},
    }
    rows = catalog(24)
    given = recipe(views=views, stages=[{"epochs": 1, "batch_size": 32, "optimizer": "RAdam"}])
    model, starts = train_watched(rows, given, out=tmp_path / "run")
    before, after = starts["train"], model.model.state_dict()
    moved = [
        key for key in before if key.startswith("encoders.") and not torch.equal(before[key], after[key])
    ]
    assert any(".se.fc1.weight" in key for key in moved)  # squeeze and excitation learns
    assert any("running_mean" in key for key in moved)
    np.testing.assert_allclose(
        aisle.load(tmp_path / "run").score(rows).all(), model.score(rows).all(), atol=1e-4
    )


@pytest.mark.timm
@needs_shared
@pytest.mark.slow
def test_a_timm_folder_is_read_offline_with_its_own_normalisation():
    encoder = TimmEncoder(ImagePreprocessor(96), str(SHARED / "weights" / "tf_mobilenetv3_small_075")).eval()
    assert encoder.mean.flatten().tolist() == pytest.approx([127.5] * 3)
    assert encoder.body.num_features == encoder.dim
    again = TimmEncoder(ImagePreprocessor(96), config=encoder.config).eval()
    again.load_state_dict(encoder.state_dict())
    pixels = torch.randint(0, 255, (1, 1, 3, 96, 96), dtype=torch.uint8)
    shown = torch.ones(1, 1).bool()
    torch.testing.assert_close(again(pixels, shown).pooled, encoder(pixels, shown).pooled)


@pytest.mark.timm
def test_what_timm_cannot_make_is_one_line(tmp_path):
    with pytest.raises(MissingModelError, match=r"timm model 'resnext-nowhere' cannot be had"):
        TimmEncoder(ImagePreprocessor(64), "resnext-nowhere", pretrained=False)
    with pytest.raises(MissingModelError, match="cannot read its config"):
        TimmEncoder(ImagePreprocessor(64), str(tmp_path))
