"""Models on the Hub: the real client library against a stand-in for the Hub's HTTP API."""

import os
import subprocess
import sys

import pytest
import yaml
from huggingface_hub import ModelCard, constants

import aisle
from aisle.data import Product
from aisle.errors import MissingExtraError
from aisle.inference.hub import HubError, hub_address
from tests.inference.hub_server import hub

SHOES = [Product("1", {"title": "red running shoes"}), Product("2", {"title": "wall clock"})]


@pytest.fixture
def site(monkeypatch, tmp_path):
    """A Hub that this process asks, with an empty cache and the owner's token."""
    with hub() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setenv("HF_TOKEN", "hf_right")
        yield server


@pytest.mark.slow
def test_a_model_that_is_pushed_predicts_the_same_where_it_is_loaded(site, trained):
    address = trained.model.push_to_hub("shop/classifier", license="apache-2.0")
    assert address == f"{site.address}/shop/classifier"
    found = aisle.load("hf://shop/classifier")
    assert found.model_id == trained.model.model_id
    assert found.predict(SHOES) == trained.model.predict(SHOES)


@pytest.mark.slow
def test_what_is_in_the_cache_needs_no_network(site, trained, monkeypatch):
    trained.model.push_to_hub("shop/classifier")
    aisle.load("hf://shop/classifier")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    site.requests.clear()
    assert aisle.load("hf://shop/classifier").predict(SHOES) == trained.model.predict(SHOES)
    assert site.requests == []
    with pytest.raises(HubError, match="not in the cache"):
        aisle.load("hf://shop/other")


@pytest.mark.slow
def test_a_revision_is_a_branch_or_a_commit(site, trained, tmp_path):
    trained.model.push_to_hub("shop/classifier", revision="tuned", commit_message="First")
    with pytest.raises(HubError, match=r"no aisle\.json"):
        aisle.load("hf://shop/classifier")  # `main` is empty
    assert aisle.load("hf://shop/classifier@tuned").model_id == trained.model.model_id
    commit = site.repositories["shop/classifier"].branches["tuned"]
    assert aisle.load(f"hf://shop/classifier@{commit}").model_id == trained.model.model_id
    with pytest.raises(HubError, match="no such revision"):
        aisle.load("hf://shop/classifier@gone")


@pytest.mark.slow
def test_files_of_an_earlier_model_do_not_stay(site, trained):
    trained.model.push_to_hub("shop/classifier")
    files = site.repositories["shop/classifier"]
    old = files.commits[files.branches["main"]]
    old["model/old.safetensors"], old["notes.md"] = b"1", b"kept"
    trained.model.push_to_hub("shop/classifier")
    now = files.commits[files.branches["main"]]
    assert set(now) == set(old) - {"model/old.safetensors"}
    assert aisle.load("hf://shop/classifier").model_id == trained.model.model_id


@pytest.mark.slow
def test_the_card_may_be_edited(site, trained):
    trained.model.push_to_hub("shop/classifier")
    files = site.repositories["shop/classifier"]
    files.commits[files.branches["main"]]["README.md"] = b"# Our shop"
    assert aisle.load("hf://shop/classifier").model_id == trained.model.model_id


def test_the_card_states_what_is_known(site, trained):
    trained.model.push_to_hub("shop/classifier", license="apache-2.0")
    files = site.repositories["shop/classifier"]
    text = files.commits[files.branches["main"]]["README.md"].decode()
    metadata = yaml.safe_load(text.split("---\n")[1])
    assert (metadata["library_name"], metadata["license"]) == ("aisle", "apache-2.0")
    assert metadata["pipeline_tag"] == "text-classification"
    assert "taxonomy" in metadata["tags"]
    card = ModelCard(text)
    values = {one.metric_name: one.metric_value for one in card.data.eval_results}
    expected = trained.model.results["metrics"]
    assert values == pytest.approx(dict(expected), abs=1e-6)
    tree = trained.model.taxonomy
    assert f"a tree of {len(tree):,} categories" in text
    tops = [
        line for line in text.splitlines() if any(line.startswith(f"| {n.path[0]} |") for n in tree.nodes)
    ]
    assert len(tops) == len(tree.level(1))
    assert sum(int(line.split("|")[2]) for line in tops) == len(tree.terminals)
    assert sum(int(line.split("|")[3]) for line in tops) == trained.model.results["training_products"]
    for section in ("Use", "Categories", "Training data", "Results", "Guarantee", "Intended use", "Limits"):
        assert f"\n## {section}\n" in text
    assert "| precision | full path | branch | review |" in text


def test_errors_are_one_line(site, trained, monkeypatch):
    with pytest.raises(HubError, match="no such repository, or your token"):
        aisle.load("hf://shop/nothing")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(HubError, match=r"the Hub answered 401.*hf auth login") as caught:
        trained.model.push_to_hub("shop/classifier")
    assert "\n" not in str(caught.value)
    with pytest.raises(HubError, match="shop/too/many"):
        trained.model.push_to_hub("shop/too/many")


@pytest.mark.slow
def test_a_private_repository_needs_a_token(site, trained, monkeypatch):
    trained.model.push_to_hub("shop/secret", private=True, token="hf_right")
    assert aisle.load("hf://shop/secret").model_id == trained.model.model_id
    monkeypatch.setattr(constants, "HF_HUB_CACHE", constants.HF_HUB_CACHE + "-other")
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="your token may not read it"):
        aisle.load("hf://shop/secret")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://shop/classifier", ("shop/classifier", None)),
        ("hf:/shop/classifier", ("shop/classifier", None)),  # as `Path` writes it
        ("hf://shop/classifier@v1.0", ("shop/classifier", "v1.0")),
        ("hf://shop/classifier@refs/pr/1", ("shop/classifier", "refs/pr/1")),
        ("hf://shop/classifier@refs%2Fpr%2F1", ("shop/classifier", "refs/pr/1")),
        ("hf://classifier", ("classifier", None)),
        ("runs/hf", None),
    ],
)
def test_addresses(text, expected):
    assert hub_address(text) == expected


@pytest.mark.parametrize("text", ["hf://a/b/c", "hf://a/b@"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(HubError, match="hf://ORGANISATION/MODEL"):
        hub_address(text)


def test_without_the_client_library_one_line_says_what_to_install(monkeypatch, trained):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'aisle\[hub\]'"):
        aisle.load("hf://shop/classifier")
    with pytest.raises(MissingExtraError, match=r"pip install 'aisle\[hub\]'"):
        trained.model.push_to_hub("shop/classifier")


@pytest.mark.slow
def test_the_command_line_reads_an_address_with_the_clients_own_settings(trained, tmp_path):
    with hub() as server:
        environment = {
            **os.environ,
            "HF_ENDPOINT": server.address,
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_DISABLE_XET": "1",
            "HF_TOKEN": "hf_right",
        }
        environment.pop("HF_HUB_OFFLINE", None)
        push = f"import aisle; aisle.load({str(trained.run)!r}).push_to_hub('shop/classifier', private=True)"
        subprocess.run([sys.executable, "-c", push], env=environment, check=True, capture_output=True)
        rows = tmp_path / "rows.csv"
        rows.write_text("id,title\n1,red running shoes\n2,wall clock\n", "utf-8")
        out = tmp_path / "predictions.jsonl"
        command = ["classify", "hf://shop/classifier", str(rows), "--out", str(out)]
        subprocess.run(
            [sys.executable, "-m", "aisle", *command], env=environment, check=True, capture_output=True
        )
        assert len(out.read_text("utf-8").splitlines()) == 2
