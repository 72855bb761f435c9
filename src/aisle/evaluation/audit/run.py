"""Audits the labels of a catalog with models that were not trained on these products."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from aisle.data import Catalog
from aisle.data.splits import folds as fold_numbers
from aisle.errors import CatalogError
from aisle.evaluation.audit.candidates import AuditCases, audit_cases
from aisle.evaluation.audit.evidence import FEATURES, Evidence, gather
from aisle.evaluation.audit.label_scores import LabelScores, score_labels
from aisle.evaluation.audit.reasons import reasons
from aisle.evaluation.audit.result import LIKELY, Audit, AuditFinding, CategoryErrors, SimilarProduct
from aisle.evaluation.thumbnails import thumbnail
from aisle.models.features import FeatureStore
from aisle.progress import SILENT, Progress
from aisle.taxonomy import CategoryPath, Taxonomy
from aisle.training.recipe import AnyRecipe
from aisle.training.stacking import fold_models

SHOWN = 100  # findings with images on the page
SIMILAR = 3  # nearest products shown with each
CATEGORIES = 15  # with most wrong labels, on the page
TITLE, TEXT = 160, 240  # characters
_COLUMN = {name: i for i, name in enumerate(FEATURES)}


def audit(
    catalog: Catalog,
    recipe: AnyRecipe,
    *,
    folds: int = 5,
    most: int = 10_000,
    store: FeatureStore | None = None,
    trust_code: bool = False,
    progress: Progress = SILENT,
) -> Audit:
    """Rank the labelled products of a catalog by how likely their label is wrong.

    Near-duplicates (equal words, equal or similar first images, one group) share a fold and do not count as
    each other's neighbors.

    Args:
        catalog: The labelled products.
        recipe: Trains the model of each fold.
        folds: Number of folds, at least 2.
        most: Findings kept, the most suspicious ones.
        store: Caches features between folds.
        trust_code: Whether encoders may run code of their own.
        progress: Receives progress.

    Raises:
        CatalogError: Fewer than two labelled products a fold, or all in one category.
        RecipeError, MissingModelError: As `aisle.training.fit.fit`.
    """
    group = catalog.groups(progress=progress)
    taxonomy, node = catalog.taxonomy, catalog.targets().node
    labelled = np.flatnonzero((node >= 0) & ~catalog.fatal)
    if folds < 2:
        raise CatalogError(
            f"--folds {folds}: at least 2 are needed, so that no model scores its own training rows"
        )
    if len(labelled) < 2 * folds or len(np.unique(group[labelled])) < folds:
        raise CatalogError(
            f"{len(labelled):,} of {len(catalog):,} rows are labelled: too few to audit in {folds} folds"
        )
    if len(np.unique(node[labelled])) < 2:
        raise CatalogError("all labelled rows are in one category: there is nothing to confuse it with")
    number = np.full(len(catalog), -1)
    number[labelled] = fold_numbers(catalog.select(labelled), folds)
    cases = audit_cases(catalog, taxonomy, number, group)
    models = fold_models(
        catalog, recipe, taxonomy, number, store=store or FeatureStore(), trust_code=trust_code
    )
    with progress("training in folds", folds, "models") as advance:
        evidence = gather(catalog, taxonomy, cases, _counted(models, advance), progress)
    verdicts = score_labels(evidence)
    order = np.argsort(-verdicts.suspicion, kind="stable")[:most]
    findings = [
        _finding(catalog, taxonomy, evidence, verdicts, int(i), rank) for rank, i in enumerate(order, 1)
    ]
    likely = verdicts.chance >= LIKELY
    proposed = cases.candidates[np.arange(len(cases.rows)), verdicts.proposal]
    siblings = [
        _differing_level(taxonomy.nodes[a].path, taxonomy.nodes[b].path) == "sibling"
        for a, b in zip(cases.node[likely], proposed[likely], strict=True)
    ]
    return Audit(
        source=", ".join(part.path.name for part in catalog.files),
        recipe=recipe.name,
        folds=folds,
        rows=len(catalog),
        audited=len(cases.rows),
        unlabelled=int(((node < 0) & ~catalog.fatal).sum()),
        faulty=int(catalog.fatal.sum()),
        share=float(verdicts.chance.mean()),
        likely=int(likely.sum()),
        siblings=sum(siblings),
        categories=_worst_categories(taxonomy, cases, verdicts),
        findings=tuple(findings),
    )


def _counted(models: Iterable[Any], advance: Callable[[int], None]) -> Iterator[Any]:
    for pair in models:
        yield pair
        advance(1)


def _finding(
    catalog: Catalog, taxonomy: Taxonomy, evidence: Evidence, verdicts: LabelScores, i: int, rank: int
) -> AuditFinding:
    cases, best = evidence.cases, int(verdicts.proposal[i])
    row = int(cases.rows[i])
    product = catalog[row]
    paths = [node.path for node in taxonomy.nodes]
    present, proposed = paths[cases.node[i]], paths[cases.candidates[i, best]]
    others = np.flatnonzero(cases.group == cases.group[i])
    by_text, by_image = (None if n < 0 else paths[n] for n in evidence.single_view[i].tolist())
    agree = float(evidence.agree[i])
    fields: dict[str, object] = {
        "present": present,
        "proposed": proposed,
        "where": _differing_level(present, proposed),
        "confidence": float(evidence.confidence[i, best]),
        "present_confidence": float(evidence.confidence[i, 0]),
        "others": int(evidence.support[i]),
        "neighbors_present": _vote_share(evidence, i, 0),
        "neighbors_proposed": _vote_share(evidence, i, best),
        "text_prediction": by_text,
        "image_prediction": by_image,
        "duplicates": len(others) - 1,
        "duplicates_agree": None if np.isnan(agree) else agree,
    }
    shown = rank <= SHOWN
    return AuditFinding.model_validate(
        fields
        | {
            "rank": rank,
            "row": int(catalog.rows[row]),
            "id": product.id,
            "title": _short(product.fields.get("title", ""), TITLE),
            "chance": float(verdicts.chance[i]),
            "suspicion": float(verdicts.suspicion[i]),
            "reasons": reasons(fields),
            "text": _short(product.fields.get("description", ""), TEXT),
            "image": thumbnail(product) if shown else {"state": "none"},
            "nearest": _similar_products(catalog, taxonomy, evidence, i) if shown else (),
        }
    )


def _vote_share(evidence: Evidence, i: int, candidate: int) -> float | None:
    """A candidate's share of the vote, 0 to 1, averaged over text and images; None without neighbors."""
    columns = [_COLUMN["neighbors full"], _COLUMN["similar images full"]]
    shares = evidence.features[i, candidate, columns]
    shares = shares[np.isfinite(shares)]
    return float(shares.mean()) if len(shares) else None


