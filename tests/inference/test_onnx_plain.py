"""The example of docs/export.md: an exported model with onnxruntime alone, without Aisle."""

import io
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import aisle
from aisle.data import ImageRef, Product

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'aisle[torch]'")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: pip install 'aisle[torch]'")
pytestmark = pytest.mark.slow  # torch's exporter takes seconds a graph

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
ENCODERS = {
    "title": {"fields": ["title"], "encoder": {"type": "SubwordEncoder", "dim": 32}},
    "image": {"encoder": {"type": "ConvEncoder", "size": 32, "dim": 32}},
}


@pytest.mark.parametrize("fusion", ["LinearFusion", "CrossAttentionFusion"])
def test_the_example_predicts_what_the_model_does(fusion, shop, tmp_path):
    from aisle.inference.onnx.export import export
    from aisle.models import fusions

    assert fusion in fusions.__all__
    catalog = aisle.read(shop.products)
    recipe = {
        "name": "plain",
        "views": ENCODERS,
        "fusion": {"type": fusion, "dim": 32},
        "head": {"type": "TreeHead"},
        "losses": [{"type": "CrossEntropyLoss"}],
        "stages": [{"epochs": 2, "lr": 0.005}],
    }
    model = aisle.train(catalog, recipe)
    folder = tmp_path / "onnx"
    export(model, catalog, folder)
    source = next(product for product in catalog if product.images)
    Image.open(io.BytesIO(source.images[0].read())).resize((700, 500)).save(tmp_path / "shoe.jpg")
    product = Product("1", {"title": source.fields["title"]}, (ImageRef(tmp_path / "shoe.jpg"),))
    (code,) = re.findall(r"```python\n(import json\n.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert "aisle" not in code
    assert (
        sum(bool(line.strip()) and not line.startswith(("import", "from")) for line in code.splitlines())
        <= 20
    )
    code = code.replace('Path("runs/shop/onnx")', f"Path({str(folder)!r})")
    code = code.replace('"Red running shoes"', repr(product.fields["title"]))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    best, probability = done.stdout.rsplit(maxsplit=1)
    loaded = aisle.load(folder)
    scores = loaded.score([product])
    assert best == " > ".join(loaded.taxonomy.nodes[int(scores.best()[0])].path)
    assert float(probability) == pytest.approx(float(np.exp(scores.logp.max())), abs=1e-4)
    blind = loaded.score([replace(product, images=())])
    assert not np.allclose(blind.logp, scores.logp)  # the image was read
