"""What an installation of the core costs: packages, megabytes, seconds, and `make demo` from nothing.

    python benchmarks/install_size.py

Clones the committed state of this checkout and runs `make demo` in the clone, which makes a virtual
environment first; then installs once more, `pip install .`, and looks at what is there.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from results import machine, write_section

ROOT = Path(__file__).parents[1]
BARS = {"packages": 45, "megabytes": 650, "demo": 62}  # the demo: half of what it took with torch, 124 s


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "aisle"
        run("git", "clone", "--quiet", str(ROOT), str(clone), cwd=ROOT)
        install = seconds("make", "install", f"PYTHON={sys.executable}", cwd=clone)
        demo = seconds("make", "demo", cwd=clone)
        run(sys.executable, "-m", "venv", "venv", cwd=clone)
        python = clone / "venv" / "bin" / "python"
        pip = (str(python), "-m", "pip", "--disable-pip-version-check")
        plain = seconds(*pip, "install", "--quiet", "--constraint", "constraints.txt", ".", cwd=clone)
        listed = json.loads(run(*pip, "list", "--format", "json", cwd=clone))
        packages = sorted(p["name"] for p in listed if p["name"] not in ("pip", "setuptools"))
        site = run(str(python), "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])", cwd=clone)
        megabytes = int(run("du", "-sm", site.strip(), cwd=clone).split()[0])
        largest = sorted(sizes(Path(site.strip())).items(), key=lambda item: -item[1])[:6]
    rows = [
        ("packages that `pip list` shows, without pip and setuptools", len(packages), BARS["packages"]),
        ("megabytes of site-packages (`du -sm`)", megabytes, BARS["megabytes"]),
        ("seconds of `pip install .`", round(plain), ""),
        ("seconds of `make demo` from nothing, installation included", round(install + demo), BARS["demo"]),
        ("of these, seconds of the demo", round(demo), ""),
    ]
    table = "\n".join(f"| {name} | {value} | {bar} |" for name, value, bar in rows)
    text = (
        f"## Installation of the core\n\n`python benchmarks/install_size.py`; {machine()}; a fresh virtual "
        f"environment, packages from a nearby mirror.\n\n| | measured | at most |\n|---|---|---|\n{table}\n\n"
        f"Largest, in MB: {', '.join(f'{name} {size}' for name, size in largest)}.\n\n"
        f"All: {', '.join(packages)}."
    )
    write_section("install_size", text)
    print(text)


def run(*command: str, cwd: Path) -> str:
    """What a command prints; without PYTHONPATH, so that it sees only what is installed."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=cwd, env=env, check=True, capture_output=True, text=True)
    return done.stdout


def seconds(*command: str, cwd: Path) -> float:
    start = time.monotonic()
    run(*command, cwd=cwd)
    return time.monotonic() - start


def sizes(site: Path) -> dict[str, int]:
    """Megabytes a package, the libraries beside it included."""
    found: dict[str, int] = {}
    for folder in site.iterdir():
        if folder.is_dir() and not folder.name.endswith(".dist-info"):
            size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            name = folder.name.removesuffix(".libs")
            found[name] = found.get(name, 0) + round(size / 2**20)
    return found


if __name__ == "__main__":
    main()
