"""Settings of the server, filled in from the command line and the environment."""

import ipaddress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

KIB, MIB = 2**10, 2**20


class RequestLimits(BaseModel):
    """Limits on requests and connections; `_s` is seconds.

    `max_wait_s` bounds the time a request queues behind others; a longer one gets 503. `batch_wait_s` is how
    long the first request of a batch waits for others. `rate` and `burst` are requests per second and at
    once, for each key, or for each address where no keys are used. `max_total_body_bytes` is for all requests
    in progress. Above `max_concurrent_requests` or `max_loop_lag_s`, requests get 503 unread.
    `max_json_values` is for requests about many products: 1,000 objects of 200 fields have 400,000 values.
    `send_timeout_s` is how long a client may take to read a part of a response.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_products: int = Field(default=1_000, ge=1)
    max_body_bytes: int = Field(default=64 * MIB, ge=1)
    max_total_body_bytes: int = Field(default=512 * MIB, ge=1)
    max_image_bytes: int = Field(default=10 * MIB, ge=1)
    max_image_pixels: int = Field(default=50_000_000, ge=1)
    max_images: int = Field(default=20, ge=1)
    max_wait_s: float = Field(default=3, gt=0)
    batch_size: int = Field(default=64, ge=1)
    batch_wait_s: float = Field(default=0.002, ge=0)
    rate: float = Field(default=500, gt=0)
    burst: int = Field(default=1_000, ge=1)
    body_timeout_s: float = Field(default=60, gt=0)
    max_concurrent_requests: int = Field(default=500, ge=1)
    max_loop_lag_s: float = Field(default=1, gt=0)
    max_json_values: int = Field(default=500_000, ge=1)
    max_url_bytes: int = Field(default=32 * KIB, ge=1)
    max_header_bytes: int = Field(default=64 * KIB, ge=1)
    max_headers: int = Field(default=100, ge=1)
    header_timeout_s: float = Field(default=10, gt=0)
    max_connections: int = Field(default=1_000, ge=1)
    send_timeout_s: float = Field(default=60, gt=0)


class ImageFetchSettings(BaseModel):
    """Whether and how images are fetched from URLs.

    Attributes:
        enabled: Whether they are fetched at all.
        timeout_s: Seconds for one image.
        total_timeout_s: Seconds for all images of a request.
        max_parallel: Images that a request fetches at once.
        max_requests: Requests that may fetch at once.
        networks: Networks that are not public and may be fetched from, such as that of a shop's image server.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = False
    timeout_s: float = Field(default=10, gt=0)
    total_timeout_s: float = Field(default=30, gt=0)
    max_parallel: int = Field(default=8, ge=1)
    max_requests: int = Field(default=8, ge=1)
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()


class BatchSettings(BaseModel):
    """Limits of uploaded files. `max_expanded_bytes` is what a compressed file may unpack to, `max_files` how
    many files each person may have."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rows: int = Field(default=1_000_000, ge=1)
    max_expanded_bytes: int = Field(default=1024 * MIB, ge=1)
    max_files: int = Field(default=50, ge=1)


class ServerSettings(BaseModel):
    """Settings of one server process.

    Attributes:
        runs: Folders of runs or models by name. The first is live unless another was promoted.
        store: A SQLAlchemy URL, or the path of a SQLite file.
        host: The address to listen on.
        hosts: Further host names that requests may use.
        no_keys: Serve without keys although others can reach the server.
        proxies: Addresses whose `X-Forwarded-For` is trusted.
        origins: Origins of other sites that may call the API (CORS).
        library: The folder below which an administrator may load further models.
        index: A search index.
        mapping: A mapping file of `aisle map` (CSV), which people review.
        mapping_to: The target tree of the mapping, as `--to` of `aisle map`.
        golden_set: Labelled products; a model must not be worse on them to be promoted.
        shadow: The name of the shadow model.
        double_review_rate: The share of review items that two people decide.
        batch_min_confidence: Suggestions of lower confidence cannot be accepted several at a time.
        files: The folder of uploaded files; None: beside the SQLite file of the store.
        keep_days: Days after which stored rows are deleted; None keeps them.
        precision: A point of each model's operating curve; None: as calibrated.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    runs: dict[str, Path]
    store: str = "aisle-server.db"
    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    no_keys: bool = False
    proxies: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    library: Path | None = None
    index: Path | None = None
    mapping: Path | None = None
    mapping_to: str = "google"
    golden_set: Path | None = None
    shadow: str | None = None
    double_review_rate: float = Field(default=0.1, ge=0, le=1)
    batch_min_confidence: float = Field(default=0.8, ge=0, le=1)
    files: Path | None = None
    keep_days: int | None = Field(default=None, ge=1)
    precision: float | None = Field(default=None, gt=0, lt=1)
    limits: RequestLimits = RequestLimits()
    image_fetch: ImageFetchSettings = ImageFetchSettings()
    batches: BatchSettings = BatchSettings()
    drain_seconds: int = Field(default=30, ge=1)

    @property
    def files_folder(self) -> Path:
        """The folder of uploaded files."""
        if self.files is not None:
            return self.files
        local = self.store.removeprefix("sqlite:///") if "://" in self.store else self.store
        return Path("aisle-files") if "://" in local else Path(f"{local}-files")

    @property
    def reachable(self) -> str | None:
        """Why other machines can reach the server; None if they cannot."""
        if not is_local(self.host):
            return f"it listens at {self.host or 'every address'}"
        if self.proxies:
            return f"--proxy {self.proxies[0]}"
        return f"--allow-host {self.hosts[0]}" if self.hosts else None


def is_local(host: str) -> bool:
    """Whether only this machine reaches an address or host name."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
