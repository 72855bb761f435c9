import json

import pytest
from typer.testing import CliRunner

from aisle.cli import register
from aisle.cli.serve import named
from aisle.errors import AisleError
from aisle.server.store import ServerStore, feedback
from tests.server.test_retention import event


def run(*arguments):
    return CliRunner().invoke(register(), list(map(str, arguments)))


def test_keys_are_made_listed_and_revoked(tmp_path):
    store = ("--store", tmp_path / "s.db")
    made = run("keys", "add", "ana", "--role", "reviewer", *store)
    assert made.exit_code == 0
    assert made.stdout.startswith("aisle_")
    listed = json.loads(run("keys", "list", "--json", *store).stdout)
    assert [(row["person"], row["role"], row["revoked"]) for row in listed] == [("ana", "reviewer", None)]
    assert made.stdout.strip().split("_")[1] == listed[0]["id"]
    assert run("keys", "revoke", "ana", *store).exit_code == 0
    (row,) = json.loads(run("keys", "list", "--json", *store).stdout)
    assert row["revoked"] >= row["created"] == listed[0]["created"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "add", "ana", "--role", "boss"), "seller, reviewer, admin"),
        (("keys", "revoke", "nobody"), "aisle keys list"),
        (("feedback", "export", "a.csv"), ".jsonl"),
    ],
)
def test_an_error_is_one_line(tmp_path, arguments, said):
    done = run(*arguments, "--store", tmp_path / "s.db")
    assert isinstance(done.exception, AisleError)
    assert said in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("keys", "lst"), "No such command 'lst'. Did you mean 'list'?"),
        (("keys", "add"), "Missing argument 'PERSON'."),
        (("feedback", "export"), "Missing argument 'FILE.jsonl'."),
        (("feedback", "prune", "soon"), "Invalid value for 'DAYS': "),
        (("feedback", "prune", "0"), "Invalid value for 'DAYS': "),
        (("feedback", "forgt", "ana"), "No such command 'forgt'. Did you mean 'forget'?"),
    ],
)
def test_wrong_usage_is_named_under_the_usage(arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert done.stderr.splitlines()[-1].startswith(f"Error: {message}")
    assert done.stdout == ""


def test_feedback_is_exported_and_forgotten(tmp_path):
    store = ServerStore(str(tmp_path / "s.db"))
    feedback.add(store, event("ana"))
    feedback.add(store, event("ben", product="2", how="default"))
    store.close()
    options = ("--store", tmp_path / "s.db", "--json")
    told = json.loads(run("feedback", "export", tmp_path / "f.jsonl", *options).stdout)
    assert told == {"chosen": 1, "accepted": 0, "default": 1, "batch": 0}
    assert json.loads(run("feedback", "forget", "ana", *options).stdout)["feedback"] == 1
    assert json.loads(run("feedback", "prune", "1", *options).stdout) == {"rows": 0}
    missing = run("feedback", "export", tmp_path / "none" / "f.jsonl", *options)
    assert "cannot be written" in str(missing.exception)


def test_runs_have_names():
    assert {name: str(path) for name, path in named(["runs/shop", "new=a/b/model"]).items()} == {
        "shop": "runs/shop",
        "new": "a/b/model",
    }
    assert list(named(["runs/shop/model"])) == ["shop"]
    for bad in (["a/x", "b/x"], ["a,b=x"], ["=x"]):
        with pytest.raises(AisleError, match="NAME="):
            named(bad)
