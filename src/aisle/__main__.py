"""Entry point of `aisle` and `python -m aisle`."""

import sys


def main() -> None:
    """Run the command line. Ctrl-C ends it with one line and exit code 130, also while it is imported."""
    try:
        from aisle.cli import main as run

        run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
