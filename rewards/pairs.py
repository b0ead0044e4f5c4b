"""`PairSampler`: which two captions the judge should compare next.

Pairs come two by two with the same first caption. Whoever reads the common beginning of prompts once (the engines here,
vLLM with its prefix caching) reads a quarter less for it, and a reward model learns nearly as much from as many
verdicts; four by four it learns less (docs/speed.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rewards.judges.judge import Question
from rewards.questions import pair_question

TRIES = 8


class Config(BaseModel):
    """How pairs are drawn.

    Attributes:
        tournament: captions drawn at random, of which the least compared one is taken; 1 draws uniformly.
        opponents: pairs that are drawn with the same first caption, one after another; 1: every pair by itself.
        seed: of the draws.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    tournament: int = Field(4, ge=1)
    opponents: int = Field(2, ge=1)
    seed: int = 0


class PairSampler:
    """Draws pairs of different captions out of all seen, favouring those compared least.

    A pair is drawn once, in one order. Only when every pair was drawn do they come again, each once in the other
    order (which shows the judge's position bias); after that there is nothing left to ask.
    """

    def __init__(self, config: Config | None = None) -> None:
        """Nothing seen."""
        self.config = config or Config()
        self._random = np.random.default_rng(self.config.seed)
        self._texts: dict[int, str] = {}
        self._ids: list[int] = []
        self._partners: dict[int, set[int]] = {}
        self._drawn: list[tuple[int, int]] = []
        self._swapped = 0
        self._first, self._opponents_left = 0, 0  # the caption that comes first in the next pairs, and in how many

    @property
    def pairs_drawn(self) -> int:
        """Pairs drawn so far, both orders counted."""
        return len(self._drawn) + self._swapped

    def observe(self, captions: Mapping[int, str]) -> None:
        """Add captions: text by id; those known, and id 0, are passed over."""
        for identity, text in captions.items():
            if identity and identity not in self._texts:
                self._texts[identity] = text
                self._ids.append(identity)
                self._partners[identity] = set()

    def sample(self, count: int) -> list[Question]:
        """Draw up to `count` pairs; fewer when there are no more."""
        questions = []
        # Of a call of the generator for each caption, more time goes into the call than into the draw.
        lots: list[list[float]] = self._random.random((2 * count, self.config.tournament)).tolist()
        for number in range(count):
            if (pair := self._draw(lots[2 * number], lots[2 * number + 1])) is None:
                break
            questions.append(pair_question(self._texts[pair[0]], self._texts[pair[1]]))
        return questions

    def _draw(self, *lots: list[float]) -> tuple[int, int] | None:
        captions = len(self._ids)
        if len(self._drawn) == captions * (captions - 1) // 2:
            if self._swapped == len(self._drawn):
                return None
            first, second = self._drawn[self._swapped]
            self._swapped += 1
            return second, first
        pair = self._fresh_pair(*lots)
        self._drawn.append(pair)
        self._partners[pair[0]].add(pair[1])
        self._partners[pair[1]].add(pair[0])
        return pair

    def _fresh_pair(self, *lots: list[float]) -> tuple[int, int]:
        """A pair not drawn before; one exists."""
        for _ in range(TRIES):
            first = self._first if self._opponents_left else self._least_compared(lots[0])
            second = self._least_compared(lots[1])
            if first != second and second not in self._partners[first]:
                self._opponents_left = (self._opponents_left or self.config.opponents) - 1
                self._first = first
                return first, second
            lots = tuple(self._random.random((2, self.config.tournament)).tolist())
        self._opponents_left = 0
        open_ids = [identity for identity in self._ids if len(self._partners[identity]) < len(self._ids) - 1]
        first = min(open_ids, key=lambda identity: len(self._partners[identity]))
        free = [identity for identity in open_ids if identity != first and identity not in self._partners[first]]
        second = free[int(self._random.integers(len(free)))]
        return (first, second) if self._random.random() < 0.5 else (second, first)

    def _least_compared(self, lots: list[float]) -> int:
        """Of the captions that were drawn by lot, 0 to 1 each, the one compared least; the first of equals."""
        ids, partners = self._ids, self._partners
        drawn = [ids[int(lot * len(ids))] for lot in lots]
        compared = [len(partners[identity]) for identity in drawn]
        return drawn[compared.index(min(compared))]

    def state_dict(self) -> dict[str, Any]:
        """Captions, pairs drawn and the generator, as plain data and arrays: there may be very many."""
        return {
            "caption_ids": np.array(self._ids, np.int64),
            "captions": [self._texts[identity] for identity in self._ids],
            "drawn": np.array(self._drawn, np.int64).reshape(-1, 2),
            "swapped": self._swapped,
            "first": [self._first, self._opponents_left],
            "random": self._random.bit_generator.state,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` saved."""
        self._texts, self._ids, self._partners = {}, [], {}
        # Checkpoints of before have lists.
        self.observe(dict(zip(np.asarray(state["caption_ids"]).tolist(), state["captions"], strict=True)))
        self._drawn = [(first, second) for first, second in np.asarray(state["drawn"]).tolist()]
        for first, second in self._drawn:
            self._partners[first].add(second)
            self._partners[second].add(first)
        self._swapped = state["swapped"]
        self._first, self._opponents_left = state.get("first", (0, 0))  # checkpoints of before have none
        self._random.bit_generator.state = state["random"]
