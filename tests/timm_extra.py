"""The extra `timm`, where it is installed: importable beside a torch without torchvision's operators."""

import importlib
import importlib.util
import sys

import pytest
import torch

_kept = []


def _import():
    """Import timm, or say why that cannot be. Where torchvision is built for another torch, two operators
    that its import asks for are declared first."""
    if importlib.util.find_spec("timm") is None:
        return "timm is not installed: pip install 'aisle[timm]'"
    try:
        importlib.import_module("timm")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            return f"timm cannot be imported: {error}"
        for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("timm")
    except ImportError as error:
        return f"timm cannot be imported: {error}"
    return ""


WHY_NOT = _import()
needs_timm = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT or "timm is here")
