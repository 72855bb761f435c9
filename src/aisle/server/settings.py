"""What a server may do and how much of it; the command line and the environment fill it in."""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

KIB, MIB = 2**10, 2**20


class Limits(BaseModel):
    """How much one caller may ask for.

    products: in a request. body: bytes of a request; bodies: of all requests under way. picture: bytes of
    one picture; pixels: once decoded. pictures: a product may have. patience: seconds that a request may
    wait for others; who would wait longer is told to come back. batch: products scored at once; wait:
    seconds that the first of a batch waits for company. rate: requests a second for each key (or address,
    where there is no key), with bursts of `burst`. body_seconds: in which a request must have arrived.
    at_once: requests under way; late: seconds by which the loop may run late; beyond, requests are refused
    unread. values: of the JSON of a request about many products (a thousand objects of 200 fields have
    400,000); a request about one thing may have 10,000. url, head: bytes of an address, and of all
    headers; headers: how many; head_seconds: in which they must have arrived. connections: open at one
    time. send_seconds: in which a caller must have read a part of an answer.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: int = Field(default=1_000, ge=1)
    body: int = Field(default=64 * MIB, ge=1)
    bodies: int = Field(default=512 * MIB, ge=1)
    picture: int = Field(default=10 * MIB, ge=1)
    pixels: int = Field(default=50_000_000, ge=1)
    pictures: int = Field(default=20, ge=1)
    patience: float = Field(default=3, gt=0)
    batch: int = Field(default=64, ge=1)
    wait: float = Field(default=0.002, ge=0)
    rate: float = Field(default=500, gt=0)
    burst: int = Field(default=1_000, ge=1)
    body_seconds: float = Field(default=60, gt=0)
    at_once: int = Field(default=500, ge=1)
    late: float = Field(default=1, gt=0)
    values: int = Field(default=500_000, ge=1)
    url: int = Field(default=32 * KIB, ge=1)
    head: int = Field(default=64 * KIB, ge=1)
    headers: int = Field(default=100, ge=1)
    head_seconds: float = Field(default=10, gt=0)
    connections: int = Field(default=1_000, ge=1)
    send_seconds: float = Field(default=60, gt=0)


class Urls(BaseModel):
    """Pictures by address: whether they are fetched at all, and what that may cost. Addresses that are not
    public never are. seconds: for one picture; seconds_in_all: for those of a request. at_once: fetches of
    a request under way at one time; requests: that may have pictures fetched at one time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    seconds: float = Field(default=10, gt=0)
    seconds_in_all: float = Field(default=30, gt=0)
    at_once: int = Field(default=8, ge=1)
    requests: int = Field(default=8, ge=1)


class Settings(BaseModel):
    """Everything a server is told at its start.

    runs: name -> the folder of a run or model; the first is live unless another was promoted. store:
    a SQLAlchemy address, or the path of a SQLite file. host: the address listened at. hosts: names under
    which browsers may reach it, besides its own. open: no keys are asked for. proxies: addresses whose
    `X-Forwarded-For` is believed. origins: pages of other hosts that may call (CORS); none. library: the
    folder below which an administrator may load further models. index: the folder of products to search.
    gold: labelled products on which a model must not be worse to be promoted. shadow: the model that
    answers along, unseen. double: the share of reviewed products that two people look at. batch_floor: the
    confidence below which several suggestions cannot be accepted together. keep_days: after which feedback
    and what was recorded besides is deleted; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: dict[str, Path]
    store: str = "aisle-server.db"
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    open: bool = False
    proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    library: Path | None = None
    index: Path | None = None
    gold: Path | None = None
    shadow: str | None = None
    double: float = Field(default=0.1, ge=0, le=1)
    batch_floor: float = Field(default=0.8, ge=0, le=1)
    keep_days: int | None = Field(default=None, ge=1)
    limits: Limits = Limits()
    urls: Urls = Urls()
    drain_seconds: int = Field(default=30, ge=1)

    @property
    def reachable(self) -> str | None:
        """Why others than this machine can ask; None: they cannot."""
        if not is_local(self.host):
            return f"it listens at {self.host or 'every address'}"
        if self.proxies:
            return f"--proxy {self.proxies[0]}"
        return f"--allow-host {self.hosts[0]}" if self.hosts else None


def is_local(host: str) -> bool:
    """Whether this address, or name, is one that only the machine itself reaches."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