def _similar_products(
    catalog: Catalog, taxonomy: Taxonomy, evidence: Evidence, i: int
) -> tuple[SimilarProduct, ...]:
    """The most similar products by any embedding space."""
    cases = evidence.cases
    best_similarity: dict[int, float] = {}
    for space in evidence.near.values():
        for j, similarity in zip(space.number[i].tolist(), space.similarity[i].tolist(), strict=True):
            if j >= 0:
                best_similarity[j] = max(best_similarity.get(j, -1.0), similarity)
    products = []
    for j in sorted(best_similarity, key=lambda j: (-best_similarity[j], j))[:SIMILAR]:
        other = catalog[int(cases.rows[j])]
        products.append(
            SimilarProduct(
                id=other.id,
                title=_short(other.fields.get("title", ""), TITLE),
                path=taxonomy.nodes[cases.node[j]].path,
                similarity=best_similarity[j],
                image=thumbnail(other, 96),
            )
        )
    return tuple(products)


def _worst_categories(
    taxonomy: Taxonomy, cases: AuditCases, verdicts: LabelScores
) -> tuple[CategoryErrors, ...]:
    """The categories with the most labels estimated to be wrong."""
    size = len(taxonomy)
    wrong = np.bincount(cases.node, verdicts.chance, minlength=size)
    likely = np.bincount(cases.node, verdicts.chance >= LIKELY, minlength=size)
    products = np.bincount(cases.node, minlength=size)
    order = sorted(range(size), key=lambda n: (-wrong[n], n))[:CATEGORIES]
    return tuple(
        CategoryErrors(
            path=taxonomy.nodes[n].path,
            products=int(products[n]),
            wrong=float(wrong[n]),
            likely=int(likely[n]),
        )
        for n in order
        if likely[n]
    )


def _differing_level(present: CategoryPath, proposed: CategoryPath) -> str:
    shared = 0
    while shared < min(len(present), len(proposed)) and present[shared] == proposed[shared]:
        shared += 1
    if not shared and min(len(present), len(proposed)) > 1:
        return "top"
    return "sibling" if shared >= min(len(present), len(proposed)) - 1 else "branch"


def _short(text: str, max_chars: int) -> str:
    text = text.encode("utf-8", "replace").decode("utf-8")
    return text if len(text) <= max_chars else text[:max_chars].rstrip() + "…"
