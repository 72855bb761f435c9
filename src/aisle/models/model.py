"""The network: views, fusion, head; missing views become learned tokens."""

import hashlib
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from aisle.models.encoders.pooling import limit_tokens
from aisle.models.finetune import frozen_modules
from aisle.models.registry import Encoded, Encoder, Fusion, Output, pooled_only
from aisle.models.scores import TorchScores

Arrays = dict[str, Tensor]


class Model(nn.Module):
    """A network of encoders, a fusion and a head.

    A missing view becomes one learned, unmasked token (design rule 2), so fusions need not handle it. A
    product without any view gets the prior.

    Args:
        encoders: by view, in the order of the recipe.
        fusion: the fusion.
        head: the head.
        view_dropout: probability that a present view counts as missing in training; never a product's last
            one.
        max_tokens: the most tokens of a view that reach a fusion which reads them; of more, consecutive ones
            are averaged.
    """

    def __init__(
        self,
        encoders: Mapping[str, Encoder],
        fusion: Fusion,
        head: nn.Module,
        view_dropout: float = 0.1,
        max_tokens: int = 64,
    ) -> None:
        super().__init__()
        self.encoders = nn.ModuleDict(dict(encoders))
        self.fusion, self.head, self.view_dropout, self.max_tokens = fusion, head, view_dropout, max_tokens
        self.missing_token = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(encoder.dim) * 0.02) for name, encoder in encoders.items()}
        )
        self.frozen: set[str] = set()

    @property
    def views(self) -> tuple[str, ...]:
        """Names of the views, in order."""
        return tuple(self.encoders)

    def dim_of(self, view: str) -> int:
        """D, the width of a view's encoder."""
        return len(self.missing_token[view])

    def fingerprint(self, view: str) -> str:
        """16 hex digits: a hash of the weights and options of a view's encoder."""
        encoder = self.encoders[view]
        digest = hashlib.sha256(repr(encoder.settings()).encode())  # type: ignore[operator]
        for name, tensor in sorted(encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def freeze(self, views: set[str]) -> None:
        """Freeze the encoders of these views, and the parameters that finetuning freezes in the others.

        Frozen modules get no gradient and stay in eval mode (BatchNorm, dropout).
        """
        self.frozen = set(views)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.is_trainable(name))
        self.train(self.training)

    def is_trainable(self, parameter: str) -> bool:
        """Whether a parameter is trained."""
        part, _, rest = parameter.partition(".")
        view, _, name = rest.partition(".")
        if part != "encoders":
            return True
        return view not in self.frozen and name not in self.encoders[view].frozen_parameters  # type: ignore[operator]

    def trainable_state_dict(self) -> dict[str, Tensor]:
        """The state dict without frozen parameters and the buffers of frozen modules."""
        frozen = {name for name, _ in self.named_parameters() if not self.is_trainable(name)}
        modules = tuple(f"{path}." for path in self._frozen_modules())
        state = self.state_dict()
        return {key: v for key, v in state.items() if key not in frozen and not key.startswith(modules)}

    def train(self, mode: bool = True) -> "Model":
        """As `torch.nn.Module.train`, but frozen modules stay in eval mode."""
        super().train(mode)
        for path in self._frozen_modules():
            self.get_submodule(path).eval()
        return self

    def _frozen_modules(self) -> list[str]:
        """The paths of frozen encoders, and of the frozen modules of the others."""
        paths = [f"encoders.{name}" for name in self.frozen]
        for name, encoder in self.encoders.items():
            if name not in self.frozen:
                paths += [f"encoders.{name}.{path}" for path in frozen_modules(encoder)]
        return paths

    def forward(
        self, inputs: dict[str, Arrays], present: Tensor, score_views: Collection[str] = ()
    ) -> Output:
        """Score a batch.

        Args:
            inputs: prepared arrays by view, or the cached output of a frozen encoder: `pooled` (B, D), and
                `tokens` and `mask` where the fusion reads them.
            present: (B, V) bool, in the order of `views`.
            score_views: views to score alone too (`Output.by_view`), if the fusion has a shared space.
        """
        if self.training and self.view_dropout:
            present = self._drop_views(present)
        is_present = dict(zip(self.views, present.unbind(1), strict=True))
        encoded = {
            name: self._with_missing_token(name, self._encode_present(name, inputs[name], here), here)
            for name, here in is_present.items()
        }
        joint = self.fusion(encoded)
        alone = [name for name in self.views if joint.views is not None and name in score_views]
        # One call of the head, whose weights may cost more to compute than a batch.
        known = torch.cat([present.any(1), *(is_present[name] for name in alone)])
        vectors = [joint.product, *((joint.views or {})[name] for name in alone)]
        scores: TorchScores = self.head(torch.cat(vectors), known)
        b = present.shape[0]  # len() would be a constant in an exported graph
        by_view = {name: scores[b * i : b * (i + 1)] for i, name in enumerate(alone, 1)}
        return Output(joint, scores[:b], by_view, is_present)

    def _encode_present(self, view: str, arrays: Arrays, present: Tensor) -> Encoded:
        # In a batch without this view, blank images would change BatchNorm's statistics.
        if self.training and not present.any():
            return pooled_only(self.missing_token[view].detach().expand(len(present), -1))
        return self.encode(view, arrays)

    def encode(self, view: str, arrays: Arrays) -> Encoded:
        """Encode one view.

        Args:
            view: its name.
            arrays: its prepared arrays, or the cached output of its frozen encoder.
        """
        if "pooled" not in arrays:
            encoded = self.encoders[view](**arrays)
            if self.fusion.reads_tokens:
                tokens, mask = limit_tokens(encoded.tokens, encoded.mask, self.max_tokens)
                encoded = encoded._replace(tokens=tokens, mask=mask)
            return encoded
        encoded = pooled_only(arrays["pooled"].float())
        if "tokens" in arrays:
            encoded = encoded._replace(tokens=arrays["tokens"].float(), mask=arrays["mask"])
        return encoded

    def _with_missing_token(self, name: str, encoded: Encoded, present: Tensor) -> Encoded:
        token = self.missing_token[name]
        here = present.unsqueeze(1)  # (B, 1)
        first = torch.arange(encoded.mask.shape[1], device=here.device) == 0  # (T,)
        return Encoded(
            torch.where(here, encoded.pooled, token),
            torch.where(here.unsqueeze(2), encoded.tokens, token),
            (encoded.mask & here) | (first & ~here),  # onnxruntime has no `where` of booleans
            present,
        )

    def _drop_views(self, present: Tensor) -> Tensor:
        kept = present & (torch.rand(present.shape, device=present.device) >= self.view_dropout)
        return torch.where(kept.any(1, keepdim=True), kept, present)
