"""Baseline: a linear SVM on TF-IDF of title and description.

Words, word pairs and character 3- to 5-grams inside words, logarithmic term frequency, C = 1:
chosen by 5-fold cross-validation inside the training rows of a real marketplace (docs/evaluation.md
has the table).
"""

import warnings
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion, make_union
from sklearn.svm import LinearSVC

from aisle.data import Catalog, Product
from aisle.errors import AisleError
from aisle.progress import SILENT, Advance, Progress
from aisle.taxonomy import Scores, Taxonomy

FIELDS = ("title", "description")
MAX_WEIGHTS = 100_000_000  # classes × features: 400 MB of weights at most
MARGIN_SCALE = 100.0  # scale of the margins; unscaled, their softmax is nearly flat and large branches win
MIN_DF_FROM = 1000  # from this many products on, n-grams that occur once or twice are left out


class LinearBaseline:
    """A fitted linear SVM that implements the `Classifier` protocol.

    Its scores are a softmax of scaled margins, so that a branch scores as its best category. They rank
    categories and branches, but are no probabilities.
    """

    name = "linear SVM on TF-IDF"
    model_id = "baseline-linear-svm"
    views = FIELDS

    def __init__(
        self, taxonomy: Taxonomy, features: FeatureUnion, weights: np.ndarray, classes: np.ndarray, count: int
    ) -> None:
        self.taxonomy = taxonomy
        self.features = features
        self.weights = weights  # (C, F + 1) weights of each feature, the offset last
        self.classes = classes  # (C,) the nodes it can predict
        self.train_products = count

    @classmethod
    def fit(cls, catalog: Catalog, progress: Progress = SILENT) -> "LinearBaseline":
        """Fit the SVM on every product whose exact category is known; faulty rows are left out.

        Raises:
            AisleError: There is no such product, or none of them has a text.
        """
        targets = catalog.targets()
        weights = catalog.weights
        usable = (targets.node >= 0) & targets.exact & ~catalog.fatal
        usable &= True if weights is None else weights > 0
        rows = np.flatnonzero(usable & (catalog.taxonomy.terminal_of[targets.node] >= 0))
        if not len(rows):
            raise AisleError(
                f"the baseline cannot be fitted: none of {len(catalog):,} products has a full label"
            )
        texts = [text_of(catalog[int(i)]) for i in rows]
        classes, label = np.unique(targets.node[rows], return_inverse=True)
        features = tfidf(len(rows), MAX_WEIGHTS // len(classes))
        try:
            x = features.fit_transform(texts)
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            raise AisleError(
                f"the baseline cannot be fitted: none of {len(rows):,} products has a title or description"
            ) from error
        with progress("fitting the linear SVM", len(classes), "categories") as advance:
            svm_weights = fit_linear_svms(x, label, len(classes), advance)
        return cls(catalog.taxonomy, features, svm_weights, classes, len(rows))

    def score(self, products: Iterable[Product], without: Collection[str] = ()) -> Scores:
        """(B, N) log-softmax of margins; -inf for categories without a training product."""
        texts = [text_of(product, without) for product in products]
        logp = np.full((len(texts), len(self.taxonomy.terminals)), -np.inf)
        if texts:
            x: Any = self.features.transform(texts)
            margins = x @ self.weights[:, :-1].T + self.weights[:, -1]
            logp[:, self.taxonomy.terminal_of[self.classes]] = MARGIN_SCALE * margins
        return Scores(self.taxonomy, logp - np.logaddexp.reduce(logp, axis=1, keepdims=True))


def fit_linear_svms(x: Any, y: np.ndarray, n_classes: int, advance: Advance) -> np.ndarray:
    """(C, F + 1) weights of one-vs-rest SVMs on sparse x (B, F), the offset last."""
    weights = np.zeros((n_classes, x.shape[1] + 1), dtype=np.float32)
    if n_classes == 1:  # one category: nothing to separate
        return weights
    with warnings.catch_warnings():
        # Equal texts under different labels never converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for k in range(n_classes):
            svm: Any = LinearSVC(C=1.0, random_state=0).fit(x, y == k)
            weights[k, :-1], weights[k, -1] = svm.coef_[0], svm.intercept_[0]
            advance(1)
    return weights


def text_of(product: Product, without: Collection[str] = ()) -> str:
    """Title and description, joined by a line break."""
    return "\n".join(product.fields.get(name, "") for name in FIELDS if name not in without)


def tfidf(n_samples: int, max_features: int) -> FeatureUnion:
    """A vectorizer of words, word pairs and character n-grams, with at most `max_features` features."""
    prune = n_samples >= MIN_DF_FROM
    word_tfidf = TfidfVectorizer(
        sublinear_tf=True,
        ngram_range=(1, 2),
        min_df=2 if prune else 1,
        max_features=max(max_features // 3, 1000),
    )
    char_tfidf = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5), min_df=3 if prune else 1,
        max_features=max(2 * max_features // 3, 2000),
    )  # fmt: skip
    return make_union(word_tfidf, char_tfidf)
