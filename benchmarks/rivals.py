"""Other libraries' classifiers beside `fast` and `balanced`, trained and evaluated on the same rows.

    python benchmarks/rivals.py marketplace --text FOLDER --image FOLDER --keep FOLDER
    python benchmarks/rivals.py instacart --text FOLDER --rows 10000 --keep FOLDER

Trained on `train`, evaluated on `test`, once. A rival whose package is absent is named in the table with the
command that installs it; no rival is a dependency of Aisle. Predictions are in `--keep`, so that a stopped
run continues.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

import aisle
from accuracy import (
    MEANING,
    NO_GUARANTEE,
    SETS,
    WITH_IMAGES,
    Method,
    Predicted,
    differences,
    gain,
    judge,
    predicted,
    recipe,
    stack,
    svm,
    table,
)
from aisle.data import Catalog
from aisle.evaluation.baseline import text_of, tfidf
from aisle.training.recipe_toml import toml_string
from aisle.workflow import part
from results import SHARED, machine, write_section

FEATURES = 100_000  # of HiClass's TF-IDF
STEPS, PAIRS = 200, 16  # SetFit-like: optimizer steps, pairs of texts per step
COMPONENTS, ROUNDS = 64, 30  # LightGBM: principal components of the vectors, boosting rounds
# Chosen on 600 held-out rows of `train` of marketplace. With its defaults LightGBM diverges; character
# n-grams made fastText worse.
LIGHTGBM = {"objective": "multiclassova", "num_leaves": 15, "min_data_in_leaf": 10, "lambda_l2": 1.0}
FASTTEXT = {"lr": 1.0, "epoch": 50, "wordNgrams": 2, "bucket": 200_000, "thread": 1, "verbose": 0}
_CHOSEN = "settings chosen on held-out rows of `train`."
NOTES = {
    "nearest category name, zero-shot": "Nearest name: by MiniLM.",
    "fastText, softmax": f"fastText: {FASTTEXT['epoch']} epochs, words and word pairs, {_CHOSEN}",
    "HiClass, local classifier per node": "HiClass: logistic regression on TF-IDF.",
    "LightGBM on vectors": f"LightGBM: {ROUNDS} rounds on {COMPONENTS} components of MiniLM, {_CHOSEN}",
    "SetFit-like": f"SetFit-like: MiniLM, {STEPS} steps of {PAIRS} pairs.",
}

Answer = Callable[[Catalog], Any]  # predicted node of each product


class Rival(NamedTuple):
    """A method, and the package it needs: its module, and its name for pip."""

    method: Method
    module: str = ""
    package: str = ""


def timed(fit: Callable[[Catalog], Answer], *settings: Any) -> Method:
    """A method from a function that fits on a catalog and returns one that predicts nodes of another.

    Args:
        fit: the function.
        settings: what its predictions depend on besides the rows.
    """

    def run(train: Catalog, evaluated: Catalog) -> Predicted:
        start = time.perf_counter()
        answer = fit(train)
        fitted = time.perf_counter()
        paths = [evaluated.taxonomy.nodes[n].path for n in answer(evaluated)]
        return Predicted(paths, fitted - start, time.perf_counter() - fitted)

    return Method(run, settings)


def texts_and_nodes(catalog: Catalog) -> tuple[list[str], np.ndarray]:
    """Texts of the products whose exact category is known, and its node."""
    targets = catalog.targets()
    rows = np.flatnonzero((targets.node >= 0) & targets.exact)
    return [text_of(catalog[int(i)]) for i in rows], targets.node[rows]


# -- rivals -------------------------------------------------------------------------------------------------


def fasttext(loss: str) -> Callable[[Catalog], Answer]:
    def fit(train: Catalog) -> Answer:
        import tempfile

        import fasttext as library  # type: ignore[import-not-found]

        def line(text: str) -> str:
            return " ".join(text.lower().split())

        texts, nodes = texts_and_nodes(train)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(f"__label__{n} {line(text)}\n" for text, n in zip(texts, nodes, strict=True))
            file.flush()
            model = library.train_supervised(file.name, loss=loss, **FASTTEXT)

        def answer(catalog: Catalog) -> Any:
            labels, _ = model.predict([line(text_of(p)) for p in catalog])
            return [int(label[0].removeprefix("__label__")) for label in labels]

        return answer

    return fit


def hiclass(train: Catalog) -> Answer:
    from hiclass import LocalClassifierPerNode  # type: ignore[import-not-found]

    texts, nodes = texts_and_nodes(train)
    features, tree = tfidf(len(texts), FEATURES), train.taxonomy
    # Names are numbers of nodes, so that equal names in two branches stay apart; "" is below a path's end.
    paths = np.array([[str(n) if n >= 0 else "" for n in tree.ancestors[node]] for node in nodes])
    model = LocalClassifierPerNode(local_classifier=LogisticRegression(C=10.0, max_iter=200))
    model.fit(features.fit_transform(texts), paths)

    def answer(catalog: Catalog) -> Any:
        found = model.predict(features.transform([text_of(p) for p in catalog]))
        return [[int(n) for n in path if n][-1] for path in found]

    return answer


def lightgbm(folder: str) -> Callable[[Catalog], Answer]:
    def fit(train: Catalog) -> Answer:
        import lightgbm as library

        texts, nodes = texts_and_nodes(train)
        shrink = PCA(COMPONENTS, random_state=0)
        kept, label = np.unique(nodes, return_inverse=True)
        data = library.Dataset(shrink.fit_transform(sentence_encoder(folder).encode(texts)), label)
        options = {**LIGHTGBM, "num_class": len(kept), "num_threads": 1, "verbose": -1, "seed": 0}
        model = library.train(options, data, ROUNDS)

        def answer(catalog: Catalog) -> Any:
            x = shrink.transform(sentence_encoder(folder).encode([text_of(p) for p in catalog]))
            return kept[np.asarray(model.predict(x)).argmax(1)]

        return answer

    return fit


def nearest_name(folder: str) -> Callable[[Catalog], Answer]:
    def fit(train: Catalog) -> Answer:
        encoder, tree = sentence_encoder(folder), train.taxonomy
        names = encoder.encode([" > ".join(tree.nodes[n].path) for n in tree.terminals])

        def answer(catalog: Catalog) -> Any:
            return tree.terminals[(encoder.encode([text_of(p) for p in catalog]) @ names.T).argmax(1)]

        return answer

    return fit


def setfit(folder: str) -> Callable[[Catalog], Answer]:
    def fit(train: Catalog) -> Answer:
        encoder, (texts, nodes) = SentenceEncoder(folder), texts_and_nodes(train)
        encoder.contrast(texts, nodes)
        kept, label = np.unique(nodes, return_inverse=True)
        head = LogisticRegression(C=10.0, max_iter=200).fit(encoder.encode(texts), label)

        def answer(catalog: Catalog) -> Any:
            return kept[head.predict(encoder.encode([text_of(p) for p in catalog]))]

        return answer

    return fit


class SentenceEncoder:
    """Unit vectors of texts: the mean over tokens of a transformers model.

    Args:
        folder: of the model, or its hub name.
    """

    def __init__(self, folder: str) -> None:
        from transformers import AutoModel, AutoTokenizer

        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)
        self.model: Any = AutoModel.from_pretrained(folder)
        self.known: dict[str, np.ndarray] = {}

    def embed(self, texts: list[str]) -> Any:
        """A tensor (n, width)."""
        from torch.nn.functional import normalize

        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=48, return_tensors="pt")
        mask = inputs["attention_mask"].unsqueeze(-1)
        tokens = self.model(**inputs).last_hidden_state * mask
        return normalize(tokens.sum(1) / mask.sum(1), dim=1)

    def encode(self, texts: list[str]) -> np.ndarray:
        """(n, width). A text is computed once."""
        import torch

        self.model.eval()
        new = sorted({text for text in texts if text not in self.known}, key=len)
        with torch.inference_mode():
            for start in range(0, len(new), 64):
                some = new[start : start + 64]
                self.known.update(zip(some, self.embed(some).numpy(), strict=True))
        return np.stack([self.known[text] for text in texts])

    def contrast(self, texts: list[str], nodes: np.ndarray) -> None:
        """Finetune on pairs, half of them of one category: cosine to 1 or 0 (as SetFit, arXiv 2209.11055)."""
        import torch

        rng = np.random.default_rng(0)
        members = [rows for n in np.unique(nodes) if len(rows := np.flatnonzero(nodes == n)) > 1]
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-5)
        self.model.train()
        for _ in range(STEPS):
            same = [
                rng.choice(members[k], 2, replace=False) for k in rng.integers(len(members), size=PAIRS // 2)
            ]
            pairs = np.stack([*same, *rng.integers(len(texts), size=(PAIRS // 2, 2))])
            one, two = (self.embed([texts[i] for i in side]) for side in pairs.T)
            wanted = torch.tensor(nodes[pairs[:, 0]] == nodes[pairs[:, 1]], dtype=torch.float32)
            loss = (((one * two).sum(1) - wanted) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.known.clear()


@cache
def sentence_encoder(folder: str) -> SentenceEncoder:
    """The encoder as it was pretrained."""
    return SentenceEncoder(folder)


# -- the comparison -----------------------------------------------------------------------------------------


def rivals(data: str, text: str, image: str | None) -> dict[str, Rival]:
    """All methods by name, `fast` and `balanced` last."""
    changes = [f"text_encoder={toml_string(text)}"]
    images = data in WITH_IMAGES
    changes.append(f"image_encoder={toml_string(image)}" if images and image else "views.image=false")
    views = [*MEANING, "image"] if images else MEANING
    return {
        "nearest category name, zero-shot": Rival(timed(nearest_name(text))),
        "fastText, hierarchical softmax": Rival(
            timed(fasttext("hs"), FASTTEXT), "fasttext", "fasttext-wheel"
        ),
        "fastText, softmax": Rival(timed(fasttext("softmax"), FASTTEXT), "fasttext", "fasttext-wheel"),
        "HiClass, local classifier per node": Rival(timed(hiclass), "hiclass", "hiclass"),
        "LightGBM on vectors": Rival(
            timed(lightgbm(text), COMPONENTS, ROUNDS, LIGHTGBM), "lightgbm", "lightgbm"
        ),
        "SetFit-like": Rival(timed(setfit(text), STEPS, PAIRS)),
        "linear SVM on TF-IDF": Rival(Method(svm)),
        "linear stack": Rival(stack(views, changes)),
        "fast": Rival(recipe("fast", [*([] if images else ["views.image=false"]), *NO_GUARANTEE])),
        "balanced": Rival(recipe("balanced", [*changes, *NO_GUARANTEE])),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--text", required=True, help="folder or hub name of the text encoder")
    parser.add_argument("--image", help="folder or hub name of the image encoder")
    parser.add_argument("--rows", type=int, help="train on this many random rows (default: all)")
    parser.add_argument("--keep", type=Path, default=Path("rivals"), help="folder of predictions")
    parser.add_argument("--only", nargs="*", help="methods by name (default: all)")
    args = parser.parse_args()
    if args.data in WITH_IMAGES and not args.image:
        parser.error(f"{args.data} has images: name --image")
    catalog = aisle.read(SHARED / "data" / SETS[args.data])
    train, test = part(catalog, "train"), part(catalog, "test")
    if args.rows and args.rows < len(train):
        train = train.select(np.sort(np.random.default_rng(0).choice(len(train), args.rows, replace=False)))
    tree, truth = catalog.taxonomy, test.targets().node
    answers: dict[str, np.ndarray] = {}
    seconds: dict[str, tuple[float, float]] = {}
    skipped = []
    for name, rival in rivals(args.data, args.text, args.image).items():
        if args.only and name not in args.only:
            continue
        if rival.module and find_spec(rival.module) is None:
            skipped.append(f"{name} (`pip install {rival.package}`)")
            continue
        one = predicted(name, rival.method, (train, test), args.keep)
        answers[name] = np.array([tree.index(path) for path in one.paths])
        seconds[name] = (one.fit, one.answer)
        print(f"{name}: {(answers[name] == truth).mean():.4f}, {one.fit:.0f} s", file=sys.stderr, flush=True)

    def top(node: np.ndarray) -> np.ndarray:
        return tree.ancestors[node, 0]

    rows = {name: judge(truth, found, seconds[name], top) for name, found in answers.items()}
    own = [name for name in ("fast", "balanced") if name in answers]
    pairs = [(a, b) for a in own for b in answers if b not in own]
    gains = {(a, b): gain(truth, answers[a], answers[b]) for a, b in pairs}
    rows_given = f" --rows {args.rows}" if args.rows else ""
    about = (
        f"`benchmarks/rivals.py {args.data}{rows_given}`; trained on {len(train):,} products of `train`, "
        f"{len(test):,} `test` products evaluated; {machine()}, next to other processes: trust ratios of "
        "times. All rivals read title and description; `fast`, `balanced` and the linear stack read images "
        f"too, where there are any. {' '.join(note for name, note in NOTES.items() if name in answers)} "
        "Limits: paired bootstrap, 95 %."
    )
    lines = [f"## Rivals on `{args.data}`", "", about, "", table(rows), "", differences(gains)]
    if skipped:
        lines += ["", f"Skipped, because the package is absent: {', '.join(skipped)}."]
    write_section(f"rivals {args.data}", "\n".join(lines))


if __name__ == "__main__":
    main()
