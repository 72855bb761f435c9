"""What happens to a network during training, by PyTorch's global hooks and the progress protocol."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

import aisle
from aisle.models.model import Model
from aisle.training.recipe import load_recipe

Weights = dict[str, torch.Tensor]


class StageProgress:
    """Progress that knows which stage is trained; None between stages."""

    stage: str | None = None

    @contextmanager
    def __call__(self, label, total=None, unit="products"):
        before = self.stage
        if label.startswith("training"):
            self.stage = label.removeprefix("training").strip() or "train"
        yield lambda n: None
        self.stage = before

    def say(self, message):
        pass


@contextmanager
def on_forward(look: Callable[[Model], None]) -> Iterator[None]:
    """Call `look` with the network before each of its training steps."""

    def hook(module, args):
        if isinstance(module, Model) and module.training:
            look(module)

    handle = register_module_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def copy(model: torch.nn.Module) -> Weights:
    return {name: value.clone() for name, value in model.state_dict().items()}


def train_watched(rows, given, **more):
    """The trained model, and the network's weights before the first step of every stage, by its name."""
    progress, starts = StageProgress(), {}

    def look(model):
        if progress.stage is not None and progress.stage not in starts:
            starts[progress.stage] = copy(model)

    with on_forward(look):
        model = aisle.train(rows, given, progress=progress, **more)
    return model, starts


def weights_by_stage(rows, given) -> list[tuple[Weights, Weights]]:
    """The network's weights before and after every stage."""
    model, starts = train_watched(rows, given)
    stages, found = load_recipe(given).stages, []
    for k, stage in enumerate(stages):
        if k + 1 == len(stages):
            after = copy(model.model)
        elif stages[k + 1].init_from is None:
            after = starts[stages[k + 1].name]
        else:  # the next stage starts elsewhere: train up to here
            shorter = {**given, "stages": given["stages"][: k + 1]}
            after = copy(aisle.train(rows, shorter).model)
        found.append((starts[stage.name], after))
    return found
