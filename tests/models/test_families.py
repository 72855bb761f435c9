"""Any family of transformers models: read, told how to pool, finetuned, rebuilt from a bundle's config."""

import json

import pytest
import torch
import transformers

from aisle.errors import RecipeError
from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder
from aisle.models.finetune import layers_from_top, merge_adapters, prepare_finetuning
from aisle.models.options import Finetune
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor
from tests.models.pretrained import tiny_flaubert, tiny_text, tiny_vision

WORDS = ["red boots", "blue lamp", "green chair of wood"]
SMALL = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 16}
T5 = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 3, "num_heads": 2}
XLM = {"emb_dim": 16, "n_layers": 3, "n_heads": 2, "gelu_activation": True}
DISTIL = {"dim": 16, "n_layers": 3, "n_heads": 2, "hidden_dim": 16}
CLIP = {
    "text_config": SMALL,
    "vision_config": {**SMALL, "image_size": 32, "patch_size": 16},
    "projection_dim": 8,
}
TEXTS = {
    "Bert": SMALL,
    "Camembert": SMALL,
    "DistilBert": DISTIL,
    "Flaubert": XLM,
    "MPNet": SMALL,
    "ModernBert": {**SMALL, "pad_token_id": 0},
    "T5": T5,
    "CLIP": CLIP,
}
PICTURES = {
    "ViT": {**SMALL, "image_size": 32, "patch_size": 16},
    "Dinov2": {**SMALL, "image_size": 32, "patch_size": 16},
    "ConvNext": {"hidden_sizes": [8, 16], "depths": [1, 1], "num_stages": 2},
    "Swin": {"image_size": 32, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 2},
    "MobileNetV2": {"depth_multiplier": 0.1, "image_size": 32},
    "CLIP": CLIP,
}


def folder_of(home, family, options, tokenizer=None):
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**options)
    if tokenizer is not None and hasattr(config, "vocab_size"):
        config.vocab_size = 200
    getattr(transformers, f"{family}Model")(config).eval().save_pretrained(home)
    if tokenizer is not None:
        (home / "tokenizer.json").write_text(tokenizer)
    return str(home)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return (tiny_text(tmp_path_factory.mktemp("bert"), WORDS) / "tokenizer.json").read_text()


def again(cls, encoder, prepare):
    """As a bundle does: built from its configuration, then given its weights."""
    config = json.loads(json.dumps(encoder.config))
    rebuilt = cls(prepare, pooling=encoder.pooling, config=config)
    rebuilt.load_state_dict(encoder.state_dict())
    return rebuilt.eval()


def only_the_last_layer_learns(encoder, arrays):
    prepare_finetuning(encoder, Finetune(last_layers=1), "view")
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name not in encoder.frozen_parameters)
    encoder(**arrays).pooled.square().sum().backward()
    learned = {name for name, p in encoder.named_parameters() if p.grad is not None}
    depth = layers_from_top(encoder)
    top = {name for name, layers in depth.items() if layers == 0}
    assert learned <= top
    unused = ("layernorm", "pooler")  # of a pooling that this encoder does not use
    assert [name for name in top - learned if not any(part in name for part in unused)] == []
    assert max(depth.values()) >= 2
    for parameter in encoder.parameters():
        parameter.requires_grad_(True).grad = None


