"""The command line, as it is typed."""

import sys

import pytest

from aisle.cli import main


@pytest.fixture
def run(monkeypatch, capsys):
    """Type a command; (exit code, standard output, standard error)."""

    def typed(*words):
        monkeypatch.setattr(sys, "argv", ["aisle", *map(str, words)])
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed
