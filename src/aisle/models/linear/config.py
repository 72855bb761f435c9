"""Configuration of a linear model: the part of a linear recipe that a bundle keeps."""

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from aisle.models.options import Strict, check_view_name
from aisle.models.views import Modality, View


class _FieldView(Strict):
    """A view that reads fields of a product.

    Attributes:
        fields: names of the fields; the view's own name by default.
        scale: length of a row.
    """

    fields: list[str] | None = None
    scale: float = Field(default=1.0, gt=0)


class TfidfView(_FieldView):
    """TF-IDF of words, word pairs and character n-grams (scikit-learn's formulas), into the linear SVM.

    Attributes:
        scale: length of a row.
        max_words: the most words kept.
        word_bigrams: the most pairs of adjacent words kept.
        max_features: the most character n-grams kept.
        min_df: the fewest products that a feature occurs in.
        min_n: length of the shortest n-grams, taken inside words.
        max_n: length of the longest n-grams.
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
    """The recipe's text encoder, into the ridge regression.

    Attributes:
        max_length: tokens kept of a text.
        sharpness: gamma of the RBF kernel, in units of the inverse median squared distance.
    """

    type: Literal["TextEncoder"] = "TextEncoder"
    max_length: int = Field(default=64, ge=1)
    sharpness: float = Field(default=2.0, gt=0)


class ImageEncoderView(Strict):
    """The recipe's image encoder, into the ridge regression.

    Attributes:
        size: width and height of an image, in pixels.
        images: the most images of a product; their vectors are averaged.
        scale: length of a row.
        sharpness: gamma of the RBF kernel, in units of the inverse median squared distance.
    """

    type: Literal["ImageEncoder"] = "ImageEncoder"
    size: int = Field(default=224, ge=8)
    images: int = Field(default=1, ge=1)
    scale: float = Field(default=1.0, gt=0)
    sharpness: float = Field(default=5.0, gt=0)


class ImageDescriptorView(Strict):
    """Colour histogram and gradients of a product's first image, without a network, into the ridge
    regression.

    Attributes:
        size: width and height of the image, in pixels.
        scale: length of a row.
        sharpness: gamma of the RBF kernel, in units of the inverse median squared distance.
    """

    type: Literal["ImageDescriptor"] = "ImageDescriptor"
    size: int = Field(default=64, ge=16)
    scale: float = Field(default=1.0, gt=0)
    sharpness: float = Field(default=5.0, gt=0)


class VectorView(_FieldView):
    """Precomputed vectors of this name (or the first of `fields`), into the ridge regression.

    Attributes:
        sharpness: gamma of the RBF kernel, in units of the inverse median squared distance.
    """

    type: Literal["Vector"] = "Vector"
    sharpness: float = Field(default=2.0, gt=0)


AnyView = Annotated[
    TfidfView | TextEncoderView | ImageEncoderView | ImageDescriptorView | VectorView,
    Field(discriminator="type"),
]


class LinearSVMSpec(Strict):
    """The linear SVM over the TF-IDF views.

    Attributes:
        penalty: in units of a row's mean squared length; .5 is C = 1 of scikit-learn's `LinearSVC`.
        scale: factor from margins to logits.
        level1_weight: weight of the margin of a category's level-1 ancestor, which is added to its own.
        positive_weight: weight of a product of the category, relative to products of the others; above 1 it
            favours rare categories.
    """

    penalty: float = Field(default=0.5, gt=0)
    scale: float = Field(default=10.0, gt=0)
    level1_weight: float = Field(default=0.35, ge=0)
    positive_weight: float = Field(default=1.0, gt=0)


class RidgeSpec(Strict):
    """The ridge regression over all other views.

    Attributes:
        penalty: in units of a row's mean squared length.
        scale: factor from scores to logits.
        n_components: the most kernel components of each view.
        class_balance: rows are weighted by the size of their class to the power of minus this; 0 weighs all
            rows alike, 1 all classes.
    """

    penalty: float = Field(default=0.15, gt=0)
    scale: float = Field(default=25.0, gt=0)
    n_components: int = Field(default=1024, ge=1)
    class_balance: float = Field(default=0.0, ge=0, le=1)


class LinearSpec(Strict):
    """A linear model: views, a linear SVM and a ridge regression whose scores are added, one softmax.

    Attributes:
        text_encoder: folder or hub name of a transformers model, read by views of type TextEncoder.
        image_encoder: the same, read by views of type ImageEncoder.
        label_name_examples: each category's name is a training row too.
        logit_adjustment: this times the log share of a terminal's training rows is subtracted from its logit,
            which favours rare categories.
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
            check_view_name(name)
        return views

    @model_validator(mode="after")
    def _encoders_named(self) -> Self:
        for name, view in self.views.items():
            key = encoder_key(view)
            if key and getattr(self, key) is None:
                raise ValueError(f"view {name!r} reads the recipe's {key}, and none is named: set {key}")
        return self


def encoder_key(view: AnyView) -> str | None:
    """The recipe key that names the view's pretrained encoder, if it has one."""
    return {"TextEncoder": "text_encoder", "ImageEncoder": "image_encoder"}.get(view.type)


def linear_views(spec: LinearSpec) -> dict[str, View]:
    """What each view reads of a product, by name."""
    modalities: dict[str, Modality] = {
        "ImageEncoder": "image",
        "ImageDescriptor": "image",
        "Vector": "vector",
    }
    fields = {name: tuple(getattr(view, "fields", None) or (name,)) for name, view in spec.views.items()}
    named = tuple(field for view_fields in fields.values() for field in view_fields if field != "*")
    return {
        name: View(name, modalities.get(view.type, "text"), fields[name], named, getattr(view, "images", 1))
        for name, view in spec.views.items()
    }
