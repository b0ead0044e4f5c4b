"""Checks of mixtures of training data: by a surrogate of what comes of a run, and by the influence of each source."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.menu import softmax
from learners.source_sampling import next_scores, reptile_step, source_influences
from rewards.columns import Column
from rewards.comparison.correlation import spearman
from rewards.data.mixtures import Kind, best_mixture, fit_surrogate, left_out, seed_mixtures
from rewards.groups import group_advantages

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

# --- 221: domains that help each other and stand in each other's way -------------------------------------------------

ACTIONS, BLOCK = 3, 4
"""Actions, and numbers of a block of what is seen; there are three blocks."""
RANDOM, ROUNDS = 8, 3
"""Random mixtures to begin with, and mixtures that a surrogate adds."""
RIDGE = 1e-3


class Domains:
    """Four domains of tasks with a right action, and tasks of none of them that all blocks of what is seen count in.

    The first shows block 1 and the second blocks 1 and 2, to the same end. The third shows block 3, and block 1 with
    every answer turned round. The rewards of the fourth know nothing.
    """

    def __init__(self, seed: int) -> None:
        """Drawn from `seed`."""
        random = np.random.default_rng(seed)
        self._teacher = random.normal(size=(3 * BLOCK, ACTIONS))
        blocks = np.repeat([[1.0, 0.0, 0.0], [0.7, 1.0, 0.0], [0.7, 0.0, 1.0], [1.0, 1.0, 1.0]], BLOCK, axis=1)
        self._shown = blocks
        signs = np.ones((4, 3 * BLOCK))
        signs[2, :BLOCK] = -1.0
        self._signs = signs

    def tasks(self, domain: Ints, random: np.random.Generator) -> tuple[Floats, Ints]:
        """What is seen `[n, 12]`, and the right action `[n]`."""
        seen = random.normal(size=(len(domain), 3 * BLOCK)) * self._shown[domain]
        right = ((seen * self._signs[domain]) @ self._teacher).argmax(1)
        return seen, np.where(domain == 3, random.integers(0, ACTIONS, len(domain)), right)

    def held_out(self, number: int, random: np.random.Generator) -> tuple[Floats, Ints]:
        """Tasks of none of the domains."""
        seen = random.normal(size=(number, 3 * BLOCK))
        return seen, (seen @ self._teacher).argmax(1)

    def trained(self, mixture: Floats, random: np.random.Generator, updates: int = 100) -> Floats:
        """A linear policy `[12, ACTIONS]` after policy gradient with groups of four, prompts drawn by the mixture."""
        policy, members = np.zeros((3 * BLOCK, ACTIONS)), 4
        for _ in range(updates):
            seen, right = self.tasks(random.choice(4, 16, p=mixture), random)
            seen, right = np.repeat(seen, members, 0), np.repeat(right, members)
            chances = softmax(seen @ policy)
            picked = (chances.cumsum(-1) > random.random((len(seen), 1))).argmax(-1)
            gain = group_advantages(Column.full((picked == right).reshape(-1, members)), scale=False).values.ravel()
            policy += 0.5 * seen.T @ (gain[:, None] * (np.eye(ACTIONS)[picked] - chances)) / len(seen)
        return policy

    def accuracy(self, policy: Floats, tasks: tuple[Floats, Ints]) -> float:
        """Chance of the right action, mean over tasks."""
        seen, right = tasks
        return float(softmax(seen @ policy)[np.arange(len(right)), right].mean())


@cache
def runs(seed: int, number: int) -> tuple[Floats, Floats]:
    """Mixtures to begin with, `number` of them random, and their scores on a few held-out tasks."""
    domains = Domains(seed)
    mixtures = seed_mixtures(4, number, np.random.default_rng(100 + seed))
    return mixtures, np.array([score(domains, w, np.random.default_rng([seed, k])) for k, w in enumerate(mixtures)])


def score(domains: Domains, mixture: Floats, random: np.random.Generator) -> float:
    """What comes of one run."""
    return domains.accuracy(domains.trained(mixture, random), domains.held_out(500, random))


@cache
def settled(seed: int, mixture: tuple[float, ...]) -> float:
    """Accuracy of a mixture, the mean of six fresh runs on many tasks."""
    domains, random = Domains(seed), np.random.default_rng(5000 + seed)
    tasks = domains.held_out(4000, random)
    return float(np.mean([domains.accuracy(domains.trained(np.array(mixture), random), tasks) for _ in range(6)]))


def mixed(seed: int, kind: Kind) -> Mapping[str, float]:
    """Accuracy at the optimum of a surrogate, less that of mixtures that were to be had without one."""
    domains = Domains(seed)
    mixtures, scores = runs(seed, RANDOM)
    correlation = spearman(left_out(mixtures, scores, kind, RIDGE), scores)
    for k in range(ROUNDS):
        best = best_mixture(fit_surrogate(mixtures, scores, kind, RIDGE))
        random = np.random.default_rng([seed, 1000 + k])
        mixtures, scores = np.append(mixtures, [best], 0), np.append(scores, score(domains, best, random))
    found = best_mixture(fit_surrogate(mixtures, scores, kind, RIDGE))
    others, seen = runs(seed, RANDOM + ROUNDS)
    accuracy = settled(seed, tuple(found))
    return {
        "accuracy": accuracy,
        "above uniform": accuracy - settled(seed, (0.25,) * 4),
        "above the best domain": accuracy - max(settled(seed, tuple(alone)) for alone in np.eye(4)),
        "above the best of as many runs": accuracy - settled(seed, tuple(others[seen.argmax()])),
        "rank correlation, left out": float("nan") if correlation is None else correlation,
        "share of noise": float(found[3]),
    }


def _mixes_better(found: Found) -> bool:
    above = [found.interval("quadratic", f"above {other}")[0] for other in ("uniform", "the best domain")]
    return min(above) > 0 and found.interval("quadratic", "rank correlation, left out")[0] > 0.5


MODOMODO = Check(
    row=221,
    name="data-mixture-surrogate",
    claim="Of four domains, two of which agree, one of which contradicts them in part and one of which is noise, the "
    "mixture at the optimum of a quadratic surrogate of 20 runs answers more held-out tasks than the uniform one and "
    "than the best domain alone, and runs that were left out are ranked with a correlation above 0.5.",
    arms={kind: partial(mixed, kind=kind) for kind in ("quadratic", "linear")},
    holds=_mixes_better,
    units={
        "accuracy": "chance of the right action",
        **{f"above {other}": "difference" for other in ("uniform", "the best domain", "the best of as many runs")},
        "share of noise": "of the mixture",
    },
)


# --- 141: sources, of which two are of the target's kind and one is harmful ------------------------------------------

SIZE, SOURCES, GOOD, HARMFUL = 20, 6, 2, 5
"""Numbers that are seen, sources, those of the target's kind (the first), and the one that is turned round."""
ROUNDS_OF, STEPS, BATCH = 40, 5, 32
"""Rounds, steps of a proxy, and samples of each."""
SIZES = np.array([1.0, 1.0, 2.0, 2.0, 2.0, 4.0])
"""Of the sources; the harmful one is the largest."""


