"""`--device`: the best there is, the one that is named, or one line that says why not."""

import pytest
import torch

import aisle
from aisle.errors import AisleError
from aisle.models.devices import DEVICES, DeviceError, device_of
from tests.training.shop import catalog, recipe

LACKING = [
    name
    for name, there in (("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available()))
    if not there
]


def test_auto_takes_the_best_and_a_name_what_it_names(monkeypatch):
    assert device_of("cpu") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device_of("auto") == torch.device("cuda", 1)
    assert device_of("cpu") == torch.device("cpu")


def test_an_unknown_device_is_told_from_a_missing_one():
    with pytest.raises(DeviceError, match=r"no device 'cudaa'\. Did you mean 'cuda'\?.*Known: auto, cpu"):
        device_of("cudaa")
    for name in LACKING:
        with pytest.raises(DeviceError, match=f"no {name} device is usable.*say cpu"):
            device_of(name)


@pytest.mark.skipif(not LACKING, reason="this machine has every device")
def test_a_device_that_is_not_there_stops_before_a_folder_is_made(tmp_path):
    with pytest.raises(DeviceError, match="is usable on this machine"):
        aisle.train(catalog(20), recipe(), out=tmp_path / "run", device=LACKING[0])
    assert not (tmp_path / "run").exists()
    network = tmp_path / "model"
    aisle.train(catalog(20), recipe()).save(network)
    with pytest.raises(DeviceError, match="is usable on this machine"):
        aisle.load(network, device=LACKING[0])


def test_a_linear_model_runs_on_the_cpu(trained, tmp_path):
    with pytest.raises(AisleError, match="is a linear model, which runs on the CPU: leave --device out"):
        aisle.load(trained.run, device="cuda")
    with pytest.raises(DeviceError, match="is linear and trained on the CPU: leave --device out"):
        aisle.train(trained.catalog, "fast", out=tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()
    with pytest.raises(DeviceError, match="no device 'cudo'"):
        aisle.train(trained.catalog, "fast", device="cudo")


def test_what_was_trained_elsewhere_answers_on_the_cpu(tmp_path):
    """On the best device here; what comes back, and what is saved, lies on the CPU."""
    model = aisle.train(catalog(30), recipe(), device="auto", track=[])
    assert {str(p.device) for p in model.model.parameters()} == {"cpu"}
    assert set(DEVICES) == {"auto", "cpu", "cuda", "mps"}
