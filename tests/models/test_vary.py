"""Texts and pictures as they might also have been."""

import io

import numpy as np
import pytest
from PIL import Image

from aisle.data import ImageRef
from aisle.models.options import Augment
from aisle.models.preprocessing import ImagePreprocessor
from aisle.models.preprocessing.augmentation import augment_image, augment_text

NOTHING = {
    "word_dropout": 0,
    "word_swap": 0,
    "typos": 0,
    "case": 0,
    "field_dropout": 0,
    "min_crop": 1,
    "flip": 0,
    "color_jitter": 0,
}
TEXT = "Red leather boots size 42\nworn twice, as good as new"


def texts(count=200, text=TEXT, **changes):
    augment = Augment(**NOTHING | changes)
    return [augment_text(text, augment, np.random.default_rng(i), 2) for i in range(count)]


def test_nothing_asked_nothing_changed_but_line_breaks():
    assert set(texts(5)) == {TEXT.replace("\n", " ")}


@pytest.mark.parametrize("change", ["word_dropout", "word_swap", "typos", "case", "field_dropout"])
def test_a_seed_decides(change):
    assert texts(20, **{change: 0.4}) == texts(20, **{change: 0.4})
    assert len(set(texts(20, **{change: 0.4}))) > 1


def test_words_are_left_out_at_the_share_asked_and_one_is_always_left():
    count = np.mean([len(text.split()) for text in texts(400, word_dropout=0.3)])
    assert count == pytest.approx(0.7 * 11, rel=0.08)
    assert all(texts(50, text="two words", word_dropout=0.99))


def test_order_changes_and_the_words_stay():
    for text in texts(20, word_swap=0.5):
        assert sorted(text.split()) == sorted(TEXT.split())


def test_typos_change_one_letter_of_a_word():
    for text in texts(20, typos=1.0, text="leather"):
        assert len(text) in (6, 7, 8)
        assert sum(letter in text for letter in "leathr") >= 5
    assert set(texts(9, typos=1.0, text="a")) == {"a"}


def test_case_is_all_or_nothing():
    assert set(texts(50, case=1.0, text="Red Boots")) == {"RED BOOTS", "red boots"}


def test_later_fields_are_left_out_together_where_there_are_several():
    assert {augment_text(TEXT, Augment(**NOTHING | {"field_dropout": 1.0}), np.random.default_rng(0), 2)} == {
        "Red leather boots size 42"
    }
    whole = augment_text(TEXT, Augment(**NOTHING | {"field_dropout": 1.0}), np.random.default_rng(0), 1)
    assert whole == TEXT.replace("\n", " ")


def wedge(width=90, height=60):
    """Darker to the left, greener to the bottom."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 0 * x], 2).astype(np.uint8))


def pictures(count=60, **changes):
    augment = Augment(**NOTHING | changes)
    made = [augment_image(wedge(), 32, augment, np.random.default_rng(i)) for i in range(count)]
    return np.stack([np.asarray(picture, np.float32) for picture in made])


def test_pictures_are_squares_of_the_size_asked_and_a_seed_decides():
    found = pictures(min_crop=0.3, flip=0.5, color_jitter=0.3)
    assert found.shape == (60, 32, 32, 3)
    np.testing.assert_array_equal(found, pictures(min_crop=0.3, flip=0.5, color_jitter=0.3))


def test_a_crop_is_a_part_and_a_small_one_a_small_part():
    shown = [np.ptp(p[..., 0]) * np.ptp(p[..., 1]) / 255**2 for p in pictures(min_crop=0.25)]
    assert 0.2 < min(shown) < 0.4
    assert max(shown) > 0.8


def test_half_are_mirrored():
    mirrored = [p[0, 0, 0] > p[0, -1, 0] for p in pictures(200, flip=0.5)]
    assert 0.35 < np.mean(mirrored) < 0.65
    assert not any(p[0, 0, 1] > p[-1, 0, 1] for p in pictures(flip=0.5))


def test_light_changes_by_the_most_asked():
    grey, augment = Image.new("RGB", (40, 40), (100, 100, 100)), Augment(**NOTHING | {"color_jitter": 0.2})
    made = [augment_image(grey, 32, augment, np.random.default_rng(i)) for i in range(100)]
    means = [np.asarray(picture).mean() for picture in made]
    assert 79 <= min(means) < 84
    assert 116 < max(means) <= 121


def test_every_picture_of_a_product_varies_by_itself():
    out = io.BytesIO()
    wedge().save(out, "PNG")
    rng, augment = np.random.default_rng(0), Augment(**NOTHING | {"min_crop": 0.3})
    two = (ImageRef(data=out.getvalue()),) * 2
    found = ImagePreprocessor(32, 2)([two, None], [lambda p, s: augment_image(p, s, augment, rng)] * 2)
    assert found.present.tolist() == [True, False]
    assert found.arrays["shown"].tolist() == [[True, True], [False, False]]
    assert not np.array_equal(found.arrays["pixels"][0, 0], found.arrays["pixels"][0, 1])


def test_pictures_are_turned_by_the_most_asked():
    stripe = np.zeros((64, 64, 3), np.uint8)
    stripe[:, 30:34] = 255
    augment = Augment(**NOTHING | {"rotation": 20.0})
    turned = [
        augment_image(Image.fromarray(stripe), 64, augment, np.random.default_rng(i)) for i in range(80)
    ]
    angles = []
    for picture in turned:
        y, x = np.nonzero(np.asarray(picture)[..., 0] > 128)
        angles.append(np.degrees(np.arctan(np.polyfit(y, x, 1)[0])))
    assert -21 < min(angles) < -16
    assert 16 < max(angles) < 21
    assert np.asarray(turned[0])[0, 0, 0] in range(10, 20)  # the mean colour, no black corner
