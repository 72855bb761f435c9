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
CELLS = 100_000_000  # classes × features: 400 MB of weights at most
SHARP = 100.0  # scale of the margins; unscaled, their softmax is nearly flat and large branches win
RARE = 1000  # from this many products on, n-grams that occur once or twice are left out


class LinearBaseline:
    """A fitted linear SVM that implements the `Classifier` protocol.

    Its scores are a softmax of scaled margins, so that a branch scores as its best category. They rank
    categories and branches, but are no probabilities.
    """

    name = "linear SVM on TF-IDF"
    model_id = "baseline-linear-svm"
    views = FIELDS

    def __init__(
        self, taxonomy: Taxonomy, features: FeatureUnion, planes: np.ndarray, places: np.ndarray, count: int
    ) -> None:
        self.taxonomy = taxonomy
        self.features = features
        self.planes = planes  # (C, F + 1) weights of each feature, the offset last
        self.places = places  # (C,) the nodes it can predict
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
            raise AisleError(f"the baseline cannot learn: none of {len(catalog):,} products has a full label")
        texts = [text_of(catalog[int(i)]) for i in rows]
        places, label = np.unique(targets.node[rows], return_inverse=True)
        features = tfidf(len(rows), CELLS // len(places))
        try:
            x = features.fit_transform(texts)
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            raise AisleError(
                f"the baseline cannot learn: none of {len(rows):,} products has a title or description"
            ) from error
        with progress("fitting the linear SVM", len(places), "categories") as advance:
            planes = fit_planes(x, label, len(places), advance)
        return cls(catalog.taxonomy, features, planes, places, len(rows))

    def score(self, products: Iterable[Product], without: Collection[str] = ()) -> Scores:
        """(B, N) log-softmax of margins; -inf for categories without a training product."""
        texts = [text_of(product, without) for product in products]
        logp = np.full((len(texts), len(self.taxonomy.terminals)), -np.inf)
        if texts:
            x: Any = self.features.transform(texts)
            margins = x @ self.planes[:, :-1].T + self.planes[:, -1]
            logp[:, self.taxonomy.terminal_of[self.places]] = SHARP * margins
        return Scores(self.taxonomy, logp - np.logaddexp.reduce(logp, axis=1, keepdims=True))


def fit_planes(x: Any, label: np.ndarray, count: int, advance: Advance) -> np.ndarray:
    """(C, F + 1) weights of one-vs-rest SVMs on sparse x (B, F), the offset last."""
    planes = np.zeros((count, x.shape[1] + 1), dtype=np.float32)
    if count == 1:  # one category: nothing to separate
        return planes
    with warnings.catch_warnings():
        # Equal texts under different labels never converge.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for place in range(count):
            svm: Any = LinearSVC(C=1.0, random_state=0).fit(x, label == place)
            planes[place, :-1], planes[place, -1] = svm.coef_[0], svm.intercept_[0]
            advance(1)
    return planes


def text_of(product: Product, without: Collection[str] = ()) -> str:
    """Title and description, joined by a line break."""
    return "\n".join(product.fields.get(name, "") for name in FIELDS if name not in without)


def tfidf(products: int, most: int) -> FeatureUnion:
    """A vectorizer of words, word pairs and character n-grams, with at most `most` features."""
    rare = products >= RARE
    words = TfidfVectorizer(
        sublinear_tf=True, ngram_range=(1, 2), min_df=2 if rare else 1, max_features=max(most // 3, 1000)
    )
    letters = TfidfVectorizer(
        sublinear_tf=True, analyzer="char_wb", ngram_range=(3, 5), min_df=3 if rare else 1,
        max_features=max(2 * most // 3, 2000),
    )  # fmt: skip
    return make_union(words, letters)
