"""The saved folder: whole or refused, without pickle, on another machine, in a later version."""

import dataclasses
import itertools
import json
import os
import pickletools
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aisle
from aisle.errors import BundleError
from aisle.inference import bundle
from aisle.inference import folder as files
from tests.conftest import NETWORK
from tests.examples import examples

SAMPLE = [aisle.Product("1", {"title": "red running shoes"}), aisle.Product("2", {"title": "oak table"})]


@pytest.fixture
def copy(trained, tmp_path):
    return Path(shutil.copytree(trained.run / "model", tmp_path / "copy"))


def reseal(folder, **changes):
    """Change the manifest as a later Aisle would have written it."""
    manifest = json.loads((folder / "aisle.json").read_text()) | changes
    manifest.pop("seal")
    (folder / "aisle.json").write_text(json.dumps({**manifest, "seal": files.seal(manifest)}))


def is_pickle(data):
    try:
        return bool(list(pickletools.genops(data)))
    except (ValueError, UnicodeDecodeError):
        return False


def test_what_is_loaded_answers_as_what_was_trained(trained):
    loaded = aisle.load(trained.run)
    expected = trained.model.score(trained.catalog)
    np.testing.assert_allclose(loaded.score(trained.catalog).all(), expected.all(), atol=1e-5)
    assert loaded.predict(SAMPLE) == trained.model.predict(SAMPLE)
    assert loaded.model_id == trained.model.model_id
    assert loaded.taxonomy == trained.model.taxonomy
    assert dict(loaded.results) == json.loads(json.dumps(trained.model.results))


