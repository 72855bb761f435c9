"""Preparers: what they make of texts, pictures and vectors, and that they survive being saved."""

import io
import json
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from tokenizers import Regex, normalizers, pre_tokenizers

from aisle.data import ImageRef
from aisle.models.preprocessing import (
    ImagePreprocessor,
    TfidfPreprocessor,
    TokenPreprocessor,
    VectorPreprocessor,
)
from tests.shared import DATA, needs_shared

TEXTS = [
    "Red running shoes, size 42!",
    "red shoes",
    "RUNNING shoe — for kids",
    "Lampe de bureau été",
    "été été été lampe",
    "a b c a b",
    "ﬁne ＦＵＬＬ width",
    "🛍 bag 🛍",
    "日本 の 靴",
    "x" * 300,
    "shoes shoes shoes red red",
    "  \n",
    "size 42 lamp",
]


def dense(prepare, values):
    """(B, features), each row's weights at its features."""
    found = prepare(values)
    out = np.zeros((len(values), max(prepare.size, 1)))
    ends = np.append(found.arrays["offsets"], len(found.arrays["ids"]))
    for row in range(len(values)):
        part = slice(ends[row], ends[row + 1])
        np.add.at(out[row], found.arrays["ids"][part], found.arrays["weights"][part])
    return out


def grams(text, prepare):
    """Character n-grams inside space-padded words, by a slow loop."""
    padded = [f" {word} " for word in prepare.split(text)]
    return [w[i : i + n] for w in padded for n in (3, 4, 5) for i in range(len(w) - n + 1)]


@pytest.mark.parametrize("least", [1, 2])
def test_words_pairs_and_grams_weigh_what_scikit_learn_says(least):
    prepare = TfidfPreprocessor(min_df=least)
    learned = [*TEXTS, *(f"item {i}" for i in range(1000))]  # of fewer, every feature is kept
    prepare.fit(learned)
    common = {"min_df": least, "sublinear_tf": True, "lowercase": False, "token_pattern": None}
    words = TfidfVectorizer(tokenizer=prepare.split, ngram_range=(1, 2), **common)
    spelled = TfidfVectorizer(
        analyzer=lambda text: grams(text, prepare), min_df=least, sublinear_tf=True, lowercase=False
    )
    texts = [*TEXTS, "unseen words red shoes", ""]
    expected = [v.fit(learned).transform(texts).toarray() for v in (words, spelled)]
    found = dense(prepare, texts)
    first = prepare.size - expected[1].shape[1]
    assert first == expected[0].shape[1]
    for mine, theirs in zip((found[:, :first], found[:, first:]), expected, strict=True):
        # The same features in another order: rows' inner products and sorted weights agree.
        np.testing.assert_allclose(mine @ mine.T, theirs @ theirs.T, atol=1e-5)
        np.testing.assert_allclose(np.sort(mine, 1), np.sort(theirs, 1), atol=1e-5)
        np.testing.assert_allclose(np.sort(mine.sum(0)), np.sort(theirs.sum(0)), atol=1e-4)


def test_few_texts_keep_every_feature():
    prepare = TfidfPreprocessor(min_df=2)
    prepare.fit(["red shoes"] * 20 + ["hdmi cable"])
    assert np.count_nonzero(dense(prepare, ["hdmi"])[0]) == 1 + len(grams("hdmi", prepare))


def test_only_the_most_frequent_features_are_kept():
    prepare = TfidfPreprocessor(max_words=3, word_bigrams=2, max_features=5, min_df=1)
    prepare.fit(TEXTS)
    assert prepare.size == 3 + 2 + 5


def test_the_order_of_the_texts_changes_nothing():
    one, other = (
        TfidfPreprocessor(min_df=1, max_words=9, word_bigrams=4, max_features=20),
        TfidfPreprocessor(min_df=1, max_words=9, word_bigrams=4, max_features=20),
    )
    one.fit(TEXTS)
    other.fit(TEXTS[::-1])
    assert one.fingerprint == other.fingerprint


