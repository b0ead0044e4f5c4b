"""Texts that end in a number looked up several times over, and a reader that can look up once a token.

A text is a table of SIZE numbers and a place to begin; what follows is found by looking up HOPS times in a row. One
layer of attention looks up once. So whoever writes down what was found on the way foretells the end, and nobody else.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Ints = NDArray[np.int64]
SIZE, HOPS = 7, 3
THOUGHTS = HOPS - 1
NUMBER = 1
"""Token of the number 0."""
THINK = NUMBER + SIZE
"""Of the thought "0", the first of SIZE."""
MARK = THINK + SIZE
"""Stands in the place of thoughts where nothing is thought."""
VOCABULARY = MARK + 1


def texts(random: np.random.Generator, number: int) -> tuple[Ints, Ints]:
    """Tables with a beginning `[n, SIZE + 1]`, and what is found at each look-up `[n, HOPS]`; numbers from 0."""
    table = random.permuted(np.tile(np.arange(SIZE), (number, 1)), axis=1)
    place = random.integers(0, SIZE, number)
    found, at = [], place
    for _ in range(HOPS):
        at = table[np.arange(number), at]
        found.append(at)
    return np.concatenate([table, place[:, None]], 1), np.stack(found, 1)


class Reader(nn.Module):
    """One layer of causal attention with one head, and a network behind it."""

    def __init__(
        self, seed: int, hidden: int = 48, vocabulary: int = VOCABULARY, places: int = SIZE + 1 + HOPS
    ) -> None:
        """Random weights, from `seed`; for texts of so many tokens at most."""
        super().__init__()
        torch.manual_seed(seed)
        self.token = nn.Embedding(vocabulary, hidden)
        self.place = nn.Embedding(places, hidden)
        self.query, self.key, self.value = (nn.Linear(hidden, hidden, bias=False) for _ in range(3))
        self.body = nn.Sequential(nn.Linear(2 * hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, vocabulary))

    def states(self, tokens: Tensor) -> Tensor:
        """What is known behind each token, of it and of those before it `[B, L, 2 · hidden]`."""
        x = self.token(tokens) + self.place.weight[: tokens.shape[1]]
        seen = nn.functional.scaled_dot_product_attention(self.query(x), self.key(x), self.value(x), is_causal=True)
        return torch.cat([x, seen], -1)

    def logits(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Next-token logits at each place of the completions `[B, T, V]`, after prompts `[B, P]`."""
        inputs = torch.cat([prompts, completions[:, :-1]], dim=1)
        logits: Tensor = self.body(self.states(inputs)[:, prompts.shape[1] - 1 :])
        return logits

    def log_probs(self, prompts: Tensor, completions: Tensor) -> Tensor:
        """Log-probability of each token of the completions `[B, T]`."""
        return self.logits(prompts, completions).log_softmax(-1).gather(-1, completions[..., None])[..., 0]

    @torch.no_grad()
    def write(self, prompts: Tensor, length: int, generator: torch.Generator, greedy: bool = False) -> Tensor:
        """So many tokens behind each prompt `[B, length]`, drawn, or the likeliest."""
        written = torch.zeros(len(prompts), 0, dtype=torch.long)
        for _ in range(length):
            padded = torch.cat([written, torch.zeros(len(prompts), 1, dtype=torch.long)], 1)
            logits = self.logits(prompts, padded)[:, -1]
            if greedy:
                token = logits.argmax(-1, keepdim=True)
            else:
                token = torch.multinomial(logits.softmax(-1), 1, generator=generator)
            written = torch.cat([written, token], 1)
        return written

    def think(self, prompts: Tensor, generator: torch.Generator) -> Tensor:
        """Thoughts `[B, THOUGHTS]`, drawn."""
        return self.write(prompts, THOUGHTS, generator)


def taught(seed: int, steps: int = 800, batch: int = 256) -> Reader:
    """A reader of texts: a fifth has no thoughts, and half of the other thoughts are what is found on the way."""
    random, reader = np.random.default_rng(1000 + seed), Reader(seed)
    optimiser = torch.optim.Adam(reader.parameters(), 3e-3)
    for _ in range(steps):
        given, found = texts(random, batch)
        useful = random.random((batch, 1)) < 0.5
        thoughts = THINK + np.where(useful, found[:, :-1], random.integers(0, SIZE, (batch, THOUGHTS)))
        thoughts = np.where(random.random((batch, 1)) < 0.2, MARK, thoughts)
        written = torch.as_tensor(np.concatenate([thoughts, NUMBER + found[:, -1:]], 1))
        loss = -reader.log_probs(torch.as_tensor(NUMBER + given), written).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return reader
