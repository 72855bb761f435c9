"""Tasks of Label Studio: a product's data, and the prediction as a pre-annotation."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from aisle.data import Product
from aisle.data.images import ImageError, jpeg_data_uri, jpeg_thumbnail
from aisle.guarantee import Prediction
from aisle.inference.label_studio.config import Control

_SIDE = 320  # pixels of an embedded image
_MAX_IMAGES = 4  # shown of a product
_OWN = ("title", "description")
_SOURCE = re.compile(r"""\bsrc=["']([^"']+)["']""")


def task(
    product: Product, prediction: Prediction | None = None, names: Sequence[str | bytes] = ()
) -> dict[str, Any]:
    """A task, with a pre-annotation if there is a prediction.

    Args:
        product: The product. Its images are shown by URL where `names` has one, else embedded at 320 pixels.
        prediction: Its prediction; the best category is pre-annotated, its confidence is the score.
        names: The images as the catalog names them.
    """
    fields = dict(product.fields)
    data = {
        "id": product.id,
        **{name: fields.pop(name, "") for name in _OWN},
        "images": "".join(
            f'<img src="{html.escape(source)}" style="max-height: 320px"/>'
            for source in _image_sources(product, names)
        ),
        "fields": fields,
    }
    result: dict[str, Any] = {"data": data}
    if prediction is not None:
        result["predictions"] = [pre_annotation(prediction)]
    return result


def pre_annotation(prediction: Prediction, control: Control | None = None) -> dict[str, Any]:
    """A prediction as Label Studio has it: `model_version`, `score` and `result`."""
    control, score = control or Control(), round(prediction.confidence[-1], 6)
    result = {
        "from_name": control.name,
        "to_name": control.to_name,
        "type": "taxonomy",
        "value": {"taxonomy": [list(prediction.best)]},
        "score": score,
    }
    return {"model_version": prediction.model_id, "score": score, "result": [result]}


def task_product(task: Mapping[str, Any]) -> tuple[Product, list[str]]:
    """The product of a task, whose data may have any names, and the addresses of its images."""
    task_data = task.get("data")
    data: dict[str, Any] = dict(task_data) if isinstance(task_data, dict) else {}
    nested = data.pop("fields", None)
    product_id, sources = data.pop("id", None), list[str]()
    for name in ("images", "image"):
        value = data.pop(name, None)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, str):
                sources += map(html.unescape, _SOURCE.findall(item)) if "<img" in item else [item.strip()]
    texts = {**(nested if isinstance(nested, dict) else {}), **data}
    fields = {str(k): str(v) for k, v in texts.items() if isinstance(v, str | int | float) and str(v).strip()}
    if "title" not in fields and "text" in fields:
        fields["title"] = fields.pop("text")
    name = str(task.get("id", "")) if product_id in (None, "") else str(product_id)
    return Product(name, fields), [source for source in sources if source]


def _image_sources(product: Product, names: Sequence[str | bytes]) -> list[str]:
    texts = [name for name in names if isinstance(name, str)]
    urls = [name for name in texts if name.lower().startswith(("http://", "https://"))]
    if urls:
        return urls[:_MAX_IMAGES]
    sources = []
    for image in product.images[:_MAX_IMAGES]:
        try:
            sources.append(jpeg_data_uri(jpeg_thumbnail(image, _SIDE)))
        except ImageError:  # the prediction was made without it, too
            continue
    return sources
