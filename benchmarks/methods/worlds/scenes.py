"""Scenes that are described: what there is, what a policy sees of it, what it claims, and what people make of that.

Each cell of a scene holds one thing. A prompt shows the cells in order, about half of them blurred; a completion names
things in cells, one claim a word. Whoever knows the scene can check each claim, whoever sees the prompt only some.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.worlds.language import END, TinyPolicy, Writing, imitate

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CELLS, THINGS, LENGTH = 4, 4, 6
"""Cells of a scene, kinds of things, and words of a description at most."""
BLURRED = 0.5
SEEN = 1 + CELLS * THINGS
"""Word that shows the first thing; the claim of thing t in cell c is the word 1 + c · THINGS + t."""
VOCABULARY = SEEN + THINGS + 1
FACTS = CELLS * (THINGS + 1) + CELLS * THINGS
"""Numbers of one condition: what is seen of a cell, or what truly is in it."""


class Scenes:
    """Draws scenes and shows them; the scenes of the last batch are kept, for those who may know them."""

    def __init__(self) -> None:
        """None yet."""
        self.last = np.zeros((0, CELLS), np.int64)

    def __call__(self, random: np.random.Generator, number: int) -> Ints:
        """What is shown of new scenes `[n, CELLS]`, as words."""
        self.last = random.integers(0, THINGS, (number, CELLS))
        return SEEN + np.where(random.random(self.last.shape) < BLURRED, THINGS, self.last)


@dataclass(frozen=True)
class Described:
    """What is claimed of scenes.

    Attributes:
        claimed: which claims are made, in the order of their words `[B, CELLS · THINGS]`.
        true: which would be true.
    """

    claimed: Bools
    true: Bools

    @property
    def right(self) -> Ints:
        """True claims `[B]`; one that is made twice counts once."""
        found: Ints = (self.claimed & self.true).sum(1)
        return found

    @property
    def wrong(self) -> Ints:
        """Hallucinated claims `[B]`."""
        found: Ints = (self.claimed & ~self.true).sum(1)
        return found

    @property
    def hallucinated(self) -> float:
        """Share of all claims."""
        return float(self.wrong.sum() / max(int(self.claimed.sum()), 1))


def described(writing: Writing, scenes: Ints) -> Described:
    """Claims of completions, of which each belongs to the scene of its prompt `[G, CELLS]`."""
    words = np.where(writing.mask, writing.completions, END)
    claimed = (words[:, :, None] == 1 + np.arange(CELLS * THINGS)).any(1)
    true = np.eye(THINGS, dtype=np.bool_)[scenes[writing.group]].reshape(len(words), -1)
    return Described(claimed, true)


def conditions(writing: Writing, scenes: Ints, facts: bool) -> Floats:
    """What is seen of each cell, and what is in it, or zeros without facts, `[B, 2 · CELLS, FACTS]`."""
    kinds, cell = np.eye(FACTS), np.arange(CELLS)
    seen = kinds[cell * (THINGS + 1) + writing.prompts - SEEN]
    known = kinds[CELLS * (THINGS + 1) + cell * THINGS + scenes[writing.group]]
    return np.concatenate([seen, known * facts], axis=1)


def descriptions(random: np.random.Generator, shown: Ints, scenes: Ints, witness: bool) -> Ints:
    """Descriptions `[n, LENGTH]` by somebody who sees no more than is shown, or by a witness of the whole scene.

    Nine claims of ten about what they see are right. Four cells of five are named of those that they see; of the others
    two of five, by a guess.

    Args:
        random: source of chance.
        shown: what is shown of the scenes `[n, CELLS]`.
        scenes: what there is `[n, CELLS]`.
        witness: whether all of it is seen.
    """
    blurred = (shown == SEEN + THINGS) & (not witness)
    named = random.random(shown.shape) < np.where(blurred, 0.4, 0.8)
    guessed = blurred | (random.random(shown.shape) < 0.1)
    words = 1 + np.arange(CELLS) * THINGS + np.where(guessed, random.integers(0, THINGS, shown.shape), scenes)
    said = np.full((len(shown), LENGTH), END)
    for row, use in enumerate(named):
        claims = random.permutation(words[row, use])
        said[row, : len(claims)] = claims
    return said


def guesser(seed: int) -> TinyPolicy:
    """A policy that names most of what it sees, mostly rightly, and guesses at much of what it does not see."""
    random, scenes = np.random.default_rng(seed), Scenes()
    shown = scenes(random, 512)
    policy = TinyPolicy(VOCABULARY, seed)
    imitate(policy, shown, descriptions(random, shown, scenes.last, witness=False), 120)
    return policy
