"""Configuration of a linear model: the part of a linear recipe that a bundle keeps."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from aisle.models.options import Strict
from aisle.models.views import Modality, View


class _FieldView(Strict):
    """fields: the product's fields that are read, the view's own name by default."""

    fields: list[str] | None = None
    scale: float = Field(default=1.0, gt=0)


class TfidfView(_FieldView):
    """TF-IDF of words, word pairs and character n-grams (scikit-learn's formulas), into the linear SVM.

    scale: length of a row. max_words, word_bigrams, max_features: the most words, word pairs and character
    n-grams kept. min_df: products that a feature must be in. min_n, max_n: lengths of n-grams, inside words.
    """

    type: Literal["Tfidf"] = "Tfidf"
    max_words: int = Field(default=50_000, ge=1)
    word_bigrams: int = Field(default=50_000, ge=0)
    max_features: int = Field(default=100_000, ge=0)
    min_df: int = Field(default=2, ge=1)
    min_n: int = Field(default=3, ge=1)
    max_n: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _range(self) -> Self:
        if self.max_n < self.min_n:
            raise ValueError(f"max_n {self.max_n} is less than min_n {self.min_n}")
        return self


class TextEncoderView(_FieldView):
    """The recipe's text encoder, into the ridge regression. max_length: tokens kept of a text. sharpness: of
    the RBF kernel, in units of the inverse median squared distance."""

    type: Literal["TextEncoder"] = "TextEncoder"
    max_length: int = Field(default=64, ge=1)
    sharpness: float = Field(default=2.0, gt=0)


class ImageEncoderView(Strict):
    """The recipe's image encoder, the mean over at most `images` images of a product. size: pixels a side."""

    type: Literal["ImageEncoder"] = "ImageEncoder"
    size: int = Field(default=224, ge=8)
    images: int = Field(default=1, ge=1)
    scale: float = Field(default=1.0, gt=0)
    sharpness: float = Field(default=5.0, gt=0)


class ImageDescriptorView(Strict):
    """Colour histogram and gradients of a product's first image, without a network."""

    type: Literal["ImageDescriptor"] = "ImageDescriptor"
    size: int = Field(default=64, ge=16)
    scale: float = Field(default=1.0, gt=0)
    sharpness: float = Field(default=5.0, gt=0)


class VectorView(_FieldView):
    """Precomputed vectors of this name (or the first of `fields`)."""

    type: Literal["Vector"] = "Vector"
    sharpness: float = Field(default=2.0, gt=0)


AnyView = Annotated[
    TfidfView | TextEncoderView | ImageEncoderView | ImageDescriptorView | VectorView,
    Field(discriminator="type"),
]


class LinearSVMSpec(Strict):
    """Over the TF-IDF views. penalty: in units of a row's mean squared length, .5 is C = 1 of scikit-learn's
    `LinearSVC`. scale: logits that a margin of 1 is worth. level1_weight: how much the margin of a category's
    level-1 ancestor adds to its own. positive_weight: what a product of a category counts, relative to a
    product of the others; above 1 it favours rare categories."""

    penalty: float = Field(default=0.5, gt=0)
    scale: float = Field(default=10.0, gt=0)
    level1_weight: float = Field(default=0.35, ge=0)
    positive_weight: float = Field(default=1.0, gt=0)


class RidgeSpec(Strict):
    """Over all other views. penalty: in units of a row's mean squared length. scale: logits that a score of 1
    is worth. n_components: of each view's kernel, at most. class_balance: a row counts its class's size to
    the power of minus this: 0 counts all rows alike, 1 all classes."""

    penalty: float = Field(default=0.15, gt=0)
    scale: float = Field(default=25.0, gt=0)
    n_components: int = Field(default=1024, ge=1)
    class_balance: float = Field(default=0.0, ge=0, le=1)


class LinearSpec(Strict):
    """Views, two closed or convex learners whose scores are summed, one softmax over terminals.

    text_encoder: a folder or hub name of a transformers model, read by the views of type TextEncoder.
    image_encoder: the same, by those of type ImageEncoder. label_name_examples: each
    category's name is a training row too. logit_adjustment: times the log share of a terminal's training rows
    is subtracted from its logit, which favours rare categories.
    """

    family: Literal["linear"]
    views: dict[str, AnyView] = Field(min_length=1)
    text_encoder: str | None = None
    image_encoder: str | None = None
    linear_svm: LinearSVMSpec = LinearSVMSpec()
    ridge: RidgeSpec = RidgeSpec()
    label_name_examples: bool = True
    logit_adjustment: float = 0.0

    @field_validator("views")
    @classmethod
    def _usable_names(cls, views: dict[str, AnyView]) -> dict[str, AnyView]:
        for name in views:  # a name becomes a folder in the bundle
            if not re.fullmatch(r"[^\W\d_][\w-]*", name):
                raise ValueError(f"view name {name!r} is not letters, digits, - and _, a letter first")
        return views

    @model_validator(mode="after")
    def _encoders_named(self) -> Self:
        for name, view in self.views.items():
            key = encoder_key(view)
            if key and getattr(self, key) is None:
                raise ValueError(f"view {name!r} reads the recipe's {key}, and none is named: set {key}")
        return self


def view_types() -> tuple[type[Strict], ...]:
    """The types of views."""
    return TfidfView, TextEncoderView, ImageEncoderView, ImageDescriptorView, VectorView


def encoder_key(view: AnyView) -> str | None:
    """The recipe key that names a view's pretrained encoder."""
    return {"TextEncoder": "text_encoder", "ImageEncoder": "image_encoder"}.get(view.type)


def readable_views(spec: LinearSpec) -> dict[str, View]:
    """By name, what each view reads of a product."""
    kinds: dict[str, Modality] = {"ImageEncoder": "image", "ImageDescriptor": "image", "Vector": "vector"}
    named = {name: tuple(getattr(view, "fields", None) or (name,)) for name, view in spec.views.items()}
    taken = tuple(field for fields in named.values() for field in fields if field != "*")
    return {
        name: View(name, kinds.get(view.type, "text"), named[name], taken, getattr(view, "images", 1))
        for name, view in spec.views.items()
    }