def adapters_add_up(encoder, arrays):
    pytest.importorskip("peft")
    before = encoder(**arrays).pooled
    prepare_finetuning(encoder, Finetune(lora_rank=2), "view")
    torch.testing.assert_close(encoder(**arrays).pooled, before)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if ".lora_B." in name:
                parameter.normal_()
    adapted = encoder(**arrays).pooled
    assert not torch.allclose(adapted, before)
    merge_adapters(encoder)
    torch.testing.assert_close(encoder(**arrays).pooled, adapted, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("family", TEXTS)
def test_every_family_of_texts(tmp_path, tokenizer, family):
    name = folder_of(tmp_path, family, TEXTS[family], tokenizer)
    tokens = TokenPreprocessor(name, max_length=8)
    encoder = TransformerTextEncoder(tokens, name).eval()
    arrays = {k: torch.from_numpy(v) for k, v in tokens([*WORDS, None]).arrays.items()}
    encoded = encoder(**arrays)
    assert encoded.pooled.shape == (4, 16)
    assert encoded.present.tolist() == [True, True, True, False]
    torch.testing.assert_close(
        again(TransformerTextEncoder, encoder, tokens)(**arrays).pooled, encoded.pooled
    )
    only_the_last_layer_learns(encoder, arrays)
    adapters_add_up(encoder, arrays)


@pytest.mark.parametrize("family", PICTURES)
def test_every_family_of_pictures(tmp_path, family):
    name = folder_of(tmp_path, family, PICTURES[family])
    pictures = ImagePreprocessor(32, 2)
    encoder = TransformerImageEncoder(pictures, name).eval()
    pixels = torch.randint(0, 255, (2, 2, 3, 32, 32), dtype=torch.uint8)
    arrays = {"pixels": pixels, "shown": torch.tensor([[True, True], [True, False]])}
    encoded = encoder(**arrays)
    alone = encoder(pixels[1:, :1], torch.tensor([[True]])).pooled
    torch.testing.assert_close(encoded.pooled[1:], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        again(TransformerImageEncoder, encoder, pictures)(**arrays).pooled, encoded.pooled
    )
    only_the_last_layer_learns(encoder, arrays)
    adapters_add_up(encoder, arrays)


def test_the_models_own_pooling_is_used_unless_another_is_named(tmp_path, tokenizer):
    name = folder_of(tmp_path, "Bert", SMALL, tokenizer)
    tokens = TokenPreprocessor(name, max_length=8)
    arrays = {k: torch.from_numpy(v) for k, v in tokens(WORDS).arrays.items()}
    mean, first = (
        TransformerTextEncoder(tokens, name, pooling)(**arrays).pooled for pooling in ("mean", "cls")
    )
    assert torch.equal(TransformerTextEncoder(tokens, name)(**arrays).pooled, mean)
    (tmp_path / "1_Pooling").mkdir()
    said = tmp_path / "1_Pooling" / "config.json"
    said.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    encoder = TransformerTextEncoder(tokens, name)
    assert torch.equal(encoder(**arrays).pooled, first)
    assert torch.equal(again(TransformerTextEncoder, encoder, tokens)(**arrays).pooled, first)
    assert torch.equal(TransformerTextEncoder(tokens, name, "mean")(**arrays).pooled, mean)
    with pytest.raises(ValueError, match="pooling 'last' is none of auto, mean, cls, max, lasttoken"):
        TransformerTextEncoder(tokens, name, "last")


def test_attention_over_patches_begins_as_their_mean_and_can_look_at_one(tmp_path):
    name = str(tiny_vision(tmp_path, 64))
    pictures = ImagePreprocessor(64, 2)
    pixels = torch.randint(0, 255, (2, 2, 3, 64, 64), dtype=torch.uint8)
    shown = torch.tensor([[True, True], [True, False]])
    mean = TransformerImageEncoder(pictures, name)(pixels, shown)
    encoder = TransformerImageEncoder(pictures, name, pooling="attention")
    torch.testing.assert_close(encoder(pixels, shown).pooled, mean.pooled)
    with torch.no_grad():
        encoder.attend.weight[0, 0] = 1e6
    tokens = mean.tokens[1][mean.mask[1]]
    torch.testing.assert_close(encoder(pixels, shown).pooled[1], tokens[tokens[:, 0].argmax()])
    assert encoder(pixels, torch.zeros(2, 2, dtype=torch.bool)).pooled.abs().sum() == 0


def test_more_layers_than_there_are_is_one_line(tmp_path, tokenizer):
    name = folder_of(tmp_path, "Bert", SMALL, tokenizer)
    encoder = TransformerTextEncoder(TokenPreprocessor(name, max_length=8), name)
    with pytest.raises(
        RecipeError,
        match=r"views\.title\.finetune\.last_layers is 4, but TransformerTextEncoder has 3 layers",
    ):
        prepare_finetuning(encoder, Finetune(last_layers=4), "title")


POOLED = {
    "mean": lambda t: t.mean(0),
    "cls": lambda t: t[0],
    "max": lambda t: t.max(0).values,
    "lasttoken": lambda t: t[-1],
    "mean_sqrt_len": lambda t: t.sum(0) / len(t) ** 0.5,
    "weightedmean": lambda t: sum(n * row for n, row in enumerate(t, 1)) / sum(range(1, len(t) + 1)),
}
SAID = {
    "mean": "mean_tokens",
    "cls": "cls_token",
    "max": "max_tokens",
    "lasttoken": "lasttoken",
    "mean_sqrt_len": "mean_sqrt_len_tokens",
    "weightedmean": "weightedmean_tokens",
}


def pooled_as(folder, settings, place="1_Pooling"):
    """A folder with a sentence-transformers' pooling module."""
    (folder / place).mkdir(exist_ok=True)
    (folder / place / "config.json").write_text(json.dumps(settings))
    modules = [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": place, "type": "sentence_transformers.models.Pooling"},
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


@pytest.mark.parametrize("how", POOLED)
def test_a_folders_own_pooling_is_computed(how, tmp_path):
    """Texts of several lengths in one batch, each pooled by hand over its own tokens."""
    folder = tiny_text(tmp_path / "text", ["red shoes leather", "oak table", "blue"])
    texts = ["red shoes red leather", "oak", "blue table"]
    pooled_as(folder, {f"pooling_mode_{name}": said == how for said, name in SAID.items()})
    tokens = TokenPreprocessor(str(folder), max_length=16)
    encoder = TransformerTextEncoder(tokens, str(folder)).eval()
    arrays = {k: torch.from_numpy(v) for k, v in tokens([*texts, None]).arrays.items()}
    with torch.no_grad():
        found = encoder(**arrays)
        for i in range(len(texts)):
            ids = arrays["ids"][i][arrays["mask"][i]]
            alone = encoder.body(input_ids=ids[None]).last_hidden_state[0]
            torch.testing.assert_close(found.pooled[i], POOLED[how](alone), atol=1e-5, rtol=1e-4)
    assert torch.isfinite(found.pooled).all()
    pooled_as(folder, {"pooling_mode": how}, "3_Pooling")  # as newer versions write it, anywhere
    again = TransformerTextEncoder(tokens, str(folder)).eval()
    with torch.no_grad():
        assert torch.equal(again(**arrays).pooled, found.pooled)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (
            {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True},
            "puts cls and mean side by side",
        ),
        ({"pooling_mode_mean_tokens": False}, "names no pooling"),
        ({"pooling_mode": "attention"}, "pools by 'attention', which is none of mean, cls, max"),
        ({"pooling_mode_magic": True}, "pools by 'magic'"),
        ({"pooling_mode": ["max", "mean"]}, "puts max and mean side by side"),
    ],
)
def test_a_pooling_that_is_not_known_is_refused_and_one_that_is_named_counts(settings, why, tmp_path):
    folder = tiny_text(tmp_path / "text", ["red shoes"])
    pooled_as(folder, settings)
    tokens = TokenPreprocessor(str(folder), max_length=16)
    with pytest.raises(ValueError, match=why) as told:
        TransformerTextEncoder(tokens, str(folder))
    assert "\n" not in str(told.value)
    assert TransformerTextEncoder(tokens, str(folder), "mean").config["pooling"] == "mean"


def test_flaubert_reads_as_many_tokens_as_it_has_positions(tmp_path):
    folder = tiny_flaubert(tmp_path / "flaubert", ["boot leather", "lamp"], length=24)
    tokens = TokenPreprocessor(str(folder), max_length=24)
    encoder = TransformerTextEncoder(tokens, str(folder)).eval()
    arrays = tokens([" ".join(["boot"] * 60)]).arrays
    assert arrays["mask"].sum() == 24
    assert encoder(**{k: torch.from_numpy(v) for k, v in arrays.items()}).tokens.shape[1] == 24
    with pytest.raises(ValueError, match="length 25 is more than the 24 positions"):
        TransformerTextEncoder(TokenPreprocessor(str(folder), max_length=25), str(folder))
