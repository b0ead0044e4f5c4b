"""Check of dimensional controllers: sentences of three attributes, of which each place in a text wants others."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from itertools import product
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.language import TinyPolicy, imitate
from learners.language.dimensional_controllers import DimensionalControllers, LevelDecoder

ATTRIBUTES, SENTENCES, WORDS = 3, 3, 4
"""Attributes, each of which a word has or has not; sentences of a text; and words of a sentence."""
LENGTH, VOCABULARY = SENTENCES * WORDS, 1 + 2**ATTRIBUTES
WANTED = torch.tensor([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]])
"""What each sentence is paid for having or not having `[SENTENCES, ATTRIBUTES]`."""
PRICE = 0.1
"""Of the divergence from the model at a word, in the share of a sentence."""
SWEEP = (-1.0, -0.5, 0.0, 0.5, 1.0)
Levels = Literal["none", "static", "at random", "schedule"]


def attributes(words: Tensor) -> Tensor:
    """Share of the words of each sentence that have each attribute `[B, SENTENCES, ATTRIBUTES]`."""
    has = (words - 1).clamp_min(0)[..., None] >> torch.arange(ATTRIBUTES) & 1
    return has.view(len(words), SENTENCES, WORDS, ATTRIBUTES).float().mean(2)


def texts(random: np.random.Generator, chances: Tensor, number: int) -> Tensor:
    """Texts whose words have each attribute by these chances of their sentence `[number, LENGTH]`."""
    each = chances.repeat_interleave(WORDS, 0).numpy()
    has = random.random((number, LENGTH, ATTRIBUTES)) < each
    return torch.as_tensor(1 + (has << np.arange(ATTRIBUTES)).sum(-1))


class Steered:
    """A frozen model with controllers."""

    def __init__(self, seed: int) -> None:
        """A model that has seen texts of all kinds, and controllers that do nothing yet."""
        random = np.random.default_rng(seed)
        self.model = TinyPolicy(VOCABULARY, seed)
        seen = texts(random, torch.full((SENTENCES, ATTRIBUTES), 0.4), 512)
        imitate(self.model, np.zeros((len(seen), 1), np.int64), seen.numpy(), 60)
        self.model.requires_grad_(False)
        self.controllers = DimensionalControllers(ATTRIBUTES, self.model.head.in_features)
        self.generator = torch.Generator().manual_seed(seed)

    def write(self, levels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Texts by levels of each sentence `[B, SENTENCES, ATTRIBUTES]`.

        Returns:
            Words, their log-probs, and the divergence from the model without controllers at each `[B, LENGTH]`.
        """
        of_word = levels.repeat_interleave(WORDS, 1)
        found, state = self.model.cell(self.model.embed(torch.zeros(len(levels), 1, dtype=torch.long)))
        words, log_probs, apart = [], [], []
        for place in range(LENGTH):
            plain = self.model.head(found[:, -1]).log_softmax(-1)
            logits = self.model.head(self.controllers(found[:, -1], of_word[:, place])).log_softmax(-1)
            apart.append((logits.exp() * (logits - plain)).sum(-1, keepdim=True))
            word = torch.multinomial(logits.detach().exp(), 1, generator=self.generator)
            words.append(word)
            log_probs.append(logits.gather(1, word))
            found, state = self.model.cell(self.model.embed(word), state)
        return torch.cat(words, 1), torch.cat(log_probs, 1), torch.cat(apart, 1)

    def reinforce(self, updates: int = 150, batch: int = 128) -> None:
        """Pay each sentence Σ ε r, less the mean, by levels at random; leaving the model has its price."""
        optimiser = torch.optim.Adam(self.controllers.parameters(), 1e-2)
        for _ in range(updates):
            levels = 2 * torch.rand(batch, SENTENCES, ATTRIBUTES, generator=self.generator) - 1
            words, log_probs, apart = self.write(levels)
            has = attributes(words)
            gain = (levels * (has - has.mean((0, 1)))).sum(-1)
            loss = (PRICE * apart - gain.repeat_interleave(WORDS, 1) * log_probs).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    @torch.no_grad()
    def has(self, levels: Tensor, number: int = 400) -> Tensor:
        """Mean attributes of texts by levels of each sentence `[SENTENCES, ATTRIBUTES]`."""
        return attributes(self.write(levels.expand(number, SENTENCES, ATTRIBUTES))[0]).mean(0)