def test_saving_again_gives_the_same_weights_and_the_same_id(trained, tmp_path):
    again = aisle.load(trained.run).save(tmp_path / "again")
    assert again.model_id == trained.model.model_id
    first, second = trained.run / "model", tmp_path / "again"
    for name in ("weights.safetensors", "model.json", "taxonomy.json", "policy.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_nothing_in_it_is_pickle_and_loading_unpickles_nothing(copy, monkeypatch):
    for file in copy.rglob("*"):
        if file.is_file():
            assert file.suffix in {".json", ".safetensors", ".md", ".bin"}, file
            assert not is_pickle(file.read_bytes()), file

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    monkeypatch.setattr(torch, "load", refuse)
    monkeypatch.setattr("pickle.load", refuse)
    monkeypatch.setattr("pickle.loads", refuse)
    assert len(aisle.load(copy).predict(SAMPLE)) == 2


def test_every_file_is_missed_noticed_when_truncated_and_noticed_when_edited(copy):
    files = sorted(f for f in copy.rglob("*") if f.is_file() and f.name != "aisle.json")
    assert len(files) >= 8
    for file in files:
        whole = file.read_bytes()
        name = str(file.relative_to(copy))
        file.unlink()
        with pytest.raises(BundleError, match=f"incomplete: {name} is missing"):
            aisle.load(copy)
        file.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BundleError, match=f"{name} is truncated or edited"):
            aisle.load(copy)
        file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(BundleError, match=f"{name} was edited or damaged"):
            aisle.load(copy)
        file.write_bytes(whole)
    aisle.load(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "damaged"),
        ("[1, 2]", "damaged"),
        ("{}", "damaged"),
        ('{"format_version": 1, "files": {}, "seal": "0"}', "was edited"),
        ('{"format_version": "1", "files": {}, "seal": "0"}', "has format 1"),
    ],
)
def test_a_manifest_that_is_none_is_refused(copy, text, message):
    (copy / "aisle.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        aisle.load(copy)


@pytest.mark.parametrize("key", ["model_id", "aisle", "versions", "files"])
def test_no_line_of_the_manifest_can_be_edited_unnoticed(copy, key):
    manifest = json.loads((copy / "aisle.json").read_text())
    manifest[key] = "edited" if isinstance(manifest[key], str) else {}
    (copy / "aisle.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match="was edited"):
        aisle.load(copy)


def test_a_newer_format_says_upgrade_and_one_that_never_was_says_so(copy):
    reseal(copy, format_version=bundle.FORMAT_VERSIONS["linear"] + 1)
    with pytest.raises(
        BundleError, match=f"has format {bundle.FORMAT_VERSIONS['linear'] + 1}.*upgrade Aisle"
    ):
        aisle.load(copy)
    reseal(copy, format_version=0)
    with pytest.raises(BundleError, match="has format 0"):
        aisle.load(copy)


def test_what_is_no_bundle_is_not_overwritten_or_read(trained, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    with pytest.raises(BundleError, match="holds something else"):
        trained.model.save(tmp_path / "thesis")
    with pytest.raises(BundleError, match=r"no aisle\.json"):
        aisle.load(tmp_path / "thesis")
    with pytest.raises(BundleError, match="there is no folder"):
        aisle.load(tmp_path / "nowhere")
    assert os.listdir(tmp_path) == ["thesis"]


def test_a_bundle_may_be_written_over_another_and_leaves_nothing_beside(trained, copy):
    trained.model.save(copy)
    assert os.listdir(copy.parent) == ["copy"]
    assert aisle.load(copy).model_id == trained.model.model_id


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize(("renames", "new"), [(0, False), (1, True), (2, True)])
def test_a_writer_killed_at_a_rename_leaves_the_old_bundle_or_the_new(trained, copy, renames, new):
    """Killed before the old one is put aside, between the two renames, and before the old one is removed."""
    before = aisle.load(copy)
    changed = dataclasses.replace(trained.model, results={"a later": "training"})
    child = os.fork()
    if not child:
        done = itertools.count()
        rename, remove = Path.rename, shutil.rmtree

        def die(act):
            def acting(*args, **more):
                if next(done) == renames:
                    os.kill(os.getpid(), signal.SIGKILL)
                return act(*args, **more)

            return acting

        Path.rename, shutil.rmtree = die(rename), die(remove)
        changed.save(copy)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(os.listdir(copy.parent)) == 2  # a bundle and what is left beside, or two that are hidden
    assert copy.exists() == (renames != 1)
    found = aisle.load(copy)
    assert found.model_id == before.model_id
    assert dict(found.results) == ({"a later": "training"} if new else dict(before.results))
    assert os.listdir(copy.parent) == [copy.name]


@pytest.mark.slow  # a whole Python starts
def test_another_machine_needs_the_folder_alone(copy, tmp_path):
    """A fresh process elsewhere: no training data, no hub, no home, no training code."""
    code = """
import sys, aisle
model = aisle.load(sys.argv[1])
print(model.predict([aisle.Product("1", {"title": "red running shoes"})])[0].best)
learning = ("aisle.training", "aisle.evaluation")
assert not [name for name in sys.modules if name.startswith(learning)]
"""
    (tmp_path / "elsewhere").mkdir()
    env = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(aisle.__file__).parents[1]),
        "HOME": str(tmp_path / "elsewhere"),
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }
    run = subprocess.run(
        [sys.executable, "-c", code, str(copy)],
        cwd=tmp_path / "elsewhere",
        env=env,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == str(aisle.load(copy).predict(SAMPLE[:1])[0].best)


def test_no_file_names_a_place_on_this_machine(copy, shop):
    for file in copy.rglob("*"):
        if file.is_file():
            assert str(Path(shop.products).parent).encode() not in file.read_bytes()


def test_the_card_says_what_was_measured(trained):
    card = (trained.run / "model" / "README.md").read_text()
    report = json.loads((trained.run / "report" / "report.json").read_text())
    measured = trained.model.results["metrics"]
    assert f"| full-path accuracy | {measured['full-path accuracy']:.4f} |" in card
    assert trained.model.model_id in card
    assert "level 1 accuracy" in card
    told = report["model"]["overall"]["accuracy"]["value"]
    assert measured["full-path accuracy"] == pytest.approx(told, abs=5e-5)
    for view in trained.model.views:
        assert f"`{view}`" in card


def test_an_unfinished_run_says_so(tmp_path):
    (tmp_path / "recipe.toml").write_text("")
    with pytest.raises(BundleError, match="has not finished; continue it with --resume"):
        aisle.load(tmp_path)


# -- what somebody else made -------------------------------------------------------------------------------


def sealed(folder, manifest):
    """Write a manifest whose seal is right, whatever it says."""
    (folder / "aisle.json").write_text(json.dumps({**manifest, "seal": files.seal(manifest)}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)
@given(data=st.data())
def test_any_malformed_manifest_is_a_bundle_error(copy, data):
    """One part of it is something else: a key, the whole, or what is said of a file; with a right seal."""
    good = json.loads((copy / "aisle.json").read_text())
    good.pop("seal")
    key = data.draw(st.sampled_from([*good, "name", "said", "whole"]))
    value = data.draw(JSON)
    bad = json.loads(json.dumps(good))
    if key == "name":
        bad["files"][data.draw(st.text(max_size=300) | st.just("../aisle.json") | st.just("a\0"))] = value
    elif key == "said":
        bad["files"][data.draw(st.sampled_from(sorted(bad["files"])))] = value
    elif key != "whole":
        bad[key] = value
    text = (copy / "aisle.json").read_text()
    try:
        if key == "whole":
            (copy / "aisle.json").write_text(json.dumps(value))
        else:
            sealed(copy, bad)
        if (bad == good and key != "whole") or key in ("aisle", "versions"):  # nothing reads these
            return
        with pytest.raises(BundleError) as told:
            aisle.load(copy)
        assert "\n" not in str(told.value).strip()
    finally:
        (copy / "aisle.json").write_text(text)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "\x00", '"\\ud800"', "9" * 5000, '{"a": ' * 5000, "\ufeff{}", "nul", "{}{}"],
)
def test_a_manifest_that_no_reader_can_take_is_a_bundle_error(copy, text):
    (copy / "aisle.json").write_text(text)
    with pytest.raises(BundleError, match=r"aisle\.json is damaged"):
        aisle.load(copy)
    (copy / "aisle.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BundleError, match=r"aisle\.json is damaged"):
        aisle.load(copy)


@pytest.mark.parametrize(
    "name", ["neighbors.json", "zero_shot.safetensors", "ensemble.json", "stack.txt", "views/text/more.json"]
)
def test_a_file_that_the_manifest_does_not_list_is_refused(copy, name):
    manifest = json.loads((copy / "aisle.json").read_text())
    manifest.pop("seal")
    if not (copy / name).exists():
        (copy / name).write_text("{}")
    manifest["files"].pop(name, None)
    sealed(copy, manifest)
    with pytest.raises(BundleError, match=f"{name}, which aisle.json does not list"):
        aisle.load(copy)


def test_what_the_system_leaves_and_reports_are_no_obstacle(copy):
    (copy / ".DS_Store").write_bytes(b"\0")
    (copy / "report").mkdir()
    (copy / "report" / "report.json").write_text("{}")
    assert len(aisle.load(copy).predict(SAMPLE)) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no such files on this system")
@pytest.mark.parametrize("name", ["aisle.json", "policy.json", "weights.safetensors", "more", ".copy.x.part"])
@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "folder"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(copy, kind, name):
    place = copy.parent / name if name.startswith(".copy") else copy / name
    if place.exists():
        place.unlink()
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "folder":
        place.mkdir()
    else:
        here = os.getcwd()
        os.chdir(place.parent)  # a socket's path is short
        try:
            with socket.socket(socket.AF_UNIX) as bound:  # its file stays
                bound.bind(place.name)
        finally:
            os.chdir(here)
    if name.startswith(".copy") or (name == "more" and kind == "folder"):
        assert len(aisle.load(copy).predict(SAMPLE)) == 2
        return
    with pytest.raises(BundleError):
        aisle.load(copy)


@pytest.fixture(scope="module")
def network(trained, tmp_path_factory):
    """A network's bundle."""
    folder = tmp_path_factory.mktemp("network") / "model"
    aisle.train(trained.catalog.select(np.arange(60)), NETWORK, changes=["stages.0.epochs=1"]).save(folder)
    return folder


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("spec", "fusion", "dim"), 10**9),
        (("spec", "views", "image", "encoder", "dim"), 10**9),
        (("spec", "views", "text", "encoder", "dim"), 10**9),
        (("spec", "views", "image", "encoder", "size"), 10**9),
    ],
)
def test_a_size_beyond_the_weights_is_refused_before_memory_is_taken(network, tmp_path, path, value):
    copy = Path(shutil.copytree(network, tmp_path / "copy"))
    said = json.loads((copy / "network.json").read_text())
    place = said
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (copy / "network.json").write_text(json.dumps(said))
    if path[-1] == "size":  # a preprocessor's own file says it
        file = copy / "views" / "image" / "preprocessor.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"size": value}))
    reseal(copy, files={k: v for k, v in files.describe_files(copy).items() if k != "aisle.json"})
    with pytest.raises(BundleError, match=r"asks for|not between 1|damaged: .*(1000000000|overflowed)"):
        aisle.load(copy)


