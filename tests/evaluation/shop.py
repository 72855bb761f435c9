"""A little shop whose words tell the category most of the time, and a real classifier that learns it."""

import io

import numpy as np
from PIL import Image
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from aisle.data import ImageRef, Product, read
from aisle.guarantee import Prediction, fit
from aisle.taxonomy import Scores

PLACES = {
    ("Clothing", "Shoes", "Boots"): "boot leather ankle",
    ("Clothing", "Shoes", "Sandals"): "sandal summer strap",
    ("Clothing", "Shirts"): "shirt cotton collar",
    ("Clothing",): "clothes bundle mixed",
    ("Home", "Lamps"): "lamp bulb shade",
    ("Home", "Chairs"): "chair wood leg",
    ("Garden",): "plant pot soil",
}
NOISE = "new good size sale offer blue red item free"


def picture(colour=(200, 60, 40), size=(320, 200)):
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return ImageRef(data=out.getvalue())


def products(count, seed=0, places=None, start=0):
    """Title: a word of the place or of any other; description: likewise, more faithful."""
    rng = np.random.default_rng(seed)
    places = places or PLACES
    paths, every = list(places), " ".join(places.values()).split()
    made = []
    for i in range(count):
        path = paths[int(min(rng.exponential(1.6), len(paths) - 1))]
        own = places[path].split()

        def words(faith, size, own=own):
            told = rng.random(size) < faith
            return " ".join(rng.choice(own) if t else rng.choice([*every, *NOISE.split()]) for t in told)

        fields = {"title": words(0.5, 2), "description": words(0.4, 3)}
        made.append(Product(f"p{start + i}", fields, (picture(),) if i % 3 == 0 else (), {}, (path,)))
    return made


def catalog(count, seed=0, **more):
    return read(products(count, seed, **more))


class WordModel:
    """Logistic regression over words, on the tree of the catalogue it learned from."""

    views = ("title", "description")
    model_id = "words-1"

    def __init__(self, train):
        self.taxonomy = train.taxonomy
        self.words = CountVectorizer()
        x = self.words.fit_transform([self._text(p) for p in train])
        self.model = LogisticRegression(C=3, max_iter=500).fit(x, train.targets().node)

    def score(self, products, without=()):
        logp = np.full((len(list(products)), len(self.taxonomy.terminals)), -np.inf)
        columns = self.taxonomy.terminal_of[self.model.classes_]
        logp[:, columns] = self.model.predict_log_proba(
            self.words.transform([self._text(p, without) for p in products])
        )
        return Scores(self.taxonomy, logp)

    def _text(self, product, without=()):
        return " ".join(product.fields.get(v, "") for v in self.views if v not in without)


class CarefulModel(WordModel):
    """Accepts the full path above 80 %, else the top category above 80 %, else asks for a review."""

    def predict(self, products):
        scores = self.score(products)
        best, sure = scores.best(), np.exp(scores.lineage(scores.best()))
        found = []
        for i, product in enumerate(products):
            path = self.taxonomy.nodes[best[i]].path
            p = float(np.exp(scores.all()[i].max()))
            decision = "accept" if p > 0.8 else "partial" if sure[i, 0] > 0.8 else "review"
            kept = {"accept": path, "partial": path[:1], "review": ()}[decision]
            found.append(
                Prediction(product.id, path, "", kept, "", tuple(sure[i, : len(path)]), decision, "", ())
            )
        return found


class PromisingModel(WordModel):
    """Decides by a policy fitted on products of its own."""

    def __init__(self, train, kept):
        super().__init__(train)
        half = np.arange(len(kept)) < len(kept) // 3
        scores, targets = self.score(list(kept)), kept.targets()
        parts = (
            (scores[rows], type(targets)(targets.node[rows], targets.exact[rows])) for rows in (half, ~half)
        )
        self.policy = fit(*parts, precision=0.8)

    def predict(self, products):
        return self.policy.predict([p.id for p in products], self.score(products))
