"""A network's encoders as Transformers folders."""

import pytest

import aisle

torch = pytest.importorskip("torch")

from aisle.inference.encoder_folders import EncoderExportError, export_encoders  # noqa: E402
from aisle.models.encoders import TransformerImageEncoder, TransformerTextEncoder  # noqa: E402
from aisle.models.preprocessing import ImagePreprocessor, TokenPreprocessor  # noqa: E402
from tests.inference.conftest import run as run  # noqa: E402, a fixture
from tests.models.pretrained import tiny_text, tiny_vision  # noqa: E402

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def network(shop, tmp_path_factory):
    """A network whose encoders are finetuned, and its run."""
    home = tmp_path_factory.mktemp("encoders")
    catalog = aisle.read(shop.products)
    texts = [product.fields["title"] for product in catalog]
    text, image = tiny_text(home / "bert", texts), tiny_vision(home / "resnet", 32)
    recipe = {
        "name": "tuned",
        "views": {
            "title": {
                "fields": ["title"],
                "encoder": {
                    "type": "TransformerTextEncoder",
                    "name": str(text),
                    "pooling": "cls",
                    "max_length": 16,
                },
            },
            "image": {"encoder": {"type": "TransformerImageEncoder", "name": str(image), "size": 32}},
        },
        "fusion": {"type": "LinearFusion", "dim": 16},
        "head": {"type": "TreeHead"},
        "losses": [{"type": "CrossEntropyLoss"}],
        "stages": [{"epochs": 1, "lr": 0.005}],
    }
    return home / "run", aisle.train(catalog, recipe, out=home / "run", track=[])


def test_the_folders_hold_what_was_trained(network, tmp_path):
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    _, model = network
    found = export_encoders(model, tmp_path / "encoders")
    assert list(found) == ["title", "image"]
    body = AutoModel.from_pretrained(found["title"]).eval()
    tokens = AutoTokenizer.from_pretrained(found["title"])(
        ["red running shoes", "clock"], return_tensors="pt", padding=True
    )
    trained = model.model.encoders["title"].eval()
    prepared = model.preprocessors["title"](["red running shoes", "clock"])
    assert tokens["input_ids"][0].tolist() == prepared.arrays["ids"][0].tolist()
    with torch.no_grad():
        expected = trained(**{name: torch.from_numpy(a) for name, a in prepared.arrays.items()}).pooled
        hidden = body(tokens["input_ids"], attention_mask=tokens["attention_mask"]).last_hidden_state
    torch.testing.assert_close(hidden[:, 0], expected, atol=1e-5, rtol=1e-5)
    processor = AutoImageProcessor.from_pretrained(found["image"])
    assert list(processor.image_mean) == pytest.approx([0.1, 0.2, 0.3])
    pixels = torch.randint(0, 255, (1, 3, 32, 32), dtype=torch.uint8)
    vision = AutoModel.from_pretrained(found["image"]).eval()
    image = model.model.encoders["image"].eval()
    with torch.no_grad():
        normal = processor(pixels, return_tensors="pt")["pixel_values"]
        plain = vision(pixel_values=normal).last_hidden_state.flatten(2).mean(2)
        expected = image(pixels[:, None], torch.ones(1, 1, dtype=torch.bool)).pooled
    torch.testing.assert_close(plain, expected, atol=1e-4, rtol=1e-4)


def test_a_folder_is_an_encoder_of_another_recipe(network, tmp_path):
    _, model = network
    found = export_encoders(model, tmp_path / "encoders")
    tokens = TokenPreprocessor(str(found["title"]), max_length=16)
    text = TransformerTextEncoder(tokens, str(found["title"])).eval()
    assert text.config["pooling"] == "cls"
    image = TransformerImageEncoder(ImagePreprocessor(32), str(found["image"])).eval()
    for name, again in {"title": text, "image": image}.items():
        for key, value in model.model.encoders[name].body.state_dict().items():
            torch.testing.assert_close(again.body.state_dict()[key], value)


def test_the_command_writes_them(network, tmp_path, run):
    folder, _ = network
    code, said, error = run("export", folder, "--encoders", "--out", tmp_path / "out")
    assert code == 0, error
    assert str(tmp_path / "out" / "title") in said
    assert (tmp_path / "out" / "image" / "model.safetensors").is_file()
    assert run("export", folder, "--encoders", "--out", tmp_path / "out")[0] == 2


def test_a_model_without_such_encoders_is_refused(trained, tmp_path):
    with pytest.raises(EncoderExportError, match="no encoder of a transformers model"):
        export_encoders(trained.model, tmp_path / "out")
