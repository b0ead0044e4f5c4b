"""Check of scores that are made of attributes: of each kind of prompt another one decides, and raters like length."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from learners.language.reward_losses import bradley_terry
from rewards.comparison.correlation import pearson
from rewards.models.attribute_heads import fit_heads
from rewards.models.debiasing import penalties, without
from rewards.models.gated_attributes import GatedAttributes

Floats = NDArray[np.float64]
KINDS, ATTRIBUTES, LENGTH = 3, 5, 4
"""Kinds of prompts, attributes with length, and which of them is length. Prompts of kind k want attribute k."""
PROMPT, FEATURES = 6, 24
"""Numbers of a prompt's features, and of an answer's."""
RATED, PAIRS, BIAS, SURE = 400, 60, 0.7, 3.0
"""Answers that were rated, pairs that were preferred, what length adds to any rating, and how sure preferences are."""


class Answers:
    """Answers to prompts of three kinds, and what people say of them."""

    def __init__(self, seed: int) -> None:
        """Draws prompts and features; heads are fitted to ratings, half of which are missing."""
        self.random = np.random.default_rng(seed)
        self.centre = self.random.normal(size=(KINDS, PROMPT))
        self.mixing = self.random.normal(size=(ATTRIBUTES, FEATURES)) / np.sqrt(ATTRIBUTES)
        truth = self.random.normal(size=(RATED, ATTRIBUTES))
        self.features = self.seen(truth)
        ratings = truth + BIAS * truth[:, [LENGTH]] * (np.arange(ATTRIBUTES) != LENGTH)
        ratings += 0.5 * self.random.normal(size=ratings.shape)
        ratings[self.random.random(ratings.shape) < 0.5] = np.nan
        self.heads = fit_heads(self.features, ratings)

    def seen(self, truth: Floats) -> Floats:
        """Features of answers with these attributes `[..., FEATURES]`."""
        found: Floats = truth @ self.mixing + 0.3 * self.random.normal(size=(*truth.shape[:-1], FEATURES))
        return found

    def debiased(self) -> Floats:
        """Heads less what goes with the reward of length in the answers that were rated."""
        rewards = self.features @ self.heads.T
        return without(self.heads, LENGTH, penalties(rewards, rewards[:, LENGTH]))

    def pairs(self, number: int, sure: float | None = SURE) -> tuple[NDArray[np.int64], Tensor, Tensor, Floats]:
        """Kinds `[N]`, prompts `[N, 1, PROMPT]`, and answers, of which the first was preferred `[N, 2, FEATURES]`.

        Args:
            number: how many.
            sure: of preferences; None: what is truly wanted.

        Returns:
            Last come the attributes of the answers `[N, 2, ATTRIBUTES]`.
        """
        kind = self.random.integers(0, KINDS, number)
        truth = self.random.normal(size=(number, 2, ATTRIBUTES))
        gap = np.diff(truth[np.arange(number), :, kind])[:, 0]  # of the second over the first
        noise = 0.0 if sure is None else self.random.logistic(size=number) / sure
        truth = np.where((gap + noise > 0)[:, None, None], truth[:, ::-1], truth)
        prompts = self.centre[kind] + 0.3 * self.random.normal(size=(number, PROMPT))
        tensors = [torch.as_tensor(values, dtype=torch.float32) for values in (prompts[:, None], self.seen(truth))]
        return kind, tensors[0], tensors[1], truth


Score = Callable[[Tensor, Tensor], Tensor]
"""From prompts `[N, 1, PROMPT]` and answers `[N, 2, FEATURES]` to scores `[N, 2]`."""


def fit(model: nn.Module, score: Score, prompts: Tensor, answers: Tensor, steps: int = 100) -> None:
    """Bradley-Terry on all pairs at each step."""
    optimiser = torch.optim.AdamW(model.parameters(), 3e-3, weight_decay=0.01)
    for _ in range(steps):
        scores = score(prompts, answers)
        optimiser.zero_grad()
        bradley_terry(scores[:, 0], scores[:, 1]).mean().backward()
        optimiser.step()


def measured(world: Answers, score: Score) -> Mapping[str, float]:
    """How often a score is right of new pairs, what it owes to length, and how much of it is what decides.

    The last is read off by regression: among prompts of a kind, of all that the score depends on, the share of the
    attribute that this kind wants.
    """
    kind, prompts, answers, truth = world.pairs(3000, sure=None)
    with torch.no_grad():
        scores = score(prompts, answers).double().numpy()
    gaps, apart = scores[:, 0] - scores[:, 1], truth[:, 0] - truth[:, 1]
    slopes = [np.abs(np.linalg.lstsq(apart[kind == k], gaps[kind == k], rcond=None)[0]) for k in range(KINDS)]
    return {
        "right": float((gaps > 0).mean()),
        "correlation with length": abs(pearson(scores.ravel(), truth[..., LENGTH].ravel()) or 0.0),
        "share of what decides": float(np.mean([slope[k] / slope.sum() for k, slope in enumerate(slopes)])),
    }


def gated(seed: int, debias: bool) -> Mapping[str, float]:
    """ArmoRM: attributes by heads that were fitted to ratings, and a gate that learns from few pairs."""
    world = Answers(seed)
    heads = torch.as_tensor(world.debiased() if debias else world.heads, dtype=torch.float32)
    model = GatedAttributes(heads, PROMPT, hidden=32, layers=2, scale=SURE, seed=seed)
    _, prompts, answers, _ = world.pairs(PAIRS)
    fit(model, lambda x, y: model.scale * model(x, y).score, prompts, answers)
    return measured(world, lambda x, y: model(x, y).score)


def one_score(seed: int) -> Mapping[str, float]:
    """One network from prompt and answer to a score, which learns from the pairs alone."""
    world = Answers(seed)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(PROMPT + FEATURES, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))

    def score(x: Tensor, y: Tensor) -> Tensor:
        found: Tensor = model(torch.cat([x.expand(-1, y.shape[1], -1), y], -1))[..., 0]
        return found

    _, prompts, answers, _ = world.pairs(PAIRS)
    fit(model, score, prompts, answers)
    return measured(world, score)


def fixed(seed: int, tries: int = 2000) -> Mapping[str, float]:
    """Of many fixed weightings of the debiased attributes, the one that is right of most of the very pairs it is asked.

    No rule could find a better one of them, whatever it learnt from.
    """
    world = Answers(seed)
    heads = torch.as_tensor(world.debiased(), dtype=torch.float32)
    weights = torch.as_tensor(np.random.default_rng(seed).dirichlet(np.full(ATTRIBUTES, 0.5), tries)).float()
    world.pairs(PAIRS)  # as the others: the new pairs are the same

    def best(x: Tensor, y: Tensor) -> Tensor:
        scores = y @ heads.T @ weights.T
        return scores[..., int((scores[:, 0] > scores[:, 1]).float().mean(0).argmax())]

    return measured(world, best)


def _gate_and_debiasing_pay(found: Found) -> bool:
    """More often right than what knows no prompt and what knows no attributes; nothing is owed to length."""
    others = ("best fixed weights", "one score")
    return (
        all(found.above("ArmoRM", other, "right", by=0.05) for other in others)
        and found.interval("ArmoRM", "share of what decides")[0] > 0.6
        and found.interval("ArmoRM", "correlation with length")[1] < 0.1
        and found.interval("ArmoRM, not debiased", "correlation with length")[0] > 0.3
    )


ARMORM = Check(
    row=176,
    name="multi-objective-moe-rm",
    claim="With 60 pairs, a gate over attributes is right of new pairs by more than 0.05 more often than any fixed "
    "weighting of them and than one score; more than 0.6 of what its score depends on is the attribute that the kind "
    "of prompt wants, and debiased it correlates with length by less than 0.1, where it did by more than 0.3.",
    arms={
        "best fixed weights": fixed,
        "one score": one_score,
        "ArmoRM, not debiased": lambda seed: gated(seed, debias=False),
        "ArmoRM": lambda seed: gated(seed, debias=True),
    },
    holds=_gate_and_debiasing_pay,
    units={"right": "share of pairs", "correlation with length": "Pearson", "share of what decides": "share of slopes"},
)