class Sources:
    """Samples with a label; what decides it is as in the target in two sources, near that in three, opposite in one.

    Each of the two shows one half of what counts in the target, so that neither is enough.
    """

    def __init__(self, seed: int) -> None:
        """Drawn from `seed`."""
        self._generator = torch.Generator().manual_seed(seed)
        target = self._drawn(SIZE)
        other = 0.3 * target + self._drawn(SOURCES, SIZE)
        self._weights = torch.cat([target.expand(GOOD, -1), other[GOOD:HARMFUL], -target[None]])
        self._weights = 3 * self._weights / self._weights.norm(dim=1, keepdim=True)
        self._shown = torch.ones(SOURCES, SIZE, dtype=torch.float64)
        self._shown[0, SIZE // 2 :] = 0.0
        self._shown[1, : SIZE // 2] = 0.0
        everything = torch.ones(SIZE, dtype=torch.float64)
        self.dev, self.test = (self._of(self._weights[0], everything, number) for number in (200, 4000))

    def _drawn(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self._generator, dtype=torch.float64)

    def _of(self, weights: Tensor, shown: Tensor, number: int) -> tuple[Tensor, Tensor]:
        seen = self._drawn(number, SIZE) * shown
        chance = torch.rand(number, generator=self._generator, dtype=torch.float64)
        return seen, (chance < (seen @ weights).sigmoid()).double()

    def proxies(self, start: Tensor, rate: float = 0.3) -> Tensor:
        """θ' of each source after some steps of logistic regression on it alone `[SOURCES, SIZE]`."""
        found = start.repeat(SOURCES, 1)
        for _ in range(STEPS):
            for source, (weights, shown) in enumerate(zip(self._weights, self._shown, strict=True)):
                seen, label = self._of(weights, shown, BATCH)
                found[source] += rate * seen.T @ (label - (seen @ found[source]).sigmoid()) / BATCH
        return found


def loss(theta: Tensor, samples: tuple[Tensor, Tensor]) -> Tensor:
    """Of logistic regression, by each θ `[..., SIZE]`, `[...]`."""
    seen, label = samples
    return torch.nn.functional.softplus((1 - 2 * label) * (theta @ seen.T)).mean(-1)


def drawn(
    seed: int, shares: Tensor | None = None, rate: float = 10.0, rounds: int = ROUNDS_OF
) -> tuple[Tensor, Tensor]:
    """θ and the shares after some rounds; with `shares` these stay, else they follow the influences.

    Args:
        seed: of everything.
        shares: P of a static mixture; None: Inf-DDS, from a uniform one.
        rate: η.
        rounds: how many.
    """
    sources, theta = Sources(seed), torch.zeros(SIZE, dtype=torch.float64)
    scores = torch.zeros(SOURCES, dtype=torch.float64) if shares is None else shares.double().log()
    for _ in range(rounds):
        proxies = sources.proxies(theta)
        if shares is None:
            influences = source_influences(loss(theta, sources.dev)[None], loss(proxies, sources.dev)[:, None])
            scores = next_scores(scores, influences, rate)
        theta = reptile_step(theta, proxies, scores.softmax(0))
    return theta, scores.softmax(0)


def sampled(seed: int, shares: Tensor | None = None) -> Mapping[str, float]:
    """What comes of a mixture."""
    theta, final = drawn(seed, shares)
    return told(seed, theta, final)


def told(seed: int, theta: Tensor, shares: Tensor) -> Mapping[str, float]:
    """Accuracy on the target, and what was drawn."""
    seen, label = Sources(seed).test
    return {
        "accuracy": float(((seen @ theta > 0).double() == label).double().mean()),
        "share of the good": float(shares[:GOOD].sum()),
        "share of the harmful": float(shares[HARMFUL]),
    }


def best_static(seed: int) -> Mapping[str, float]:
    """Of seven static mixtures (all alike, one alone), each with a seventh of the rounds, the best by the dev set."""
    grid = [torch.full((SOURCES,), 1 / SOURCES), *torch.eye(SOURCES).clamp(min=1e-12)]
    tried = [drawn(seed, one, rounds=round(ROUNDS_OF / len(grid))) for one in grid]
    return told(seed, *min(tried, key=lambda pair: float(loss(pair[0], Sources(seed).dev))))


UNIFORM, BY_SIZE = torch.full((SOURCES,), 1 / SOURCES), torch.as_tensor(SIZES / SIZES.sum())
ONLY_GOOD = torch.tensor([1.0 / GOOD] * GOOD + [1e-12] * (SOURCES - GOOD))


def _follows_the_influence(found: Found) -> bool:
    return (
        all(found.above("Inf-DDS", other, "accuracy") for other in ("uniform", "by size", "best static"))
        and found.interval("Inf-DDS", "share of the good")[0] > 2 * GOOD / SOURCES
        and found.interval("Inf-DDS", "share of the harmful")[1] < 0.02
    )


INF_DDS = Check(
    row=141,
    name="influence-guided-mixture-sampler",
    claim="Of six sources, sampling by influence ends with more accuracy on the target than uniform sampling, sampling "
    "by size and the best of seven static mixtures, with as many steps; the two good sources have more than twice "
    "their share, and the harmful one, which is the largest, less than 0.02.",
    arms={
        "uniform": partial(sampled, shares=UNIFORM),
        "by size": partial(sampled, shares=BY_SIZE),
        "best static": best_static,
        "the good ones": partial(sampled, shares=ONLY_GOOD),
        "Inf-DDS": sampled,
    },
    holds=_follows_the_influence,
    units={"accuracy": "share of samples", "share of the good": "of samples", "share of the harmful": "of samples"},
)
