"""Which prompts are for training and which for testing, and prompts that are drawn when they are asked for."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, overload

from envs.language.task import Prompt, Split

ENDLESS = 2**31 - 1
"""Prompts of a split of a task that makes them up."""

TEST_SHARE = 0.1
TRIES = 2000
"""Prompts that are drawn for one that is wanted, before the task is told that it makes none."""


def identify(task: str, *parts: Any) -> str:
    """A prompt's id: the same for the same parts (plain JSON), in every process."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    return f"{task}-{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def side_of(ident: str, test_share: float = TEST_SHARE) -> Split:
    """The split that a prompt belongs to, by a hash of its id alone: no seed, order or size changes it."""
    digest = hashlib.blake2b(ident.encode(), digest_size=8, person=b"split").digest()
    return "test" if int.from_bytes(digest, "little") < test_share * 2**64 else "train"


class Drawn(Sequence[Prompt]):
    """Prompts by random access, each made up when it is asked for, with replacement: a small world repeats itself.

    Prompt i is the first one of its own stream of chance that lies on the right side.
    """

    def __init__(
        self,
        draw: Callable[[random.Random], Prompt],
        split: Split,
        seed: int,
        size: int = ENDLESS,
        test_share: float = TEST_SHARE,
        finish: Callable[[Prompt], Prompt] | None = None,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            draw: makes a prompt up; its id must name all that it asks, see `identify`.
            split: which side.
            seed: another seed gives other prompts of the same side.
            size: how many there are.
            test_share: of all that can be drawn.
            finish: completes the prompt that was chosen, where that is too costly to do for all that are drawn.
        """
        self._finish = finish or (lambda prompt: prompt)
        self._draw, self._split, self._seed, self._size, self._test_share = draw, split, seed, size, test_share

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> Prompt: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Prompt]: ...
    def __getitem__(self, index: int | slice) -> Prompt | Sequence[Prompt]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._size))]
        if not -self._size <= index < self._size:
            raise IndexError(f"got prompt {index}; there are {self._size}")
        chance = random.Random(f"{self._seed}/{self._split}/{index % self._size}")
        for _ in range(TRIES):
            prompt = self._draw(chance)
            if side_of(prompt.id, self._test_share) == self._split:
                return self._finish(prompt)
        raise ValueError(
            f"none of {TRIES} prompts that were drawn is for {self._split}ing: there are too few different ones; "
            "make the task harder, so that there are more, or change test_share"
        )
