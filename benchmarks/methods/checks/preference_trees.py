"""Check of what is compared: answers from nothing, or leaves of trees whose beginnings are shared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from learners.language.reward_losses import bradley_terry
from rewards.data.preference_trees import grow, leaf_pairs, tree_segments
from rewards.evaluation.inference_distance import difference_variance

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Answer = tuple[int, ...]
NOTHING: Answer = ()

LENGTH, CHOICES, BRANCHING, TREES = 4, 8, 2, 2
"""Segments of an answer, kinds of segments at each place, branching, and trees for each world."""
COMPARISONS, WORLDS, FRESH, BEST_OF = 64, 60, 400, 16
"""Comparisons that each reward model learns from, worlds a seed, fresh pairs, and answers that it chooses from."""
SEGMENTS = TREES * tree_segments(BRANCHING, LENGTH)
"""That are written for the trees of one world."""
Topology = Literal["chain", "fresh", "tree"]


def features(answers: Ints) -> Floats:
    """One number for each kind of segment at each place `[..., LENGTH · CHOICES]`."""
    return np.eye(CHOICES)[answers].reshape(*answers.shape[:-1], -1)


def written(random: np.random.Generator, number: int) -> Ints:
    """Answers from nothing `[number, LENGTH]`."""
    return random.integers(0, CHOICES, (number, LENGTH))


def compared(topology: Topology, random: np.random.Generator) -> tuple[Ints, Ints]:
    """The first and the second answers of the pairs to be compared `[COMPARISONS, LENGTH]`.

    `chain`: pairs of as many answers from nothing as there are segments for; `fresh`: every pair two new answers, which
    is many more segments; `tree`: pairs of leaves of the same tree.
    """
    if topology == "fresh":
        return written(random, COMPARISONS), written(random, COMPARISONS)
    if topology == "chain":
        answers = written(random, SEGMENTS // LENGTH)
        pairs = leaf_pairs(len(answers), 1, COMPARISONS, random)  # leaves that share nothing
        return answers[pairs[:, 0]], answers[pairs[:, 1]]

    def write(beginnings: Sequence[Answer]) -> list[Answer]:
        return [(*begun, int(random.integers(CHOICES))) for begun in beginnings]

    sides = list[Ints]()
    for _ in range(TREES):
        leaves = np.array(grow(NOTHING, write, BRANCHING, LENGTH))
        sides.append(leaves[leaf_pairs(BRANCHING, LENGTH, COMPARISONS // TREES, random)])
    both = np.concatenate(sides)
    return both[:, 0], both[:, 1]


def fitted(apart: Floats, first_chosen: NDArray[np.bool_], steps: int = 300) -> Floats:
    """Weights of reward models by their comparisons, one for each world, with what is true beforehand `[W, F]`.

    Args:
        apart: features of the first answers less those of the second `[W, n, F]`.
        first_chosen: labels `[W, n]`.
        steps: of gradient.
    """
    x = torch.as_tensor(np.where(first_chosen[..., None], apart, -apart), dtype=torch.float32)
    weights = torch.zeros(len(x), x.shape[-1], requires_grad=True)
    optimiser = torch.optim.Adam([weights], 0.05)
    for _ in range(steps):
        gap = (x @ weights[..., None])[..., 0]
        losses = bradley_terry(gap, torch.zeros_like(gap)).sum(1) + weights.square().sum(1) / 2
        optimiser.zero_grad()
        losses.sum().backward()
        optimiser.step()
    return weights.detach().double().numpy()


def learnt(seed: int, topology: Topology) -> Mapping[str, float]:
    """How far reward models are from the truth, over some worlds in which each kind of segment has its own worth."""
    random = np.random.default_rng(seed)
    truth = random.normal(size=(WORLDS, LENGTH * CHOICES))
    pairs = [compared(topology, random) for _ in range(WORLDS)]
    apart = np.stack([features(first) - features(second) for first, second in pairs])
    chance = 1 / (1 + np.exp(-(apart @ truth[..., None])[..., 0]))
    weights = fitted(apart, random.random(chance.shape) < chance)

    later = np.random.default_rng(9000 + seed)
    asked = features(written(later, FRESH)) - features(written(later, FRESH))
    error = ((weights - truth) @ asked.T).var(1) / (truth @ asked.T).var(1)
    choices = features(written(later, BEST_OF * 50)).reshape(50, BEST_OF, -1)
    best = np.einsum("cbf,wf->wcb", choices, weights).argmax(-1)
    gained = np.take_along_axis(np.einsum("cbf,wf->wcb", choices, truth), best[..., None], -1)
    return {
        "error": float(error.mean()),
        f"best of {BEST_OF}": float(gained.mean()),
        "inference distance": float(np.mean([difference_variance(one, asked, precision=1.0).mean() for one in apart])),
        "segments": float(2 * COMPARISONS * LENGTH if topology == "fresh" else SEGMENTS),
    }


def _surer(found: Found) -> bool:
    return (
        found.below("tree", "chain", "error")
        and found.above("tree", "chain", f"best of {BEST_OF}")
        and found.below("tree", "chain", "inference distance")
    )


TOPOLOGY = Check(
    row=146,
    name="tree-structured-preference-data",
    claim="From as many comparisons and as many segments, a reward model is nearer to the truth, chooses better ones "
    "of 16 answers, and has a smaller inference distance where leaves of trees are compared, and not answers from "
    "nothing.",
    arms={
        "chain": partial(learnt, topology="chain"),
        "chain, fresh answers": partial(learnt, topology="fresh"),
        "tree": partial(learnt, topology="tree"),
    },
    holds=_surer,
    units={
        "error": "of the variance of true differences",
        f"best of {BEST_OF}": "true reward",
        "segments": "written a world",
    },
)
