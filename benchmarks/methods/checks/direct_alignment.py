"""Check of over-optimisation without a reward model: a policy over many answers that prefers in a straight line.

An answer is a few numbers. It is worth the more of the first one the better, up to a point; the policy's log-ratio is
linear in all of them, so it goes on in the direction that was right where it began.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from learners.language.preferences import dpo, hinge, ipo
from rewards.evaluation.overoptimisation import Path, fit_law

ANSWERS, SIZE, PAIRS, BATCH, RATE = 20_000, 6, 2000, 20, 0.05
BETAS = (0.03, 0.1, 0.3, 1.0)
BEND = 0.25
"""How soon more of the first number is too much: the most is worth having at 1 / (2 · BEND)."""
FAR = 4.0
"""KL at which methods are compared, in nats."""
Loss = Callable[[Tensor, float], Tensor]


def aligned(seed: int, loss: Loss, squares: bool = False) -> Mapping[str, float]:
    """Gold reward over KL in one epoch of preference pairs, at several β.

    Args:
        seed: of answers, pairs and labels.
        loss: of margins of a pair's log-ratios `[P]`, and β.
        squares: whether the policy also reads the squares of an answer's numbers, and can tell how much is too much.
    """
    random = np.random.default_rng(seed)
    answers = random.normal(size=(ANSWERS, SIZE))
    gold = answers[:, 0] - BEND * answers[:, 0] ** 2
    pairs = random.integers(0, ANSWERS, (PAIRS, 2))
    gap = gold[pairs[:, 0]] - gold[pairs[:, 1]]
    first = random.random(PAIRS) < 1 / (1 + np.exp(-gap))
    pairs = np.where(first[:, None], pairs, pairs[:, ::-1])
    seen = np.concatenate([answers, answers**2], 1) if squares else answers
    read = torch.as_tensor(seen - seen.mean(0))
    chosen, rejected = torch.as_tensor(pairs.T.copy())
    worth = torch.as_tensor(gold - gold.mean())  # over that of the reference, which draws all answers alike
    paths, left = [], 0.0
    for beta in BETAS:
        weights = torch.zeros(read.shape[1], dtype=torch.float64, requires_grad=True)
        optimiser = torch.optim.Adam([weights], RATE)
        kl, gained = [0.0], [0.0]
        for start in range(0, PAIRS, BATCH):
            rows = slice(start, start + BATCH)
            margin = (read[chosen[rows]] - read[rejected[rows]]) @ weights
            optimiser.zero_grad()
            loss(margin, beta).mean().backward()
            optimiser.step()
            with torch.no_grad():
                log_ratio = (read @ weights).log_softmax(0) + np.log(ANSWERS)
                policy = log_ratio.exp() / ANSWERS
                kl.append(float(policy @ log_ratio))
                gained.append(float(policy @ worth))
        paths.append(Path(np.array(kl), np.array(gained)))
        if beta == BETAS[0]:
            left = float(log_ratio[chosen].mean())
    law = fit_law(np.concatenate([path.kl for path in paths]), np.concatenate([path.gold for path in paths]))
    least = paths[0]  # of the smallest β
    return {
        "R² of the law": law.r2 or 0.0,
        "peak": float(least.gold.argmax()) / (len(least.gold) - 1),
        "gain at the peak": float(least.gold.max()),
        "lost at the end": least.drop,
        "gain at KL 4": least.at(FAR),
        "log-ratio of the chosen": left,
    }


DAA = ("DPO", "IPO", "SLiC")


def _as_with_a_reward_model(found: Found) -> bool:
    """A law that fits, a peak before the epoch is over and a loss after it; IPO keeps the most at the same KL."""
    humps = all(
        found.interval(arm, "R² of the law")[0] > 0.8
        and found.interval(arm, "peak")[1] < 1.0
        and found.interval(arm, "lost at the end")[0] > 0.1
        for arm in DAA
    )
    return humps and all(found.above("IPO", other, "gain at KL 4") for other in ("DPO", "SLiC"))


SCALING = Check(
    row=47,
    name="daa-overoptimisation-scaling",
    claim="Over four β of DPO, of IPO and of SLiC the law D (a − b log D) fits the gold reward with R² above 0.8; at "
    "the smallest β the highest gold is reached before the first epoch is over and more than 0.1 is lost after it, and "
    "at the same KL IPO keeps more of it than the other two.",
    arms={
        "DPO": lambda seed: aligned(seed, dpo),
        "IPO": lambda seed: aligned(seed, ipo),
        "SLiC": lambda seed: aligned(seed, hinge),
        "DPO, a policy that reads squares": lambda seed: aligned(seed, dpo, squares=True),
    },
    holds=_as_with_a_reward_model,
    units={
        "R² of the law": "share of variance",
        "peak": "share of the epoch",
        "gain at the peak": "gold",
        "lost at the end": "gold",
        "gain at KL 4": "gold",
        "log-ratio of the chosen": "nats",
    },
)