def prepared(folder):
    """Every kind of preprocessor, fitted, with values it has not seen."""
    pictures = [(picture(),), None, (picture((9, 9, 9)), ImageRef(data=b"broken"))]
    lexical, tokens, vectors = (
        TfidfPreprocessor(min_df=1),
        TokenPreprocessor(vocab_size=120),
        VectorPreprocessor(),
    )
    lexical.fit(TEXTS)
    tokens.fit(TEXTS)
    vectors.fit([None, np.ones(3, np.float32)])
    texts = ["red lamp shoes", None, "", "nie gesehen 🛍", "\u202e\u0000 odd"]
    return [
        (lexical, texts),
        (tokens, texts),
        (ImagePreprocessor(32, images=2), pictures),
        (vectors, [np.arange(3.0), None, np.ones(4), np.array([1, np.nan, 2])]),
    ]


KINDS = range(4)


@pytest.mark.parametrize("kind", KINDS)
def test_every_preparer_survives_saving_exactly(kind, tmp_path):
    prepare, values = prepared(tmp_path)[kind]
    prepare.save(tmp_path / "kept")
    loaded = type(prepare).load(tmp_path / "kept")
    assert loaded.fingerprint == prepare.fingerprint
    for name, array in prepare(values).arrays.items():
        np.testing.assert_array_equal(loaded(values).arrays[name], array)
    assert {f.suffix for f in (tmp_path / "kept").iterdir()} <= {".json", ".safetensors"}


@pytest.mark.parametrize("kind", KINDS)
def test_some_rows_of_what_was_prepared_are_what_those_rows_prepare_to(kind, tmp_path):
    prepare, values = prepared(tmp_path)[kind]
    rows = np.array([2, 0, 1])
    some = prepare.take(prepare(values).arrays, rows)
    alone = prepare([values[i] for i in rows]).arrays
    for name, array in alone.items():
        if array.ndim > 1:
            some[name] = some[name][:, : array.shape[1]]
        np.testing.assert_array_equal(some[name], array)


@pytest.mark.parametrize("kind", KINDS)
def test_no_value_at_all_is_absent_and_none_of_nothing_is_nothing(kind, tmp_path):
    prepare, values = prepared(tmp_path)[kind]
    assert not prepare([None, None]).present.any()
    assert len(prepare([]).present) == 0
    assert prepare(values).present[0]
    assert not prepare(values).present[1]


@pytest.mark.parametrize("make", [lambda: TfidfPreprocessor(), lambda: TokenPreprocessor(vocab_size=50)])
def test_a_vocabulary_learned_from_nothing_answers_all_the_same(make, tmp_path):
    prepare = make()
    prepare.fit([None, ""])
    found = prepare(["red shoes", None])
    assert not found.present[1]
    assert np.isfinite(found.arrays.get("weights", np.zeros(1))).all()
    prepare.save(tmp_path)
    assert type(prepare).load(tmp_path).size == prepare.size


@needs_shared
@pytest.mark.parametrize(
    "make", [lambda: TfidfPreprocessor(min_df=1), lambda: TokenPreprocessor(vocab_size=2000, max_length=32)]
)
def test_naughty_strings_are_read_like_any_other(make, tmp_path):
    texts = json.loads((DATA / "bad_inputs" / "blns.json").read_text())
    prepare = make()
    prepare.fit(texts)
    found = prepare(texts)
    assert len(found.present) == len(texts)
    prepare.save(tmp_path)
    loaded = type(prepare).load(tmp_path)
    for name, array in found.arrays.items():
        np.testing.assert_array_equal(loaded(texts).arrays[name], array)
    weights = found.arrays.get("weights")
    assert weights is None or (np.isfinite(weights).all() and (weights > 0).all())


def picture(colour=(200, 60, 40), size=(90, 50), kind="PNG"):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, kind)
    return ImageRef(data=out.getvalue())