@cache
def steered(seed: int, learnt: bool) -> tuple[Steered, Mapping[str, float]]:
    """A model with controllers, and what sweeps of one level after another do."""
    found = Steered(seed)
    if learnt:
        found.reinforce()
    swept = torch.stack(
        [
            torch.stack([found.has(level * torch.eye(ATTRIBUTES)[n]).mean(0) for level in SWEEP])
            for n in range(ATTRIBUTES)
        ]
    )
    own, moved = swept.diagonal(dim1=0, dim2=2), swept[:, -1] - swept[:, 0]
    return found, {
        "moved, own": float(moved.diagonal().mean()),
        "moved, others": float((moved - moved.diagonal().diag()).abs().max()),
        "least step": float(own.diff(dim=0).min()),
    }


def foretold(seed: int) -> Tensor:
    """The schedule of a decoder that has read what good texts are like `[SENTENCES, ATTRIBUTES]`."""
    torch.manual_seed(seed)
    decoder = LevelDecoder(ATTRIBUTES)
    levels = 2 * attributes(texts(np.random.default_rng(500 + seed), 0.5 + 0.4 * WANTED, 256)) - 1
    optimiser = torch.optim.Adam(decoder.parameters(), 2e-2)
    for _ in range(150):
        loss = nn.functional.mse_loss(decoder(levels), levels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return decoder.schedule(SENTENCES)


def written(seed: int, by: Levels, learnt: bool = True) -> Mapping[str, float]:
    """What texts are paid, and what the controllers do.

    Args:
        seed: of everything.
        by: levels of a text: all 0, the static ones that are paid most, schedules at random, or that of the decoder.
        learnt: whether the controllers are.
    """
    model, sweep = steered(seed, learnt)
    model.generator.manual_seed(seed)  # whatever was written before

    def paid(levels: Tensor) -> float:
        return float((WANTED * model.has(levels)).sum())

    none = torch.zeros(SENTENCES, ATTRIBUTES)
    if by == "static":
        reward = max(paid(none + torch.tensor(levels)) for levels in product((-1.0, 0.0, 1.0), repeat=ATTRIBUTES))
    elif by == "at random":
        generator = torch.Generator().manual_seed(seed)
        reward = float(np.mean([paid(2 * torch.rand(none.shape, generator=generator) - 1) for _ in range(10)]))
    else:
        reward = paid(foretold(seed) if by == "schedule" else none)
    return {"reward": reward, **sweep}


def _moves_and_schedules(found: Found) -> bool:
    """Every step of every sweep upwards, others moved a third as much at most, and the schedule above the rest."""
    swept = found.values["schedule"]
    return (
        min(swept["least step"]) > 0
        and all(other < own / 3 for own, other in zip(swept["moved, own"], swept["moved, others"], strict=True))
        and all(found.above("schedule", other, "reward") for other in ("best static levels", "schedules at random"))
    )


LDC = Check(
    row=182,
    name="dimensional-controllers",
    claim="With every level that is raised, its attribute rises at each step and no other moves by a third as much; "
    "and levels that a decoder foretells for each sentence are paid more than the best static ones and than random "
    "ones.",
    arms={
        "controllers not learnt": lambda seed: written(seed, "schedule", learnt=False),
        "all levels 0": lambda seed: written(seed, "none"),
        "best static levels": lambda seed: written(seed, "static"),
        "schedules at random": lambda seed: written(seed, "at random"),
        "schedule": lambda seed: written(seed, "schedule"),
    },
    holds=_moves_and_schedules,
    units={"moved, own": "share of words", "moved, others": "share of words", "least step": "share of words"},
)
