"""Recipes are TOML, validated at every depth, and read back as they were written."""

import pytest

import aisle
from aisle.errors import RecipeError
from aisle.training.recipe import load_recipe, shipped
from aisle.training.recipe_toml import to_toml
from tests.training.shop import catalog, recipe


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_loads_describes_itself_and_survives_toml(name, tmp_path):
    found = load_recipe(name)
    assert found.name == name
    assert found.description.endswith(".")
    (tmp_path / "copy.toml").write_text(to_toml(found))
    assert load_recipe(tmp_path / "copy.toml") == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("vews=1", "unknown key 'vews'.* Did you mean 'views'"),
        ("views.text.encodr=1", r"unknown key 'views\.text\.encodr'.* Did you mean 'encoder'"),
        ("stages.0.epohcs=3", r"unknown key 'stages\.0\.epohcs'.* Did you mean 'epochs'"),
        ("split.validatio=0.1", r"unknown key 'split\.validatio'.* Did you mean 'validation'"),
        ("guarantee.presicion=0.9", r"unknown key 'guarantee\.presicion'.* Did you mean 'precision'"),
        ("stages.0.lr=-1", r"stages\.0\.lr: .*greater than 0 \(got -1\)"),
        ("stages.0.epochs=many", r"stages\.0\.epochs: .*integer.*\(got 'many'\)"),
        ("stages.0.optimizer=Adan", r"stages\.0\.optimizer: .*'AdamW'"),
        ("stages.7.epochs=1", "stages is a list; use 0 to 0"),
        ("seed.x=1", "seed is no table"),
        ("seed", "is not KEY=VALUE"),
        ('stages.0.freeze=["texts"]', "stage 'train' names 'texts'. Did you mean 'text'"),
        ('stages.0.freeze=["text", "image", "fusion", "head"]', "stage 'train' freezes everything"),
        ("stages.0.init_from=before", "starts from 'before', no earlier stage"),
        ("fusion.type=false", "fusion.type"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_neighbor(change, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("huse", ["seed=1", change] if change.startswith("seed.") else [change])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("famly=linear", "unknown key 'famly'.* Did you mean 'family'"),
        ("family=liner", "no family 'liner'.* Did you mean 'linear'"),
        ("views.text.max_featurs=9", r"unknown key 'views\.text\.max_featurs'.* Did you mean 'max_features'"),
        ("views.titel.scale=2", r"views\.titel.* Did you mean 'title'"),
        ("views.text.max_n=2", "max_n 2 is less than min_n 3"),
        ("linear_svm.penalty=0", r"linear_svm\.penalty: .*greater than 0 \(got 0\)"),
        ("stages.0.epochs=3", "unknown key 'stages'"),
        ("text_encoder=MiniLM", "reads no text encoder: leave --text-encoder out"),
        (
            "views.meaning={type='TextEncoder'}",
            "'meaning' reads the recipe's text_encoder, and none",
        ),
    ],
)
def test_what_is_wrong_in_a_linear_recipe_is_told_the_same_way(change, message):
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("fast", [change])
    assert "\n" not in str(caught.value)


