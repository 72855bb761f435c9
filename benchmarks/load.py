"""A load generator that costs little itself: kept connections, arrivals that never wait for answers."""

import asyncio
import json
import random
import time
from dataclasses import dataclass, field
from typing import NamedTuple


class Answer(NamedTuple):
    """status: 0 where the connection broke. seconds: since the request was due, not since it was sent."""

    status: int
    body: bytes
    seconds: float


@dataclass
class Caller:
    """Connections to one server, opened as needed and used again."""

    host: str
    port: int
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)

    async def post(self, path: str, body: object, due: float | None = None, **headers: str) -> Answer:
        """One request; `due`: when it should have been sent (`time.perf_counter`)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", path, data, due, **headers)

    async def get(self, path: str) -> Answer:
        """One request."""
        return await self.send("GET", path, b"", None)

    async def send(self, method: str, path: str, data: bytes, due: float | None, **headers: str) -> Answer:
        """One request."""
        began = due if due is not None else time.perf_counter()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n{more}\r\n"
        )
        while True:
            kept = self._kept()
            try:
                reader, writer = kept or await asyncio.open_connection(self.host, self.port)
                writer.write(head.encode() + data)
                top = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                lines = top.lower().splitlines()
                length = next(int(x.split(":")[1]) for x in lines if x.startswith("content-length"))
                answer = await reader.readexactly(length)
            except (OSError, asyncio.IncompleteReadError, StopIteration, ValueError):
                if kept:  # a server may end an idle connection at any moment: clients ask again on a new one
                    continue
                return Answer(0, b"", time.perf_counter() - began)
            break
        if "connection: close" in lines:
            writer.close()
        else:
            self.idle.append((reader, writer))
        return Answer(int(top.split(" ", 2)[1]), answer, time.perf_counter() - began)

    def _kept(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        while self.idle:
            reader, writer = self.idle.pop()
            if not reader.at_eof():
                return reader, writer
            writer.close()
        return None

    async def hang_up(self, path: str, data: bytes, after: float) -> None:
        """Begin a request and leave before the answer."""
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            )
            writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data[: len(data) // 2])
            await asyncio.sleep(after)
            if after > 0.01:
                writer.write(data[len(data) // 2 :])
                await asyncio.sleep(after / 10)
            writer.transport.abort()
        except OSError:
            return

    def close(self) -> None:
        """Hang up."""
        for _, writer in self.idle:
            writer.close()


def arrivals(rate: float, seconds: float, seed: int = 0) -> list[float]:
    """Moments at which independent callers come: a Poisson process."""
    draw, at, found = random.Random(seed), 0.0, []
    while (at := at + draw.expovariate(rate)) < seconds:
        found.append(at)
    return found
