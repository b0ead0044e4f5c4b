"""`Desk`: the place in a Ray cluster where RLlib's processes and the keeper of the books leave word for each other.

    env runners ──Fragment──→ desk ──→ keeper ──→ judge, reward model
    learners ←──News── desk ←──────────┘
    learners ──Paid──→ desk ──→ keeper

It holds what nobody has fetched yet, and the newest reward model. Nobody waits at it: runners and learners leave word
and go on, and take what news there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envs.trajectory import Fragment
from pipelines.rllib.experience import Key


@dataclass(frozen=True)
class Paid:
    """What a learner says of the rewards of one batch.

    Attributes:
        steps: chunks and steps of each fragment in it.
        captioned: steps with a caption.
        annotated: those of them whose intrinsic reward was not NULL.
        metrics: mean of each component, how often it was NULL.
    """

    steps: Mapping[Key, tuple[int, int]]
    captioned: int
    annotated: int
    metrics: Mapping[str, float] = field(default_factory=dict)

    @property
    def frames(self) -> int:
        """Steps in it."""
        return sum(frames for _, frames in self.steps.values())


@dataclass(frozen=True)
class News:
    """A reward model, and the captions that whoever asked had not been told.

    Attributes:
        number: of the reward model, counted from 1.
        captions: text by id.
        known: captions that are known with these.
        snapshot: what a reward model scores with.
    """

    number: int
    captions: Mapping[int, str]
    known: int
    snapshot: bytes


class Desk:
    """A plain object; an actor hosts it."""

    def __init__(self) -> None:
        """Nobody has left anything."""
        self._fragments: list[Fragment] = []
        self._paid: list[Paid] = []
        self._captions: list[tuple[int, str]] = []
        self._number, self._snapshot = 0, b""

    def sampled(self, fragment: Fragment) -> None:
        """An env runner has sampled."""
        self._fragments.append(fragment)

    def paid(self, paid: Paid) -> None:
        """A learner has made a batch."""
        self._paid.append(paid)

    def collect(self) -> tuple[list[Fragment], list[Paid]]:
        """What was left since this was asked last."""
        found = self._fragments, self._paid
        self._fragments, self._paid = [], []
        return found

    def publish(self, captions: Sequence[tuple[int, str]], snapshot: bytes) -> None:
        """Another reward model, and captions that came since the one before."""
        self._captions += captions
        self._number, self._snapshot = self._number + 1, snapshot

    def news(self, number: int, known: int) -> News | None:
        """The newest reward model; None for whoever has it.

        Args:
            number: of the one that is asked with.
            known: captions that the asker has been told.
        """
        if number >= self._number:
            return None
        return News(self._number, dict(self._captions[known:]), len(self._captions), self._snapshot)