def replaced(value, path, other):
    """A copy of a JSON value with another value at a path; without the key where `other` is `...`."""
    if not path:
        return other
    key, *rest = path
    found = dict(value) if isinstance(value, dict) else list(value)
    if not rest and other is ...:
        del found[key]
    else:
        found[key] = replaced(value[key], rest, other)
    return found


def paths(value, before=()):
    """Every path in a JSON value, at most three items of a list."""
    yield before
    inner = (
        value if isinstance(value, dict) else dict(enumerate(value[:3])) if isinstance(value, list) else {}
    )
    for key, one in inner.items():
        yield from paths(one, (*before, key))


def malform(folder, data):
    """Change one value of one JSON file, or one file's bytes, and seal the bundle again."""
    names = [f for f in folder.rglob("*") if f.suffix in (".json", ".bin") and f.name != "aisle.json"]
    file = data.draw(st.sampled_from(sorted(names)))
    before = file.read_bytes()
    if file.suffix == ".bin" or data.draw(st.integers(0, 9)) == 0:
        file.write_bytes(data.draw(st.binary(max_size=20)))
    else:
        value = json.loads(before)
        path = data.draw(st.sampled_from(list(paths(value))))
        other = data.draw(JSON | st.just(...) if path else JSON)
        file.write_text(json.dumps(replaced(value, path, other)))
    reseal(folder, files={k: v for k, v in files.describe_files(folder).items() if k != "aisle.json"})
    return file, before


