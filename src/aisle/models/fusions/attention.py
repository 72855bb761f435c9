"""Fusions that attend over tokens and patches.

Every view's sequence takes part: where a view has one vector only, that is its one token. Residuals carry
each side past the attention, so that neither can be lost: over a single token the softmax is 1 whatever
the query says, and a stack without them would answer the same for every picture.

Shapes: B products, T text tokens, P patches, D the joint width.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aisle.models.encoders.pooling import masked_mean
from aisle.models.registry import Encoded, Fusion, Joint


class Sequence(NamedTuple):
    """Tokens (B, T, D) of one side, and which are real: mask (B, T) bool."""

    tokens: Tensor
    mask: Tensor

    def mean(self) -> Tensor:
        """(B, D) of the real tokens."""
        return masked_mean(self.tokens, self.mask)


def sides(
    dims: Mapping[str, int], modalities: Mapping[str, str] | None, image: Collection[str] | None
) -> tuple[list[str], list[str]]:
    """The views of the text side and of the image side: those named in `image`, else all that are no text,
    else (where nothing tells) the last one."""
    if image is None:
        kinds = modalities or {}
        image = [name for name in dims if kinds.get(name, "text") != "text"] or list(dims)[-1:] * (not kinds)
    for name in set(image) - dims.keys():
        raise ValueError(f"no view {name!r} for the image side; the views are {', '.join(dims)}")
    return [name for name in dims if name not in image], [name for name in dims if name in image]


class Side(nn.Module):
    """Some views as one sequence: standardised tokens, a linear map a view, and a learned vector that says
    which view a token is of. Where the side has no view, one learned token stands for it."""

    def __init__(self, dims: Mapping[str, int], dim: int) -> None:
        super().__init__()
        self.names = list(dims)
        self.project = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim)) for name, width in dims.items()}
        )
        self.kind = nn.Parameter(torch.randn(max(len(dims), 1), dim) * 0.02)

    def forward(self, views: dict[str, Encoded]) -> Sequence:
        """-> (B, sum of T, D)."""
        if not self.names:
            b = next(iter(views.values())).pooled.shape[0]
            return Sequence(
                self.kind.expand(b, 1, -1), torch.ones(b, 1, dtype=torch.bool, device=self.kind.device)
            )
        tokens = [self.project[name](views[name].tokens) + self.kind[i] for i, name in enumerate(self.names)]
        return Sequence(torch.cat(tokens, 1), torch.cat([views[name].mask for name in self.names], 1))


def two_sides(
    dims: Mapping[str, int], dim: int, modalities: Mapping[str, str] | None, image: Collection[str] | None
) -> tuple[Side, Side]:
    """The text's side and the picture's, D wide; which views are whose: see `sides`.

    Raises:
        ValueError: `image` names a view that there is not.
    """
    text, pictures = (
        Side({name: dims[name] for name in names}, dim) for names in sides(dims, modalities, image)
    )
    return text, pictures


class Block(nn.Module):
    """A pre-norm transformer block whose queries look at another sequence: x + attend(norm x, norm y), then
    x + feed(norm x) (Xiong et al., arXiv 2002.04745, for the norms)."""

    def __init__(self, dim: int, heads: int, feed: int, dropout: float) -> None:
        super().__init__()
        if heads < 1 or dim % heads:
            raise ValueError(
                f"a width of {dim} cannot be shared by {heads} heads; make dim a multiple of heads"
            )
        self.norm_query, self.norm_key = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attend = nn.MultiheadAttention(dim, heads, dropout, batch_first=True)
        self.feed = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, feed), nn.GELU(), nn.Dropout(dropout), nn.Linear(feed, dim)
        )
        self.drop = nn.Dropout(dropout)

    def forward(self, own: Sequence, other: Sequence) -> Sequence:
        """own (B, T, D) asks other (B, P, D) -> (B, T, D)."""
        x, keys = own.tokens, self.norm_key(other.tokens)
        found, _ = self.attend(
            self.norm_query(x), keys, keys, key_padding_mask=~other.mask, need_weights=False
        )
        x = x + self.drop(found)
        return Sequence(x + self.drop(self.feed(x)), own.mask)


class CrossAttentionFusion(Fusion):
    """Two stacks of cross-attention, one asked by the text's tokens and one by the picture's patches, joined
    with the text's vector.

    Each stack is `layers` pre-norm blocks whose keys and values are the other side as it was encoded
    (cf. Tsai et al., arXiv 1906.00295). image: the views of the picture's side, by default all that are no
    text. feedforward_dim: width of the feed-forward layers, by default 2 D.
    """

    reads_tokens = True

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 256,
        layers: int = 2,
        heads: int = 4,
        feedforward_dim: int | None = None,
        dropout: float = 0.1,
        image: list[str] | None = None,
        modalities: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"each stack has at least one block, not {layers}")
        self.dims, self.dim, self.layers, self.heads = dims, dim, layers, heads
        self.feedforward_dim = feedforward_dim
        self.dropout, self.image, self.modalities = dropout, image, modalities
        self.text, self.picture = two_sides(dims, dim, modalities, image)
        wide = feedforward_dim or 2 * dim
        self.by_text = nn.ModuleList(Block(dim, heads, wide, dropout) for _ in range(layers))
        self.by_picture = nn.ModuleList(Block(dim, heads, wide, dropout) for _ in range(layers))
        self.norm_text, self.norm_picture = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.vector = nn.LayerNorm(dim)
        self.join = nn.Linear(3 * dim, dim)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        text, picture = self.text(views), self.picture(views)
        asked_by_text, asked_by_picture = text, picture
        for block in self.by_text:
            asked_by_text = block(asked_by_text, picture)
        for block in self.by_picture:
            asked_by_picture = block(asked_by_picture, text)
        found = [
            self.norm_text(asked_by_text.mean()),
            self.norm_picture(asked_by_picture.mean()),
            self.vector(text.mean()),
        ]
        return Joint(self.join(torch.cat(found, 1)))


class AttentionFusion(Fusion):
    """Cross-attention both ways, then self-attention over both sides' tokens as one sequence, with residuals
    and norms around each.

    image, feedforward_dim: as CrossAttentionFusion's. layers: of self-attention.
    """

    reads_tokens = True

    def __init__(
        self,
        dims: dict[str, int],
        dim: int = 256,
        layers: int = 1,
        heads: int = 4,
        feedforward_dim: int | None = None,
        dropout: float = 0.1,
        image: list[str] | None = None,
        modalities: dict[str, str] | None = None,
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"there is at least one layer of self-attention, not {layers}")
        self.dims, self.dim, self.layers, self.heads = dims, dim, layers, heads
        self.feedforward_dim = feedforward_dim
        self.dropout, self.image, self.modalities = dropout, image, modalities
        self.text, self.picture = two_sides(dims, dim, modalities, image)
        wide = feedforward_dim or 2 * dim
        self.by_text = Block(dim, heads, wide, dropout)
        self.by_picture = Block(dim, heads, wide, dropout)
        self.together = nn.ModuleList(Block(dim, heads, wide, dropout) for _ in range(layers))
        self.norm = nn.LayerNorm(2 * dim)
        self.join = nn.Linear(2 * dim, dim)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """V encoded views -> (B, D)."""
        text, picture = self.text(views), self.picture(views)
        text, picture = self.by_text(text, picture), self.by_picture(picture, text)
        both = Sequence(torch.cat([text.tokens, picture.tokens], 1), torch.cat([text.mask, picture.mask], 1))
        for block in self.together:
            both = block(both, both)
        # Each side's mean by itself: a picture's 49 patches would outweigh a title's eight tokens.
        t = text.tokens.shape[1]
        text = Sequence(both.tokens[:, :t], text.mask)
        picture = Sequence(both.tokens[:, t:], picture.mask)
        return Joint(self.join(self.norm(torch.cat([text.mean(), picture.mean()], 1))))
