"""Principles of a judge, sharpened against someone who hides flaws: it writes down what it missed, he hides better.

Both sides keep a list of sentences: the judge what makes a text bad, the other how flaws are hidden. Who writes,
judges and reflects are language models, handed in as functions; what is here is the game between them.

Source: Igniting Creative Writing in Small Language Models: LLM-as-a-Judge versus Multi-Agent Refined Rewards (strategy
B; batches of 4 as in its released code).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Sample(NamedTuple):
    """A text, and what is wrong with it; empty where nothing is."""

    text: str
    flaw: str = ""


class Ruling(NamedTuple):
    """What the judge says of a text.

    Attributes:
        good: whether nothing is wrong with it.
        reason: why, for people and for whoever reflects.
        hint: of a bad one, how its flaw could have been hidden better.
    """

    good: bool
    reason: str = ""
    hint: str = ""


Judge = Callable[[Sequence[str], str], Ruling]
"""Principles and a text to a ruling."""
Forge = Callable[[Sequence[str], int], Sequence[Sample]]
"""Strategies and a number to as many texts, each with a flaw that it tries to hide."""
Reflect = Callable[[Sequence[str], Sequence[tuple[Sample, Ruling]]], Sequence[str]]
"""A list, and the cases in which its side lost, to what is to be added to the list."""


@dataclass
class AdversarialPrinciples:
    """The two lists; both grow, and what is in them already is not added again.

    Attributes:
        principles: of the judge.
        strategies: of who hides flaws.
        most: length beyond which neither grows.
        rounds: that were played.
    """

    principles: list[str]
    strategies: list[str] = field(default_factory=list)
    most: int = 32
    rounds: int = 0

    def play(
        self, judge: Judge, forge: Forge, learn: Reflect, hide: Reflect, good: Sequence[str], batch: int = 4
    ) -> float:
        """One round; gives the share of texts that the judge was right about, before it learnt from the others.

        Args:
            judge: by the principles.
            forge: by the strategies.
            learn: what the judge adds, from its mistakes: flaws that it missed, and good texts that it refused.
            hide: what the other adds, from the flaws that were seen.
            good: texts that nothing is wrong with; as many as are forged are judged beside them.
            batch: texts that are forged.

        Raises:
            ValueError: no good texts, or nothing to forge.
        """
        if not good or batch < 1:
            raise ValueError(f"got {len(good)} good texts and a batch of {batch}; expected some of both")
        shown = [Sample(good[(self.rounds * batch + k) % len(good)]) for k in range(batch)]
        cases = [(one, judge(self.principles, one.text)) for one in (*forge(self.strategies, batch), *shown)]
        mistakes = [(one, ruling) for one, ruling in cases if ruling.good == bool(one.flaw)]
        caught = [(one, ruling) for one, ruling in cases if one.flaw and not ruling.good]
        for reflect, kept, lost in ((learn, self.principles, mistakes), (hide, self.strategies, caught)):
            for sentence in reflect(kept, lost) if lost else ():
                if sentence not in kept and len(kept) < self.most:
                    kept.append(sentence)
        self.rounds += 1
        return 1 - len(mistakes) / len(cases)

    def reward(self, judge: Judge, text: str) -> float:
        """1 for a text that the judge finds good by the principles as they are, else 0."""
        return float(judge(tuple(self.principles), text).good)
