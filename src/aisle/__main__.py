"""`python -m aisle` is the command line."""

from aisle.cli import main

main()
