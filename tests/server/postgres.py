"""A real PostgreSQL server for tests, started and stopped by them as a user that is not root."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

_HOMES = (Path("/usr/lib/postgresql"), Path("/usr/pgsql"), Path("/opt/homebrew/opt"))


def binaries() -> Path | None:
    """The folder with `initdb` and `pg_ctl`, the newest version's."""
    found = [path.parent for home in _HOMES for path in home.glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: [int(p) for p in path.parent.name.split(".") if p.isdigit()])
    here = shutil.which("initdb")
    return Path(here).parent if here and shutil.which("pg_ctl") else None


class Postgres:
    """One cluster in a folder of its own; `new()` makes an empty schema."""

    def __init__(self, bin_: Path) -> None:
        self.bin = bin_
        self.user = _system_user()
        self.folder = Path(tempfile.mkdtemp(prefix="aisle-pg-"))
        if self.user:
            owner = pwd.getpwnam(self.user)
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        data, self.made = self.folder / "data", 0
        self._run("initdb", "-D", data, "-U", "aisle", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self._run("pg_ctl", "-D", data, "-o", options, "-l", self.folder / "log", "-w", "-t", "120", "start")

    def _run(self, name: str, *arguments: object) -> None:
        command = [str(self.bin / name), *map(str, arguments)]
        more = (
            {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
            if self.user
            else {}
        )
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, env=_environment(), **more
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"

    def new(self) -> str:
        """The address of an empty schema: a database of its own would take a thousand files each."""
        self.made += 1
        base = f"postgresql://aisle@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(base, autocommit=True) as connection:
            connection.execute(f"CREATE SCHEMA shop{self.made}")
        return f"{base}?options=-csearch_path%3Dshop{self.made}"

    def stop(self) -> None:
        """Stop it and delete its folder."""
        self._run("pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


def _system_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


@pytest.fixture(scope="session")
def postgres():
    """The server; tests that ask for it are skipped, saying so, where PostgreSQL is not installed."""
    found = binaries()
    if found is None:
        pytest.skip("PostgreSQL's initdb and pg_ctl are not installed (Debian: apt-get install postgresql)")
    started = Postgres(found)
    yield started
    started.stop()