def test_an_encoder_is_named_once():
    huse = load_recipe("huse", ["text_encoder=/my/texts", "image_encoder=/my/images"])
    assert huse.views["text"].encoder.options["name"] == "/my/texts"
    assert huse.views["image"].encoder.options["name"] == "/my/images"
    named = [loss.options.get("label_encoder") for loss in huse.losses]
    assert [name for name in named if name] == ["/my/texts"]
    assert load_recipe("balanced", ["text_encoder=/my/texts"]).text_encoder == "/my/texts"
    every = load_recipe("multilevel", ["text_encoder=/my/texts"])
    assert {v.encoder.options["name"] for n, v in every.views.items() if "bert" in n} == {"/my/texts"}
    with pytest.raises(RecipeError, match="refers to image_encoder, and the recipe names none"):
        load_recipe(
            {
                **load_recipe("huse").model_dump(exclude_none=True, exclude={"image_encoder"}),
                "views": {"image": {"encoder": {"type": "TransformerImageEncoder", "name": "image_encoder"}}},
            }
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("views.title.encoder.dims=4", "encoder TfidfEncoder has no option 'dims'.* Did you mean 'dim'"),
        ("views.title.encoder.type=TfidfEncodr", "no encoder 'TfidfEncodr'.* Did you mean 'TfidfEncoder'"),
        ("fusion.dims=4", "fusion LinearFusion has no option 'dims'.* Did you mean 'dim'"),
        ("head.droput=0.1", "head TreeHead has no option 'droput'.* Did you mean 'dropout'"),
        (
            "losses.0.label_smothing=0.1",
            "loss CrossEntropyLoss has no option 'label_smothing'.* Did you mean 'label_smoothing'",
        ),
        ("losses.0.wieght=0.1", "loss CrossEntropyLoss has no option 'wieght'.* Did you mean 'weight'"),
        ("losses.0.type=CrosEntropy", "no loss 'CrosEntropy'.* Did you mean 'CrossEntropyLoss'"),
    ],
)
def test_options_of_parts_are_checked_before_anything_is_learned(change, message, tmp_path):
    with pytest.raises(RecipeError, match=message):
        aisle.train(
            catalog(20), recipe(losses=[{"type": "CrossEntropyLoss"}]), changes=[change], out=tmp_path / "run"
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["type", "values", "fusion", "a.b", "../up", "1st", ""])
def test_a_views_name_that_torch_or_a_folder_cannot_bear_is_refused(name):
    views = {name: {"encoder": {"type": "TfidfEncoder"}, "fields": ["title"]}}
    with pytest.raises(RecipeError, match="view name"):
        load_recipe(recipe(views=views))


def test_set_overrides_anything_and_changes_no_dict_of_the_callers():
    given = recipe()
    found = load_recipe(
        given,
        ["views.title.encoder.dim=99", "stages.0.lr_multipliers.head=0.5", "name=mine", "views.image=false"],
    )
    assert found.views["title"].encoder.options["dim"] == 99
    assert found.stages[0].lr_multipliers == {"head": 0.5}
    assert found.name == "mine"
    assert list(found.views) == ["title"]
    assert given == recipe()


@pytest.mark.parametrize("name", ["simple", "cross-attention", "multilevel", "best"])
def test_a_view_left_out_is_out_of_stages_and_fusion_too(name):
    """As docs/recipes.md says: text alone, picture alone."""
    pictures = [view for view in load_recipe(name).views if "im" in view]
    found = load_recipe(name, [f"views.{view}=false" for view in pictures])
    assert set(found.views) == set(load_recipe(name).views) - set(pictures)
    assert "image" not in [stage.name for stage in found.stages]
    said = to_toml(found)
    assert not [view for view in pictures if f'"{view}"' in said or f"{view} =" in said]
    with pytest.raises(RecipeError):
        load_recipe(name, [f"views.{view}=false" for view in load_recipe(name).views])


def test_strange_values_survive_toml(tmp_path):
    views = {
        "été-2": {"encoder": {"type": "TfidfEncoder"}, "fields": ['a "b"\\', "\x7f\x00\t", "日本 🛍", ""]}
    }
    given = recipe(views=views, name='"', losses=[{"type": "CrossEntropyLoss", "weight": 1e-7}])
    found = load_recipe(given, ["stages.0.lr=1.5e-5"])
    (tmp_path / "r.toml").write_text(to_toml(found))
    assert load_recipe(tmp_path / "r.toml") == found


@pytest.mark.parametrize(("text", "message"), [("= 3", "is not TOML"), ("\udcff", "cannot be read")])
def test_a_file_that_is_no_toml_says_so(tmp_path, text, message):
    file = tmp_path / "r.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RecipeError, match=message):
        load_recipe(file)
    with pytest.raises(RecipeError, match=r"no recipe 'fats'.* Did you mean 'fast'"):
        load_recipe("fats")
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "none.toml")


def test_two_stages_of_one_name_are_refused():
    with pytest.raises(RecipeError, match="two stages are called 'train'"):
        load_recipe(recipe(stages=[{}, {}]))
