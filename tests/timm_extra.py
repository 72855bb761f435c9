"""The extra `timm`, where it is installed: importable beside a torch without torchvision's operators.

`make test` puts it into a folder of its own (see the Makefile) and runs the tests marked `timm` with that
folder on the path, in a process of their own: no other test shall see torchvision.
"""

import importlib
import importlib.util
import os
import sys

_kept = []


def _import():
    """Import timm, or say why that cannot be. Where torchvision is built for another torch, two operators
    that its import asks for are declared first."""
    if importlib.util.find_spec("timm") is None:
        if os.environ.get("AISLE_REQUIRE_TIMM"):
            raise ModuleNotFoundError("AISLE_REQUIRE_TIMM is set, but timm is not on the path")
        return "timm is not installed: pip install 'aisle[timm]'"
    try:
        importlib.import_module("timm")
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
            del sys.modules[name]
        library = torch.library.Library("torchvision", "FRAGMENT")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _kept.append(library)
        importlib.import_module("timm")
    return ""


WHY_NOT = _import()
