"""Full text of a small index: BM25 by hand, and words as sellers write them."""

import math
from collections import Counter

import numpy as np
import pytest

from aisle.search.bm25 import Bm25Index, score_all, word_keys, words_of

TEXTS = ["red running shoes", "red shoes red laces", "WH-1000XM4 headphones", "", "brown boots, size 44/45"]


@pytest.fixture
def words():
    def part(texts):
        keys = [word_keys(text) for text in texts]
        return Bm25Index(
            np.concatenate([np.array(k, np.int64) for k in keys]), np.cumsum([0, *map(len, keys)])
        )

    return [part(TEXTS[:2]), part(TEXTS[2:])]  # segments count as one


def by_hand(query):
    texts = [words_of(text) for text in TEXTS]
    mean = sum(map(len, texts)) / len(texts)
    out = []
    for text in texts:
        score = 0.0
        for word in set(words_of(query)):
            n = sum(word in other for other in texts)
            if not n:
                continue
            count = Counter(text)[word]
            idf = math.log(1 + (len(texts) - n + 0.5) / (n + 0.5))
            score += idf * count * 2.2 / (count + 1.2 * (0.25 + 0.75 * len(text) / mean))
        out.append(score)
    return out


@pytest.mark.parametrize("query", ["red shoes", "headphones", "wh1000xm4", "nothing of this", "", "44"])
def test_scores_are_bm25(words, query):
    scores = np.concatenate([scores for scores, _ in score_all(words, query)])
    assert scores == pytest.approx(by_hand(query), rel=1e-5)


def test_coverage_is_the_share_of_the_querys_idf_that_a_text_has(words):
    covered = np.concatenate([covered for _, covered in score_all(words, "red shoes size")])
    common, rare = (math.log(1 + (5 - n + 0.5) / (n + 0.5)) for n in (2, 1))
    share = 2 * common / (2 * common + rare)
    assert covered == pytest.approx([share, share, 0, 0, 1 - share])
    assert np.concatenate([covered for _, covered in score_all(words, "red shoes")]).max() == pytest.approx(1)


@pytest.mark.parametrize("query", ["WH-1000XM4", "wh1000xm4", "wh 1000xm4", "1000XM4"])
def test_model_numbers_are_found_however_they_are_written(words, query):
    assert np.concatenate([scores for scores, _ in score_all(words, query)]).argmax() == 2


def test_a_catalogue_without_words_is_searched_in_vain():
    assert score_all([Bm25Index(np.zeros(0, np.int64), np.array([0]))], "x")[0][0].tolist() == []
    assert score_all([Bm25Index(np.zeros(0, np.int64), np.array([0, 0]))], "x")[0][0].tolist() == [0.0]
