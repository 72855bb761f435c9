"""Any family of transformers models: read, told how to pool, finetuned, rebuilt from a bundle's config."""

import json

import pytest
import torch
import transformers

from aisle.errors import RecipeError
from aisle.model.encoders import TransformerImage, TransformerText
from aisle.model.finetune import depths, merge, prepare
from aisle.model.plan import Finetune
from aisle.model.prepare import Pictures, Tokens
from tests.model.pretrained import tiny_text, tiny_vision

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
    prepare(encoder, Finetune(last=1), "view")
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(name not in encoder.fixed)
    encoder(**arrays).pooled.square().sum().backward()
    learned = {name for name, p in encoder.named_parameters() if p.grad is not None}
    assert learned
    depth = depths(encoder)
    assert all(depth[name] == 0 for name in learned)
    assert max(depth.values()) >= 2
    for parameter in encoder.parameters():
        parameter.requires_grad_(True).grad = None


def adapters_add_up(encoder, arrays):
    pytest.importorskip("peft")
    before = encoder(**arrays).pooled
    prepare(encoder, Finetune(lora=2), "view")
    torch.testing.assert_close(encoder(**arrays).pooled, before)
    with torch.no_grad():
        for name, parameter in encoder.named_parameters():
            if ".lora_B." in name:
                parameter.normal_()
    adapted = encoder(**arrays).pooled
    assert not torch.allclose(adapted, before)
    merge(encoder)
    torch.testing.assert_close(encoder(**arrays).pooled, adapted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", TEXTS)
def test_every_family_of_texts(tmp_path, tokenizer, family):
    name = folder_of(tmp_path, family, TEXTS[family], tokenizer)
    tokens = Tokens(name, length=8)
    encoder = TransformerText(tokens, name).eval()
    arrays = {k: torch.from_numpy(v) for k, v in tokens([*WORDS, None]).arrays.items()}
    encoded = encoder(**arrays)
    assert encoded.pooled.shape == (4, 16)
    assert encoded.present.tolist() == [True, True, True, False]
    torch.testing.assert_close(again(TransformerText, encoder, tokens)(**arrays).pooled, encoded.pooled)
    only_the_last_layer_learns(encoder, arrays)
    adapters_add_up(encoder, arrays)


@pytest.mark.parametrize("family", PICTURES)
def test_every_family_of_pictures(tmp_path, family):
    name = folder_of(tmp_path, family, PICTURES[family])
    pictures = Pictures(32, 2)
    encoder = TransformerImage(pictures, name).eval()
    pixels = torch.randint(0, 255, (2, 2, 3, 32, 32), dtype=torch.uint8)
    arrays = {"pixels": pixels, "shown": torch.tensor([[True, True], [True, False]])}
    encoded = encoder(**arrays)
    alone = encoder(pixels[1:, :1], torch.tensor([[True]])).pooled
    torch.testing.assert_close(encoded.pooled[1:], alone, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(again(TransformerImage, encoder, pictures)(**arrays).pooled, encoded.pooled)
    only_the_last_layer_learns(encoder, arrays)
    adapters_add_up(encoder, arrays)


def test_the_models_own_pooling_is_used_unless_another_is_named(tmp_path, tokenizer):
    name = folder_of(tmp_path, "Bert", SMALL, tokenizer)
    tokens = Tokens(name, length=8)
    arrays = {k: torch.from_numpy(v) for k, v in tokens(WORDS).arrays.items()}
    mean, first = (TransformerText(tokens, name, pooling)(**arrays).pooled for pooling in ("mean", "first"))
    assert torch.equal(TransformerText(tokens, name)(**arrays).pooled, mean)
    (tmp_path / "1_Pooling").mkdir()
    said = tmp_path / "1_Pooling" / "config.json"
    said.write_text(json.dumps({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}))
    encoder = TransformerText(tokens, name)
    assert torch.equal(encoder(**arrays).pooled, first)
    assert torch.equal(again(TransformerText, encoder, tokens)(**arrays).pooled, first)
    assert torch.equal(TransformerText(tokens, name, "mean")(**arrays).pooled, mean)
    with pytest.raises(ValueError, match="'auto', 'mean' or 'first', not 'last'"):
        TransformerText(tokens, name, "last")


def test_attention_over_patches_begins_as_their_mean_and_can_look_at_one(tmp_path):
    name = str(tiny_vision(tmp_path, 64))
    pictures = Pictures(64, 2)
    pixels = torch.randint(0, 255, (2, 2, 3, 64, 64), dtype=torch.uint8)
    shown = torch.tensor([[True, True], [True, False]])
    mean = TransformerImage(pictures, name)(pixels, shown)
    encoder = TransformerImage(pictures, name, pooling="attention")
    torch.testing.assert_close(encoder(pixels, shown).pooled, mean.pooled)
    with torch.no_grad():
        encoder.attend.weight[0, 0] = 1e6
    tokens = mean.tokens[1][mean.mask[1]]
    torch.testing.assert_close(encoder(pixels, shown).pooled[1], tokens[tokens[:, 0].argmax()])
    assert encoder(pixels, torch.zeros(2, 2, dtype=torch.bool)).pooled.abs().sum() == 0


def test_more_layers_than_there_are_is_one_line(tmp_path, tokenizer):
    name = folder_of(tmp_path, "Bert", SMALL, tokenizer)
    encoder = TransformerText(Tokens(name, length=8), name)
    with pytest.raises(
        RecipeError, match=r"views\.title\.finetune\.last is 4, but TransformerText has 3 layers"
    ):
        prepare(encoder, Finetune(last=4), "title")
