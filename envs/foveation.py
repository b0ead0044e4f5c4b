"""`Foveated`: a large picture that is shown small, and of which a region may be asked for to be seen better.

    first     the whole picture, scaled down
    zoom      a region that was named in the coordinates of what was shown, cut out of the picture as it is, and scaled
              to as many pixels as the whole was

Whoever has learnt where to look sees in two turns what no single look shows. All that is shown is means over areas.

Source: MGPO, High-Resolution Visual Reasoning via Multi-Turn Grounding-Based RL (Huang et al. 2025): coordinates are
scaled to the picture and clipped to it, and the only reward is for the answer. That a region is scaled to one size, and
that one without width or height shows nothing, is chosen here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Box = tuple[float, float, float, float]
"""x and y of one corner, then of the other."""
LEAST = 0.01
"""Pixels of the picture that a region is wide and high at the least: of less, a mean would be all rounding."""


@dataclass(frozen=True)
class Foveated:
    """A picture and the size at which it is shown.

    Attributes:
        picture: `[H, W]` or `[H, W, C]`.
        size: height and width of what is shown.
    """

    picture: Floats
    size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check.

        Raises:
            ValueError: no picture, or a size below 1.
        """
        if self.picture.ndim not in (2, 3) or not self.picture.size or min(self.size) < 1:
            raise ValueError(
                f"got a picture of shape {self.picture.shape} to be shown as {self.size}; expected [H, W] or "
                "[H, W, C], and at least one pixel of each"
            )

    @property
    def first(self) -> Floats:
        """The whole picture `[h, w]` or `[h, w, C]`."""
        height, width = self.picture.shape[:2]
        return self._shown((0, 0, width, height))

    def zoom(self, box: Box) -> Floats | None:
        """A region, as large as the whole is shown; None where less than `LEAST` of it lies within the picture.

        Args:
            box: in the coordinates of `first`, the corners in any order.
        """
        region = self.on_picture(box)
        return None if region is None else self._shown(region)

    def on_picture(self, box: Box) -> Box | None:
        """A box in the coordinates of the picture, clipped to it, smaller coordinates first; None as of `zoom`.

        Args:
            box: as of `zoom`.
        """
        if not np.isfinite(box).all():
            return None
        height, width = self.picture.shape[:2]
        across, down = (
            np.clip(np.sort(ends) * of / shown, 0, of)
            for ends, of, shown in zip((box[::2], box[1::2]), (width, height), self.size[::-1], strict=True)
        )
        if min(across[1] - across[0], down[1] - down[0]) < LEAST:
            return None
        return float(across[0]), float(down[0]), float(across[1]), float(down[1])

    def _shown(self, region: Box) -> Floats:
        """Means over the cells of a grid that is laid over a region of the picture."""
        x1, y1, x2, y2 = region
        return _means(_means(self.picture, y1, y2, self.size[0], 0), x1, x2, self.size[1], 1)


def _means(picture: Floats, start: float, end: float, cells: int, axis: int) -> Floats:
    """Means along an axis over equal cells from start to end; a pixel that is cut counts by its part."""
    before = np.insert(np.cumsum(picture, axis), 0, 0.0, axis)
    edges = np.linspace(start, end, cells + 1)
    whole = np.minimum(edges.astype(np.int64), picture.shape[axis] - 1)
    part = (edges - whole).reshape([-1 if k == axis else 1 for k in range(picture.ndim)])
    sums = before.take(whole, axis) + part * picture.take(whole, axis)
    found: Floats = np.diff(sums, axis=axis) * (cells / (end - start))
    return found