def test_pictures_are_decoded_squared_and_lined_up_and_broken_ones_told():
    values = [
        (picture(),),
        (ImageRef(data=b"broken"), picture((1, 2, 3))),
        (ImageRef(data=b"broken"),),
        None,
        (picture((5, 5, 5)), picture((6, 6, 6)), picture((7, 7, 7))),
    ]
    found = ImagePreprocessor(32, images=2)(values)
    assert found.arrays["pixels"].shape == (5, 2, 3, 32, 32)
    assert found.arrays["pixels"].dtype == np.uint8
    assert found.present.tolist() == [True, True, False, False, True]
    assert found.arrays["shown"].tolist() == [
        [True, False],
        [True, False],
        [False] * 2,
        [False] * 2,
        [True] * 2,
    ]
    assert found.arrays["pixels"][1, 0, :, 9, 9].tolist() == [1, 2, 3]
    assert set(found.problems) == {1, 2}
    assert "not an image" in found.problems[2]


@needs_shared
def test_no_broken_file_stops_a_batch():
    files = sorted((DATA / "bad_inputs" / "images").rglob("*"))[::7]
    found = ImagePreprocessor(32)([(ImageRef(file),) for file in files if file.is_file()])
    assert found.present.sum() > 0
    assert set(found.problems) == set(np.flatnonzero(~found.present))
    assert not found.arrays["pixels"][~found.present].any()


def test_a_length_cuts_tokens_and_a_vector_of_another_width_is_absent():
    tokens = TokenPreprocessor(vocab_size=80, max_length=4)
    tokens.fit(TEXTS)
    assert tokens(["red shoes " * 50]).arrays["ids"].shape == (1, 4)
    vectors = VectorPreprocessor(3)
    found = vectors([np.ones(3), np.ones(4), np.array([1, np.inf, 0])])
    assert found.present.tolist() == [True, False, False]
    assert "(4,) is not (3,)" in found.problems[1]
    assert np.isfinite(found.arrays["vector"]).all()


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 23])
def test_blanks_of_every_kind_and_signs_separate_words_as_a_tokenizer_of_unicode_does(step):
    normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    splitter = pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), behavior="removed", invert=True)
    prepare = TfidfPreprocessor(min_df=1)
    codes = [c for c in range(1, 0x3001) if unicodedata.category(chr(c)) not in ("Cn", "No", "Pc")][::step]
    texts = [f"red{chr(code)}shoes {chr(code)} blue{chr(code)}x" for code in codes]
    prepare.fit(texts)
    words = [prepare.split(text) for text in texts]
    for code, text, found in zip(codes, texts, words, strict=True):
        if code not in range(0x1C, 0x20):  # separators to Python, signs to tokenizers
            parts = splitter.pre_tokenize_str(normalizer.normalize_str(text))
            assert found == [word for word, _ in parts], hex(code)
    said, plain = prepare(texts), prepare([" ".join(some) for some in words])
    for name, array in said.arrays.items():
        np.testing.assert_array_equal(plain.arrays[name], array)


def test_vowel_signs_stay_in_their_words():
    assert TfidfPreprocessor().split("हिन्दी किताब ไม้ ½ 🙂") == ["हिन्दी", "किताब", "ไม้", "1", "⁄", "2", "🙂"]


def test_what_was_said_before_and_who_else_asks_changes_nothing():
    prepare, fresh = TfidfPreprocessor(min_df=1), TfidfPreprocessor(min_df=1)
    texts = [f"red shoes no {i}, and shoes-{i % 7} Größe {i}" for i in range(200)]
    for one in (prepare, fresh):
        one.fit(texts[:50])
    prepare._pieces.max_pieces = 40  # cleared all the time
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: prepare(texts[i : i + 20]), [*range(0, 200, 20)] * 5))
    for i, one in enumerate(found):
        start = 20 * (i % 10)
        expected = fresh(texts[start : start + 20])
        for name, array in expected.arrays.items():
            np.testing.assert_array_equal(one.arrays[name], array)
