"""What training a shipped recipe costs, from nothing and with features kept: time, processor, memory.

    python benchmarks/cost.py marketplace --text FOLDER --image FOLDER

Runs `aisle train` twice in processes of their own, with an empty folder of features and then with the one
that the first run filled, and writes a section of RESULTS.md. Wall-clock times on a busy machine say
little: read the processor's seconds.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from accuracy import SETS
from results import SHARED, machine, write_section


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", choices=SETS)
    parser.add_argument("--recipe", default="balanced")
    parser.add_argument("--text", help="folder of the text encoder's weights, in place of its hub name")
    parser.add_argument("--image", help="folder of the image encoder's weights, in place of its hub name")
    args = parser.parse_args()
    changes = [f"text_encoder={args.text}"] if args.text else []
    changes += [f"image_encoder={args.image}"] if args.image else []
    lines = ["| features | wall, s | processor, s | peak memory, GiB |", "|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as scratch:
        for turn in ("from nothing", "kept"):
            command = [sys.executable, "-m", "aisle", "train", str(SHARED / "data" / SETS[args.data])]
            command += ["--recipe", args.recipe, "--out", str(Path(scratch) / turn), "--no-baseline"]
            command += [word for change in changes for word in ("--set", change)]
            used, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            environment = os.environ | {"AISLE_CACHE": str(Path(scratch) / "cache")}
            subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
            wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
            lines.append(f"| {turn} | {wall:.0f} | {seconds:.0f} | {now.ru_maxrss / 2**20:.2f} |")
            print(lines[-1], flush=True)
    write_section(
        f"cost {args.recipe} {args.data}",
        f"## Cost of training `{args.recipe}` on `{args.data}`\n"
        f"`aisle train`, the evaluation of its `test` rows included; memory is the higher of the two so far. "
        f"{machine()}, load {os.getloadavg()[1]:.0f}.\n\n" + "\n".join(lines),
    )


if __name__ == "__main__":
    main()
