"""Design rule 5: parts are plain modules that keep their constructor's arguments under their own names."""

import inspect
import json
import sys

import pytest
import torch
from torch import nn

from aisle.errors import RecipeError
from aisle.models import encoders, fusions, heads, losses
from aisle.models.preprocessing import (
    ImagePreprocessor,
    TfidfPreprocessor,
    TokenPreprocessor,
    VectorPreprocessor,
)
from aisle.models.registry import build_part, find_part
from tests.models.build import DIMS, context
from tests.models.pretrained import tiny_text, tiny_vision

KINDS = {"encoder": encoders, "fusion": fusions, "head": heads, "loss": losses}
EVERY = [
    pytest.param(kind, name, marks=pytest.mark.timm if name == "TimmEncoder" else ())
    for kind, module in KINDS.items()
    for name in module.__all__
]
WORDS = ["red boots", "red lamp", "desk lamp", "boots for rain"]
SUPPLIED = {"preprocessor", "context", "dims", "config", "modalities"}  # by the house, not by the recipe


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What the house supplies to each kind of part, and options that it cannot do without."""
    home = tmp_path_factory.mktemp("pretrained")
    texts, pictures = tiny_text(home / "text", WORDS), tiny_vision(home / "vision", 32)

    def supply(kind, name):
        if kind != "encoder":
            return {"dims": DIMS, "dim": 8, "context": context()}, {}
        prepare = {
            "TfidfEncoder": TfidfPreprocessor(min_df=1),
            "RecurrentEncoder": TokenPreprocessor(vocab_size=60),
            "ConvEncoder": ImagePreprocessor(32),
            "SubwordEncoder": TokenPreprocessor(vocab_size=60),
            "TextCNNEncoder": TokenPreprocessor(vocab_size=60),
            "TimmEncoder": ImagePreprocessor(32),
            "TransformerImageEncoder": ImagePreprocessor(32),
            "TransformerTextEncoder": TokenPreprocessor(str(texts)),
            "VectorEncoder": VectorPreprocessor(4),
        }[name]
        prepare.fit([torch.zeros(4).numpy()] if name == "VectorEncoder" else WORDS)
        folders = {"TransformerImageEncoder": pictures, "TransformerTextEncoder": texts}
        if name == "TimmEncoder":
            return {"preprocessor": prepare}, {"name": "mobilenetv2_035", "pretrained": False}
        return {"preprocessor": prepare}, {"name": str(folders[name])} if name in folders else {}

    return supply


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_every_part_is_a_module_that_keeps_its_arguments(kind, name, given):
    cls = getattr(KINDS[kind], name)
    house, options = given(kind, name)
    parameters = inspect.signature(cls).parameters
    if kind == "fusion" and "dim" in parameters:
        options["dim"] = house["dim"]
    house = {k: v for k, v in house.items() if k not in options}
    part = build_part(cls, kind, options, **house)
    assert isinstance(part, nn.Module)
    for key, parameter in parameters.items():
        if key in SUPPLIED:
            continue
        expected = options.get(key, house.get(key, parameter.default))
        kept = getattr(part, key)
        assert kept == expected or expected is None, f"{name} keeps {key!r} under another name"


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_a_misspelled_option_names_the_nearest_one(kind, name, given):
    cls = getattr(KINDS[kind], name)
    house, _ = given(kind, name)
    with pytest.raises(RecipeError, match=f"{kind} {name} has no option 'zzz'"):
        build_part(cls, kind, {"zzz": 1}, **house)


def test_unknown_parts_and_options_are_told_their_neighbors():
    with pytest.raises(RecipeError, match=r"there is no fusion 'ConkatFusion'\. Did you mean 'ConcatFusion'"):
        find_part(fusions, "fusion", "ConkatFusion", trust_code=False)
    with pytest.raises(RecipeError, match=r"has no option 'hiden'\. Did you mean 'hidden'"):
        build_part(fusions.GatedFusion, "fusion", {"hiden": 1}, dims=DIMS)


@pytest.mark.parametrize("options", [{"dim": -3}, {"dim": "wide"}, {"dim": 2.5}, {"dim": 16, "heads": 3}])
def test_values_a_constructor_refuses_are_one_clean_line(options):
    prepare = TokenPreprocessor(vocab_size=60)
    prepare.fit(WORDS)
    with pytest.raises(RecipeError, match=r"^encoder SubwordEncoder: [^\n]+$"):
        build_part(encoders.SubwordEncoder, "encoder", options, preprocessor=prepare)


def test_outside_code_is_run_only_if_trusted_and_only_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = (
        "from pathlib import Path\nPath('ran').write_text(str(Path('ran').exists()))\nclass Bilinear: pass\n"
    )
    (tmp_path / "my_file.py").write_text(code)
    with pytest.raises(RecipeError, match="trust_code=True"):
        find_part(fusions, "fusion", "my_file:Bilinear", trust_code=False)
    assert not (tmp_path / "ran").exists()
    first = find_part(fusions, "fusion", "my_file:Bilinear", trust_code=True)
    assert first is find_part(fusions, "fusion", "my_file.py:Bilinear", trust_code=True)
    assert (tmp_path / "ran").read_text() == "False"
    for wrong in ("my_file:Trilinear", "no_such_file:Bilinear"):
        with pytest.raises(RecipeError, match="cannot be loaded"):
            find_part(fusions, "fusion", wrong, trust_code=True)


def test_outside_code_hides_no_module_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("class Part: pass\n")
    find_part(heads, "head", "json:Part", trust_code=True)
    assert sys.modules["json"] is json


def test_a_file_that_fails_says_how(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(RecipeError, match="'broken:Part' cannot be loaded: ZeroDivisionError"):
        find_part(heads, "head", "broken:Part", trust_code=True)
