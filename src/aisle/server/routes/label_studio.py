"""Label Studio's ML backend below /label-studio, and its webhook, which stores annotations as feedback."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from aisle.guarantee import Prediction
from aisle.inference.label_studio import Control, find_control, pre_annotation, task_product
from aisle.inference.label_studio.annotations import annotated_path
from aisle.server.errors import ApiError
from aisle.server.model_registry import ServedModel
from aisle.server.product_parsing import ParsedItem, clean, clean_json
from aisle.server.routes.classify import count_predictions, predict_all
from aisle.server.routes.request_io import json_response
from aisle.server.routing import AuthFirstRoute
from aisle.server.security import Seller
from aisle.server.state import Server, ServerDep
from aisle.server.store import feedback as feedback_store
from aisle.server.thumbnails import thumbnails

router = APIRouter(prefix="/label-studio", route_class=AuthFirstRoute, include_in_schema=False)
_ANNOTATED = ("ANNOTATION_CREATED", "ANNOTATION_UPDATED")


@router.get("/health")
@router.get("/")
def health(server: ServerDep, key: Seller) -> Response:
    """Whether the backend is there."""
    return json_response({"status": "UP", "model_class": "Aisle", "model_version": _live(server).model_id})


@router.post("/setup")
async def setup(request: Request, server: ServerDep, key: Seller) -> Response:
    """Label Studio asks for the model's version when the backend is added, and with every project."""
    sent = _object(await request.json())
    config = sent.get("schema")
    if isinstance(config, str) and config.strip() and find_control(config) is None:
        message = "the labeling configuration has no Taxonomy tag: `aisle export-tasks` writes one that has"
        raise ApiError(422, "no_taxonomy_tag", message)
    return json_response({"model_version": _live(server).model_id})


@router.get("/versions")
def versions(server: ServerDep, key: Seller) -> Response:
    """The versions of the model: the live one."""
    return json_response({"versions": [_live(server).model_id]})


@router.post("/predict")
async def predict(request: Request, server: ServerDep, key: Seller) -> Response:
    """One pre-annotation for each task, in order; a task that cannot be read has none."""
    sent = _object(await request.json())
    tasks = sent.get("tasks")
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        raise ApiError(422, "bad_request", 'send {"tasks": [{"id": …, "data": {…}}, …], "label_config": …}')
    if len(tasks) > server.settings.limits.max_products:
        raise ApiError(422, "too_many_products", f"at most {server.settings.limits.max_products:,} tasks")
    served, config = _live(server), sent.get("label_config")
    control = find_control(config) if isinstance(config, str) else None
    items = await run_in_threadpool(_parse, server, tasks)
    (predictions,) = await predict_all(server, [served], items)
    count_predictions(server, served, predictions)
    results = [_result(prediction, control, served) for prediction in predictions]
    return json_response({"results": results, "model_version": served.model_id})


@router.post("/webhook")
async def webhook(request: Request, server: ServerDep, key: Seller) -> Response:
    """Stores a created or changed annotation as feedback; other events are ignored."""
    sent = _object(clean_json(await request.json()))
    if sent.get("action") not in _ANNOTATED:
        return json_response({"stored": False, "reason": "no annotation"})
    annotation, task = _object(sent.get("annotation")), _object(sent.get("task"))
    paths, served = annotated_path(annotation), _live(server)
    if annotation.get("was_cancelled") or not paths:
        return json_response({"stored": False, "reason": "skipped"})
    node = served.taxonomy.find(paths[0])
    if node is None:
        return json_response({"stored": False, "reason": f"no category {' > '.join(paths[0])[:200]!r}"})
    (item,) = await run_in_threadpool(_parse, server, [task])
    product = item.product or task_product(task)[0]
    images = await run_in_threadpool(thumbnails, product.images)
    person = annotation.get("completed_by")
    event = feedback_store.FeedbackEvent(
        person=clean(f"label-studio {person}" if isinstance(person, str | int) else key.person)[:200],
        role=key.role,
        product_id=product.id,
        fields=dict(product.fields),
        chosen_id=served.taxonomy.nodes[node].id,
        chosen=served.taxonomy.nodes[node].path,
        how="chosen",
        model=served.name,
        model_id=served.model_id,
        suggested=[],
        images=list(images),
        missing_images=[image.to_dict() for image in item.missing],
        request_key=f"label-studio {annotation.get('id')} {annotation.get('updated_at')}"[:200],
    )
    feedback_id, repeated = await run_in_threadpool(feedback_store.add, server.store, event, images)
    if not repeated:
        server.telemetry.feedback.labels("chosen").inc()
    return json_response({"stored": True, "id": feedback_id, "repeated": repeated})


def _live(server: Server) -> ServedModel:
    return server.registry.state.get()


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ApiError(422, "bad_request", "send a JSON object, as Label Studio does")
    return value


def _parse(server: Server, tasks: list[Mapping[str, Any]]) -> list[ParsedItem]:
    """The products of tasks; images that are no data URI are read if the server fetches addresses."""
    raw = []
    for task in tasks:
        product, sources = task_product(task)
        fetched = server.settings.image_fetch.enabled
        usable = [s for s in sources if s.startswith("data:") or (fetched and s.startswith("http"))]
        images = usable[: server.settings.limits.max_images]
        raw.append({"id": product.id[:200], "fields": dict(product.fields), "images": images})
    return server.parser.read(raw, {})


def _result(prediction: Any, control: Control | None, served: ServedModel) -> dict[str, Any]:
    if not isinstance(prediction, Prediction):
        return {"model_version": served.model_id, "score": 0.0, "result": []}
    return pre_annotation(prediction, control)
