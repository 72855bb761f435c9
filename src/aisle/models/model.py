"""views -> fusion -> head, and what happens when a view is absent."""

import hashlib
from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn

from aisle.models.encoders.pooling import at_most
from aisle.models.finetune import still
from aisle.models.registry import Encoded, Encoder, Fusion, Output, pooled_only
from aisle.models.scores import TorchScores

Arrays = dict[str, Tensor]


class Model(nn.Module):
    """The network over one shop's views.

    encoders: one a view, in the order of the recipe. view_dropout: how often, in training, a present
    view is treated as absent (never the last one a product has). max_tokens: the most that a view hands to a
    fusion that reads them; of more, consecutive ones are averaged.

    An absent view becomes one learned, unmasked token (design rule 2), so no fusion asks; a product
    without any view gets the prior.
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
        """The names of the views, in order."""
        return tuple(self.encoders)

    def dim_of(self, view: str) -> int:
        """The width of a view's encoder."""
        return len(self.missing_token[view])

    def fingerprint(self, view: str) -> str:
        """Sixteen hex digits that change when any weight or option of a view's encoder does."""
        encoder = self.encoders[view]
        digest = hashlib.sha256(repr(encoder.settings()).encode())  # type: ignore[operator]
        for name, tensor in sorted(encoder.state_dict().items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def freeze(self, views: set[str]) -> None:
        """Keep these views' encoders as they are: no gradient, and eval mode (BatchNorm, dropout) always.
        Of the others, the same holds for what their finetuning leaves alone."""
        self.frozen = set(views)
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(self.is_trainable(name))
        self.train(self.training)

    def is_trainable(self, parameter: str) -> bool:
        """Whether a parameter may change at all."""
        top, _, rest = parameter.partition(".")
        view, _, inside = rest.partition(".")
        if top != "encoders":
            return True
        return view not in self.frozen and inside not in self.encoders[view].fixed  # type: ignore[operator]

    def trainable_state_dict(self) -> dict[str, Tensor]:
        """The state without what stays as it was built."""
        keys = tuple(f"{path}." for path in self._still())
        built = {name for name, _ in self.named_parameters() if not self.is_trainable(name)}
        state = self.state_dict()
        return {key: v for key, v in state.items() if key not in built and not key.startswith(keys)}

    def train(self, mode: bool = True) -> "Model":
        """As every module's, but what cannot learn stays in eval mode."""
        super().train(mode)
        for path in self._still():
            self.get_submodule(path).eval()
        return self

    def _still(self) -> list[str]:
        """The paths of frozen encoders, and of the parts that finetuning leaves alone in the others."""
        found = [f"encoders.{name}" for name in self.frozen]
        for name, encoder in self.encoders.items():
            if name not in self.frozen:
                found += [f"encoders.{name}.{path}" for path in still(encoder)]
        return found

    def forward(self, inputs: dict[str, Arrays], present: Tensor, alone: Collection[str] = ()) -> Output:
        """inputs: each view's prepared arrays; present (B, V) bool, in the order of `views`.

        A view may come as `{"pooled": (B, D)}` or with `"tokens"` and `"mask"` too: a frozen encoder's
        kept output. alone: views whose own scores are wanted too, for losses that ask for them.
        """
        if self.training and self.view_dropout:
            present = self._drop_views(present)
        encoded = {
            name: self._with_missing_token(
                name, self._read(name, inputs[name], present[:, column]), present[:, column]
            )
            for column, name in enumerate(self.views)
        }
        joint = self.fusion(encoded)
        asked = [name for name in self.views if joint.views is not None and name in alone]
        # One call: a head may spend more on its weights than on a batch.
        known = torch.cat([present.any(1), *(present[:, self.views.index(name)] for name in asked)])
        vectors = [joint.product, *((joint.views or {})[name] for name in asked)]
        scores: TorchScores = self.head(torch.cat(vectors), known)
        b = present.shape[0]  # not len(): that would be a constant of an exported graph
        by_view = {name: scores[b * i : b * (i + 1)] for i, name in enumerate(asked, 1)}
        return Output(joint, scores[:b], by_view, dict(zip(self.views, present.unbind(1), strict=True)))

    def _read(self, view: str, arrays: Arrays, present: Tensor) -> Encoded:
        # A batch without this view would teach BatchNorm's statistics that pictures are black.
        if self.training and not present.any():
            return pooled_only(self.missing_token[view].detach().expand(len(present), -1))
        return self.encode(view, arrays)

    def encode(self, view: str, arrays: Arrays) -> Encoded:
        """One view's arrays, or a frozen encoder's kept output, as `Encoded`."""
        if "pooled" not in arrays:
            encoded = self.encoders[view](**arrays)
            if self.fusion.reads_tokens:
                tokens, mask = at_most(encoded.tokens, encoded.mask, self.max_tokens)
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
