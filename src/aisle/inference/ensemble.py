"""Several models as one classifier: the mean of their probabilities, or a boosted model stacked on them.

In a folder: `ensemble.json` (what it is, sealed), `policy.json`, `stack.txt` (a stacked one's trees, as
LightGBM's text) and `members/`, a whole bundle each, so that it loads where its members are not.
"""

import dataclasses
import hashlib
import json
import shutil
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from aisle.catalog import Catalog, Product
from aisle.decision import Policy
from aisle.decision.neighbours import Nearest
from aisle.errors import AisleError, BundleError
from aisle.inference import bundle
from aisle.inference.answering import Answers, Scored, in_batches
from aisle.inference.opening import ENSEMBLE as MANIFEST
from aisle.inference.predictor import Predictor
from aisle.inference.stack import Stack, mean_of
from aisle.model.features import FeatureStore
from aisle.model.parts import Context
from aisle.taxonomy import Scores, Taxonomy

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Ensemble(Answers):
    """Members over one tree, their names and weights (M,), and the trees stacked on them, if any.

    It keeps the `Classifier` protocol and answers as a `Predictor` does.

    Raises:
        BundleError: no member, or members over different trees.
    """

    members: tuple[Predictor, ...]
    names: tuple[str, ...]
    weights: np.ndarray
    policy: Policy
    stack: Stack | None = None
    model_id: str = "unsaved"
    results: Mapping[str, Any] = field(default_factory=dict)
    batch: int = 256

    def __post_init__(self) -> None:
        if not self.members:
            raise BundleError("an ensemble needs at least one model")
        for name, member in zip(self.names, self.members, strict=True):
            if member.taxonomy.fingerprint != self.taxonomy.fingerprint:
                raise BundleError(
                    f"{name} and {self.names[0]} place products in different trees: train both on one shop"
                )

    @classmethod
    def of(
        cls, members: Sequence[Predictor], names: Sequence[str], weights: Sequence[float] | None = None
    ) -> "Ensemble":
        """The mean of some models, which promises nothing yet. weights: of each, alike by default."""
        if weights is not None and (len(weights) != len(members) or min(weights) < 0 or not sum(weights)):
            raise BundleError(
                f"{len(members)} models take as many weights, none negative: {list(weights)} are not"
            )
        share = np.ones(len(members)) if weights is None else np.asarray(weights, dtype=float)
        if not len(members):
            raise BundleError("an ensemble needs at least one model")
        policy = Policy.uncalibrated(members[0].taxonomy)
        return cls(tuple(members), tuple(names), share / share.sum(), policy)

    # -- what it reads and knows --------------------------------------------------------------

    @property
    def taxonomy(self) -> Taxonomy:
        """The tree that answers are about."""
        return self.members[0].taxonomy

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views that any member reads."""
        return tuple(dict.fromkeys(view for member in self.members for view in member.views))

    @property
    def context(self) -> Context:
        """The first member's: training products of each place."""
        return self.members[0].context

    @property
    def store(self) -> FeatureStore | None:
        """Where frozen encoders' outputs are kept."""
        return self.members[0].store

    def with_store(self, store: FeatureStore | None) -> "Ensemble":
        """The same, keeping frozen encoders' outputs on disk."""
        return dataclasses.replace(self, members=tuple(m.with_store(store) for m in self.members))

    def with_policy(self, policy: Policy) -> "Ensemble":
        """The same models making other promises."""
        return dataclasses.replace(self, policy=policy)

    def seen(self, products: Catalog | Sequence[Product]) -> np.ndarray:
        """(n,) bool: products whose content any member was trained on."""
        return np.any([member.seen(products) for member in self.members], 0)

    # -- answering ----------------------------------------------------------------------------

    def contributions(self, products: Iterable[Product]) -> list[dict[str, float]]:
        """For each product, what each member's word adds to the log-odds of its place (stacked ones only).

        Raises:
            BundleError: it is a mean, which adds nothing up.
        """
        if self.stack is None:
            raise BundleError(
                "this ensemble is a mean; only a stacked one tells what each member contributes"
            )
        found: list[dict[str, float]] = []
        for batch in in_batches(products, self.batch):
            scores = [part.scores.logp for part in self._ask(batch, ())]
            found += self.stack.contributions(scores, self.taxonomy, self._counts)
        return found

    @property
    def _counts(self) -> np.ndarray:
        return np.asarray(self.context.counts)

    def _ask(self, batch: list[Product], without: Collection[str]) -> list[Scored]:
        return [
            next(iter(member.score_batches(batch, set(without) & set(member.views))))
            for member in self.members
        ]

    def _scored(
        self, products: Iterable[Product], without: Collection[str]
    ) -> Iterator[tuple[list[Product], Scored]]:
        self._check(without)
        for batch in in_batches(products, min([self.batch, *(m.batch for m in self.members)])):
            parts = self._ask(batch, without)
            scores = [part.scores.logp.astype(np.float64) for part in parts]
            if self.stack is None:
                logp = mean_of(scores, self.weights)
            else:
                logp = self.stack.score(scores, self.taxonomy, self._counts)
            spaces = next((p.spaces for m, p in zip(self.members, parts, strict=True) if m.memory), {})
            problems = [tuple(dict.fromkeys(told)) for told in _joined([p.problems for p in parts])]
            present = np.concatenate([part.present for part in parts], 1)
            yield batch, Scored(Scores(self.taxonomy, logp), parts[0].embedding, present, problems, spaces)

    def _nearest(self, scored: Scored) -> Nearest | None:
        memory = next((member.memory for member in self.members if member.memory), None)
        return memory.ask(scored.spaces, self.taxonomy) if memory else None

    def save(self, folder: str | Path) -> "Ensemble":
        """Write it with all its members; returns it with its id.

        Raises:
            BundleError: the folder exists and holds something else.
        """
        return _save(self, Path(folder))