def error_of_a_malformed_file(folder, data):
    """The error of loading and predicting after one file was malformed; None where it is still a model."""
    manifest = (folder / "aisle.json").read_bytes()
    file, before = malform(folder, data)
    try:
        aisle.load(folder).predict(SAMPLE)
    except Exception as error:
        return error
    else:
        return None
    finally:
        file.write_bytes(before)
        (folder / "aisle.json").write_bytes(manifest)


MALFORMED = settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)


@pytest.mark.slow
@MALFORMED
@given(data=st.data())
def test_a_malformed_file_of_a_linear_model_is_a_bundle_error(copy, data):
    error = error_of_a_malformed_file(copy, data)
    assert error is None or isinstance(error, BundleError), error


@pytest.mark.slow
@MALFORMED
@given(data=st.data())
def test_a_malformed_file_of_a_network_is_a_bundle_error(network, data):
    error = error_of_a_malformed_file(network, data)
    assert error is None or isinstance(error, BundleError), error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy.json", "{}"),
        ("policy.json", '{"format": "three"}'),
        ("taxonomy.json", "[]"),
        ("taxonomy.json", '{"nodes": [], "aliases": {}}'),
        (
            "catalog.json",
            '{"given": {"aisle": "x"}, "columns": {}, "delimiter": null, "encoding": null}',
        ),
        ("results.json", "[1]"),
        ("model.json", "{}"),
        ("seen.bin", "abc"),
        ("neighbors.json", '{"text": 3}'),
    ],
)
def test_a_file_with_the_wrong_content_is_a_bundle_error(copy, name, text):
    (copy / name).write_text(text)
    reseal(copy, files={k: v for k, v in files.describe_files(copy).items() if k != "aisle.json"})
    with pytest.raises(BundleError, match="is damaged"):
        aisle.load(copy)
