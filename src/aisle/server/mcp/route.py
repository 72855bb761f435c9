"""POST /mcp: the Model Context Protocol over streamable HTTP, without sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.types import Message, Receive, Scope, Send

from aisle.server.mcp.tools import mcp_server
from aisle.server.routing import AuthFirstRoute
from aisle.server.security import Seller
from aisle.server.state import Server

router = APIRouter(route_class=AuthFirstRoute, include_in_schema=False)


@router.post("/mcp")
async def mcp(request: Request, key: Seller) -> Response:
    """One JSON-RPC message of an agent, and its response as JSON."""
    await request.json()  # checks its size and number of values before the protocol parses it
    return _ProtocolResponse(request.app.state.mcp, await request.body())


class _ProtocolResponse(Response):
    """Lets the protocol's own handler respond to a body that was read."""

    def __init__(self, manager: StreamableHTTPSessionManager, body: bytes) -> None:
        super().__init__()
        self.manager, self.read_body = manager, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond."""
        messages: list[Message] = [{"type": "http.request", "body": self.read_body, "more_body": False}]

        async def replay() -> Message:
            return messages.pop() if messages else await receive()

        await self.manager.handle_request(scope, replay, send)


@asynccontextmanager
async def running(app: FastAPI, server: Server) -> AsyncIterator[None]:
    """The protocol's tasks, for as long as the application runs."""
    # Hosts and origins are checked by the middleware, by the server's own settings.
    security = TransportSecuritySettings(enable_dns_rebinding_protection=False)
    protocol = mcp_server(server)
    protocol.streamable_http_app(stateless_http=True, json_response=True, transport_security=security)
    app.state.mcp = protocol.session_manager
    async with protocol.session_manager.run():
        yield
