"""A process that forks a child for every run it is told of, and imports what the first one needed.

So a test can kill many real runs without paying their imports: it writes a line with the command's arguments
as JSON, reads the child's process number, may kill it, and reads how it ended.
"""

import json
import os
import sys
import traceback
from contextlib import suppress
from importlib import import_module


def run(arguments: list[str]) -> int:
    """The command line, in this process; -> its exit code."""
    from aisle.cli import main

    sys.argv = ["aisle", *arguments]
    try:
        main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
        return 70
    return 0


def learn(modules: str) -> None:
    """Import what a child had imported in the end, so that later ones find it there."""
    for name in modules.split():
        with suppress(Exception):  # such as `__main__`, or what exists only in the middle of its package
            import_module(name)


def serve() -> None:
    first = True
    for line in sys.stdin:
        here, there = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(2, 1)
            code = run(json.loads(line))
            sys.stderr.flush()
            if first:
                with open(there, "w") as file:
                    file.write(" ".join(sys.modules))
            os._exit(code)
        os.close(there)
        print(child, flush=True)
        with open(here) as file:
            learn(file.read())
        first = False
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
