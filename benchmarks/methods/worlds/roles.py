"""One network in several roles: it picks answers to questions, and says something of answers that were picked.

Questions and answers are a few numbers each. What an answer is worth to a question are products of hidden features of
both, each for or against, as the domain of the question says: who has found the features in one domain knows them in
the others. A shared body reads a question with an answer, and each role has a head of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIZE, FEATURES = 6, 6
"""Numbers of a question and of an answer, and hidden features of each."""


@dataclass(frozen=True)
class Questions:
    """N questions with M answers each.

    Attributes:
        domain: of each question `[N]`.
        asked: `[N, SIZE]`.
        answers: `[N, M, SIZE]`.
        worth: of each answer, with mean 0 and deviation 1 among those to its question `[N, M]`.
    """

    domain: Ints
    asked: Floats
    answers: Floats
    worth: Floats

    def __getitem__(self, rows: Ints) -> Questions:
        """Some of them, each as often as it is named."""
        return Questions(self.domain[rows], self.asked[rows], self.answers[rows], self.worth[rows])

    def among(self, picked: Ints) -> Questions:
        """The same questions with some of their answers, by number `[N, K]`."""
        answers = np.take_along_axis(self.answers, picked[..., None], 1)
        return Questions(self.domain, self.asked, answers, np.take_along_axis(self.worth, picked, 1))


class World:
    """What answers are worth."""

    def __init__(self, seed: int, domains: int = 1) -> None:
        """Features from `seed`; half of them count for an answer in each domain, half against it."""
        random = np.random.default_rng(3000 + seed)
        self._question, self._answer = random.normal(size=(2, SIZE, FEATURES)) * 2 / SIZE**0.5
        self._signs = random.permuted(np.tile([1.0, -1.0], (domains, FEATURES // 2)), axis=1)
        self.domains = domains

    def questions(self, random: np.random.Generator, number: int, answers: int, domain: int = 0) -> Questions:
        """Questions of a domain."""
        asked, given = random.normal(size=(number, SIZE)), random.normal(size=(number, answers, SIZE))
        features = np.tanh(asked @ self._question)[:, None] * np.tanh(given @ self._answer)
        worth = features @ self._signs[domain]
        worth = (worth - worth.mean(1, keepdims=True)) / worth.std(1, keepdims=True)
        return Questions(np.full(number, domain), asked, given, worth)


class Roles(nn.Module):
    """A body that reads a question with an answer, and heads."""

    def __init__(self, seed: int, heads: Mapping[str, int], domains: int = 1, hidden: int = 32) -> None:
        """Random weights, from `seed`; each head says one of so many things, or how much one would pick an answer."""
        super().__init__()
        torch.manual_seed(seed)
        self.question = nn.Sequential(nn.Linear(SIZE, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
        self.answer = nn.Sequential(nn.Linear(SIZE, hidden), nn.Tanh(), nn.Linear(hidden, hidden))
        self.heads = nn.ModuleDict({name: nn.Linear(hidden, size) for name, size in heads.items()})
        self.counts = nn.Embedding(domains, hidden)

    def said(self, role: str, questions: Questions) -> Tensor:
        """Log-probabilities of what a role says of each answer `[N, M, K]`."""
        return self.logits(role, questions).log_softmax(-1)

    def picks(self, role: str, questions: Questions) -> Tensor:
        """Log-probabilities of the answer that a role picks `[N, M]`."""
        return self.logits(role, questions)[..., 0].log_softmax(-1)

    def logits(self, role: str, questions: Questions) -> Tensor:
        """What a head makes of each answer `[N, M, K]`."""
        asked, given = (torch.as_tensor(x, dtype=torch.float32) for x in (questions.asked, questions.answers))
        weights = self.counts(torch.as_tensor(questions.domain))
        read = (weights * self.question(asked))[:, None] * self.answer(given)
        found: Tensor = self.heads[role](read)
        return found


def drawn(log_probs: Tensor, generator: torch.Generator) -> Tensor:
    """One of K by log-probabilities `[…, K]`: its number `[…]`."""
    flat = log_probs.detach().exp().flatten(0, -2)
    return torch.multinomial(flat, 1, generator=generator).view(log_probs.shape[:-1])
