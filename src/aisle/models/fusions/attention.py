"""Fusions by attention between text tokens and image patches.

A view with one vector only has one token. Blocks have residual connections: over a single token the softmax
is 1 whatever the query is, so without them a prediction could not depend on the query.

Shapes: B products, T text tokens, P image patches, D the joint width.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aisle.models.encoders.pooling import masked_mean
from aisle.models.registry import Encoded, Fusion, Joint


class TokenSequence(NamedTuple):
    """Tokens (B, T, D), and which are real: mask (B, T) bool."""

    tokens: Tensor
    mask: Tensor

    def mean(self) -> Tensor:
        """(B, D) the mean of the real tokens."""
        return masked_mean(self.tokens, self.mask)

    def join(self, other: "TokenSequence") -> "TokenSequence":
        """The tokens of this sequence, then those of the other."""
        return TokenSequence(torch.cat([self.tokens, other.tokens], 1), torch.cat([self.mask, other.mask], 1))


def split_views(
    dims: Mapping[str, int], modalities: Mapping[str, str] | None, image: Collection[str] | None
) -> tuple[list[str], list[str]]:
    """Split views into a text side and an image side.

    Args:
        dims: width of each view.
        modalities: modality of each view.
        image: views of the image side; by default all that are not text, or without modalities the last view.

    Returns:
        Names of the views of the text side and of the image side.

    Raises:
        ValueError: there is no view of a name in `image`.
    """
    if image is None:
        kinds = modalities or {}
        image = [name for name in dims if kinds.get(name, "text") != "text"] or list(dims)[-1:] * (not kinds)
    for name in set(image) - dims.keys():
        raise ValueError(f"no view {name!r} for the image side; the views are {', '.join(dims)}")
    return [name for name in dims if name not in image], [name for name in dims if name in image]


class TokenProjection(nn.Module):
    """Projects the tokens of some views into one sequence of width D.

    Per view: layer norm, a linear map, and a learned vector that is added to its tokens. Without any view,
    the sequence is one learned token.

    Args:
        dims: width of each view.
        dim: D.
    """

    def __init__(self, dims: Mapping[str, int], dim: int) -> None:
        super().__init__()
        self.names = list(dims)
        self.project = nn.ModuleDict(
            {name: nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim)) for name, width in dims.items()}
        )
        self.kind = nn.Parameter(torch.randn(max(len(dims), 1), dim) * 0.02)

    def forward(self, views: dict[str, Encoded]) -> TokenSequence:
        """Project encoded views, by name, into tokens (B, sum of T, D)."""
        if not self.names:
            b = next(iter(views.values())).pooled.shape[0]
            return TokenSequence(
                self.kind.expand(b, 1, -1), torch.ones(b, 1, dtype=torch.bool, device=self.kind.device)
            )
        tokens = [self.project[name](views[name].tokens) + self.kind[i] for i, name in enumerate(self.names)]
        return TokenSequence(torch.cat(tokens, 1), torch.cat([views[name].mask for name in self.names], 1))


class CrossAttentionBlock(nn.Module):
    """A pre-norm transformer block with cross-attention: x + attend(norm x, norm y), then x + feed(norm x).

    Source of the norms: Xiong et al., arXiv 2002.04745.

    Args:
        dim: D.
        heads: attention heads; D is a multiple of it.
        feed: width of the feed-forward layer.
        dropout: after attention and inside the feed-forward layer.

    Raises:
        ValueError: D is not a multiple of `heads`.
    """

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

    def forward(self, query: TokenSequence, key: TokenSequence) -> TokenSequence:
        """Attend from `query` (B, T, D) to `key` (B, P, D); returns (B, T, D)."""
        x, keys = query.tokens, self.norm_key(key.tokens)
        attended, _ = self.attend(
            self.norm_query(x), keys, keys, key_padding_mask=~key.mask, need_weights=False
        )
        x = x + self.drop(attended)
        return TokenSequence(x + self.drop(self.feed(x)), query.mask)


class TwoSidedFusion(Fusion):
    """Base class of fusions by attention between text tokens and image patches.

    Args:
        dims: width of each view.
        dim: D.
        layers: attention blocks in a stack.
        heads: attention heads; D is a multiple of it.
        feedforward_dim: width of the feed-forward layers, 2 D by default.
        dropout: after attention and inside the feed-forward layers.
        image: views of the image side; by default all that are not text.
        modalities: what each view reads.

    Raises:
        ValueError: an option out of range, or a view that there is not.
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
            raise ValueError(f"layers must be at least one, not {layers}")
        self.dims, self.dim, self.layers, self.heads = dims, dim, layers, heads
        self.feedforward_dim, self.dropout = feedforward_dim, dropout
        self.image, self.modalities = image, modalities
        text, images = split_views(dims, modalities, image)
        self.text_side = TokenProjection({name: dims[name] for name in text}, dim)
        self.image_side = TokenProjection({name: dims[name] for name in images}, dim)
        self._build()

    def _build(self) -> None:
        """Make the layers of the subclass."""
        raise NotImplementedError

    def _block(self) -> CrossAttentionBlock:
        return CrossAttentionBlock(self.dim, self.heads, self.feedforward_dim or 2 * self.dim, self.dropout)

    def _stack(self) -> nn.ModuleList:
        return nn.ModuleList(self._block() for _ in range(self.layers))


class CrossAttentionFusion(TwoSidedFusion):
    """Two stacks of cross-attention, queried by text tokens and by image patches, joined with the text's
    mean.

    Keys and values are the encoded tokens of both sides in every layer, as in the published code
    (docs/papers.md).
    """

    def _build(self) -> None:
        self.by_text, self.by_image = self._stack(), self._stack()
        self.norm_text, self.norm_image = nn.LayerNorm(self.dim), nn.LayerNorm(self.dim)
        self.vector = nn.LayerNorm(self.dim)
        self.join = nn.Linear(3 * self.dim, self.dim)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        text, image = self.text_side(views), self.image_side(views)
        both, from_text, from_image = text.join(image), text, image
        for block in self.by_text:
            from_text = block(from_text, both)
        for block in self.by_image:
            from_image = block(from_image, both)
        pooled = [
            self.norm_text(from_text.mean()),
            self.norm_image(from_image.mean()),
            self.vector(text.mean()),
        ]
        return Joint(self.join(torch.cat(pooled, 1)))


class AttentionFusion(TwoSidedFusion):
    """Cross-attention both ways, then self-attention over both sides' tokens as one sequence."""

    def _build(self) -> None:
        self.by_text, self.by_image = self._block(), self._block()
        self.together = self._stack()
        self.norm = nn.LayerNorm(2 * self.dim)
        self.join = nn.Linear(2 * self.dim, self.dim)

    def forward(self, views: dict[str, Encoded]) -> Joint:
        """Fuse encoded views, by name, into one vector (B, D)."""
        text, image = self.text_side(views), self.image_side(views)
        text, image = self.by_text(text, image), self.by_image(image, text)
        both = text.join(image)
        for block in self.together:
            both = block(both, both)
        # A mean per side: 49 patches would outweigh the eight tokens of a title.
        t = text.tokens.shape[1]
        text = TokenSequence(both.tokens[:, :t], text.mask)
        image = TokenSequence(both.tokens[:, t:], image.mask)
        return Joint(self.join(self.norm(torch.cat([text.mean(), image.mean()], 1))))
