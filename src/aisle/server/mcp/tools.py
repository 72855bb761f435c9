"""`classify`, `search` and `explain` as tools of the Model Context Protocol (modelcontextprotocol.io)."""

import logging
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from aisle import __version__
from aisle.data import Product
from aisle.errors import AisleError
from aisle.server.errors import ApiError
from aisle.server.explanations import explain_product
from aisle.server.product_parsing import clean
from aisle.server.routes.classify import count_predictions, predict_all, result_json
from aisle.server.routes.search import find
from aisle.server.schemas.classify import ClassifyOut
from aisle.server.schemas.common import Key, ProductIn, Title
from aisle.server.schemas.mcp import ExplanationOut
from aisle.server.schemas.search import SearchIn, SearchOut
from aisle.server.settings import ServerSettings
from aisle.server.state import Server

_INSTRUCTIONS = (
    "Classifies products into this shop's category tree. `classify` gives each product's category, its "
    "confidence and whether that is enough to decide automatically (accept, partial or review). `explain` "
    "says which words decided."
)
_READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)


class Tools:
    """The tools of a started server."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def classify(
        self,
        products: Annotated[list[ProductIn], Field(min_length=1)],
        model: Annotated[Key | None, Field(description="A served model; the live one by default.")] = None,
    ) -> ClassifyOut:
        """Classify products of the shop by title, description, further fields and images. One result for each
        product, in order: the category of highest confidence (`best`), as much of its path as the model
        decides (`path`), and the decision: accept (`path` is complete), partial (`path` is a branch) or
        review (a person has to decide)."""
        server, limit = self.server, self.server.settings.limits.max_products
        with _tool_errors():
            if len(products) > limit:
                raise ApiError(422, "too_many_products", f"at most {limit:,} products a call")
            served = server.registry.state.get(model)
            raw = [product.model_dump(exclude_none=True) for product in products]
            items = await anyio.to_thread.run_sync(server.parser.read, raw, {})
            (predictions,) = await predict_all(server, [served], items)
        count_predictions(server, served, predictions)
        results = [
            result_json(item, [served], [predicted])
            for item, predicted in zip(items, predictions, strict=True)
        ]
        return ClassifyOut.model_validate({"model": served.name, "results": results})

    async def search(
        self,
        query: Annotated[Title, Field(description="Words.")] = "",
        more_like: Annotated[
            Key | None, Field(description="Id of a product of the index, instead of words.")
        ] = None,
        where: Annotated[
            str | None,
            Field(
                max_length=2_000,
                description="A filter, such as: category under 'Clothing' and price < 50. Also =, !=, in, "
                "contains, is missing, or, not, parentheses.",
            ),
        ] = None,
        count: Annotated[int, Field(ge=1, le=100)] = 10,
    ) -> SearchOut:
        """Find products of the shop's index by words, which match as words and by meaning, or products like
        one of them. The best match comes first; `total` counts the products that pass the filter."""
        sent = SearchIn(query=query, more_like=more_like, where=where, count=count)
        with _tool_errors():
            return SearchOut.model_validate(await anyio.to_thread.run_sync(find, self.server, sent))

    async def explain(
        self,
        product: ProductIn,
        category: Annotated[
            str | None,
            Field(
                max_length=2_000,
                description="The category to explain: a path or id; by default that of highest confidence.",
            ),
        ] = None,
        model: Annotated[Key | None, Field(description="A served model; the live one by default.")] = None,
    ) -> ExplanationOut:
        """Explain why a product is classified as it is: the weight of each content word and of each view
        (title, images, …), and the most similar training products."""
        with _tool_errors():
            return await anyio.to_thread.run_sync(self._explain, product, category, model)

    def _explain(self, sent: ProductIn, category: str | None, model: str | None) -> ExplanationOut:
        served = self.server.registry.state.get(model)
        node = None if category is None else served.taxonomy.find(category)
        if category is not None and node is None:
            raise ApiError(404, "no_such_category", f"there is no category {clean(category)[:200]!r}")
        product: Product = self.server.parser.product(sent).product
        return ExplanationOut.model_validate(explain_product(self.server, served, product, node).to_dict())


@contextmanager
def _tool_errors() -> Iterator[None]:
    """Return error messages to agents."""
    try:
        yield
    except AisleError as error:
        raise ToolError(str(error)) from error


def mcp_server(server: Server) -> MCPServer[Any]:
    """The MCP server over a started server; `search` only if it serves an index."""
    tools = Tools(server)
    with _root_logger_unchanged():
        protocol: MCPServer[Any] = MCPServer(
            "aisle",
            title="Aisle",
            version=__version__,
            instructions=_INSTRUCTIONS,
            subscriptions=False,
        )
    logging.getLogger("mcp").setLevel(logging.WARNING)
    functions: dict[str, Callable[..., Any]] = {"classify": tools.classify, "explain": tools.explain}
    if server.search is not None:
        functions["search"] = tools.search
    for name, tool in functions.items():
        protocol.add_tool(tool, name=name, title=f"{name.capitalize()} products", annotations=_READS)
    return protocol


@contextmanager
def _root_logger_unchanged() -> Iterator[None]:
    """`MCPServer` gives the root logger a handler, which would repeat the server's log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def serve_stdio(settings: ServerSettings) -> None:
    """Serve one client over standard input and output, until it closes them. Nothing is stored.

    Args:
        settings: The models and the index; the store is a temporary one.

    Raises:
        AisleError: A model or the index cannot be loaded.
    """
    with tempfile.TemporaryDirectory(prefix="aisle-mcp-") as folder:
        store = str(Path(folder) / "store.db")
        server = Server.start(settings.model_copy(update={"store": store}))
        try:
            mcp_server(server).run("stdio")
        finally:
            server.stop()