def _joined(problems: Sequence[list[tuple[str, ...]]]) -> Iterator[list[str]]:
    for told in zip(*problems, strict=True):
        yield [what for one in told for what in one]


def _save(ensemble: Ensemble, folder: Path) -> Ensemble:
    if folder.exists() and not (folder / MANIFEST).exists() and any(folder.iterdir()):
        raise BundleError(f"{folder} exists and holds something else; name a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        beside.mkdir()
        saved = [member.save(beside / "members" / str(i)) for i, member in enumerate(ensemble.members)]
        (beside / "policy.json").write_text(ensemble.policy.to_json())
        if ensemble.stack is not None:
            (beside / "stack.txt").write_text(ensemble.stack.model)
        said = {
            "format_version": FORMAT_VERSION,
            "names": list(ensemble.names),
            "weights": ensemble.weights.tolist(),
            "members": [member.model_id for member in saved],
            "files": {
                file: _hash(beside / file)
                for file in ("policy.json", "stack.txt")
                if (beside / file).exists()
            },
        }
        said |= {"model_id": _seal(said), "results": dict(ensemble.results)}
        (beside / MANIFEST).write_text(json.dumps(said | {"seal": _seal(said)}, ensure_ascii=False, indent=1))
        old = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}.old"
        if folder.exists():
            folder.rename(old)
        beside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return dataclasses.replace(ensemble, members=tuple(saved), model_id=said["model_id"])


def load(folder: Path, trust_code: bool = False) -> Ensemble:
    """Read an ensemble.

    Raises:
        BundleError: it or a member is missing, truncated, edited, or from a newer version.
    """
    try:
        said = json.loads((folder / MANIFEST).read_text())
        seal = said.pop("seal")
        if said["format_version"] > FORMAT_VERSION:
            raise BundleError(f"{folder} has ensemble format {said['format_version']}: upgrade Aisle")
        if _seal(said) != seal:
            raise BundleError(f"{folder / MANIFEST} was edited: its content does not match its seal")
        for file, expected in said["files"].items():
            if _hash(folder / file) != expected:
                raise BundleError(
                    f"{folder / file} was edited or damaged: its content does not match its checksum"
                )
        members = [bundle.load(folder / "members" / str(i), trust_code) for i in range(len(said["members"]))]
        for number, (member, expected) in enumerate(zip(members, said["members"], strict=True)):
            if member.model_id != expected:
                raise BundleError(f"{folder}/members/{number} is another model than the ensemble was made of")
        stack = (folder / "stack.txt").read_text() if "stack.txt" in said["files"] else None
        return Ensemble(
            tuple(members),
            tuple(said["names"]),
            np.array(said["weights"]),
            Policy.from_json((folder / "policy.json").read_text()),
            None if stack is None else Stack(said["names"], stack),
            said["model_id"],
            said["results"],
        )
    except AisleError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder}: cannot be read: {type(error).__name__}: {error}") from error


def _hash(file: Path) -> str:
    with file.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _seal(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:12]
