"""`Weights`: a version and a blob, published once and pulled by version.

The board keeps the newest version behind one object reference: whoever acts is handed the reference and fetches it
only if the version is newer than its own. The blob is never opened here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ray


@dataclass(frozen=True)
class Weights:
    """Weights of one policy version, as safetensors bytes."""

    version: int
    blob: bytes


class WeightsBoard:
    """The newest weights, by reference."""

    def __init__(self) -> None:
        """An empty board."""
        self._version = -1
        self._reference: ray.ObjectRef[Weights] | None = None

    @property
    def version(self) -> int:
        """The newest published version; -1 before the first."""
        return self._version

    def publish(self, version: int, reference: ray.ObjectRef[Weights]) -> None:
        """Put up a reference to `Weights` of this version.

        Raises:
            ValueError: an older or the same version is published again.
        """
        if version <= self._version:
            raise ValueError(f"got version {version}; expected one after {self._version}")
        self._reference, self._version = reference, version

    def newer_than(self, version: int) -> ray.ObjectRef[Weights] | None:
        """A reference to the newest weights, or None if `version` is up to date."""
        return self._reference if self._version > version else None
