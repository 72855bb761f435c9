"""Pictures that look alike: one photograph resized, recompressed or slightly retouched.

The perceptual hash is dHash (Krawetz 2013) with 256 bits: on a 17 × 16 grey thumbnail, whether each
pixel is brighter than its left neighbour.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from aisle.catalog.pictures import PictureError, decode
from aisle.catalog.product import ImageRef

BITS = 256
NEAR = 10  # differing bits; so at least 6 of the 16 bands below are equal
_ONES = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(1)  # set bits of a byte
_CROWD = 400  # rows that share a band by chance: blank backgrounds, not evidence
_FLAT = 24  # set bits below which a picture has too little in it to be told apart


def perceptual_hash(ref: ImageRef) -> np.ndarray | None:
    """(32,) uint8, or None where the picture is unreadable or nearly blank."""
    try:
        image = decode(ref, 64)
    except PictureError:
        return None
    grey = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.BOX), dtype=np.int16)
    bits = grey[:, 1:] > grey[:, :-1] + 1  # one grey step is compression noise
    return np.packbits(bits) if _FLAT <= bits.sum() <= BITS - _FLAT else None


def pairs(refs: Iterable[ImageRef | None]) -> Iterator[tuple[int, int]]:
    """Positions of pictures that differ in at most 10 of 256 bits; chains of them join whole sets."""
    rows: list[int] = []
    hashes: list[np.ndarray] = []
    for i, ref in enumerate(refs):
        hashed = None if ref is None else perceptual_hash(ref)
        if hashed is not None:
            rows.append(i)
            hashes.append(hashed)
    if not rows:
        return
    table = np.stack(hashes)  # (N, 32)
    bands = table.view(np.uint16)  # (N, 16)
    for band in range(bands.shape[1]):
        buckets: defaultdict[int, list[int]] = defaultdict(list)
        for k, value in enumerate(bands[:, band].tolist()):
            buckets[value].append(k)
        for members in buckets.values():
            if 1 < len(members) <= _CROWD:
                yield from _near(np.array(members), table, rows)


def _near(members: np.ndarray, table: np.ndarray, rows: list[int]) -> Iterator[tuple[int, int]]:
    for k, member in enumerate(members[:-1]):
        others = members[k + 1 :]
        distance = _ONES[table[others] ^ table[member]].sum(1)
        for other in others[distance <= NEAR]:
            yield rows[int(member)], rows[int(other)]
