"""Check of a reward that is blended from two: a grid with a far goal, and help that helps, does nothing, or misleads.

Gradients are exact: the world is known, so a gain in them is one of the reward and not of sampling.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import MDP, Floats, grid
from learners.objectives.behaviour_alignment import alignment_reward, implicit_gradient

SIZE, GAMMA, UPDATES, RATE, PRICE = 4, 0.95, 300, 0.05, 0.01
"""Of the grid its side and discount; policy updates, their rate, and what entropy is worth."""
EVERY, TERMS, ETA, OUTER_RATE, SHORT = 3, 10, 0.5, 0.1, 0.01
"""Policy updates to an outer one, terms of the series, its step, length of an outer step, and λ, the price of γ_φ."""
BETAS = (0.9, 0.9)
"""Of Adam: gradients are exact, and become a thousand times smaller on the way."""
HELP = ("helpful", "irrelevant", "misleading")


def auxiliary(kind: str, mdp: MDP, random: np.random.Generator) -> Floats:
    """What a designer pays beside the goal `[S, A]`: for steps towards it, for nothing in particular, or to stay away.

    Args:
        kind: one of HELP.
        mdp: the grid.
        random: of what is irrelevant.
    """
    row, column = np.divmod(np.arange(SIZE**2), SIZE)
    nearer = (row + column)[None, None, :] - (row + column)[:, None, None]
    if kind == "irrelevant":
        return 0.1 * random.normal(size=mdp.expected.shape)
    found: Floats = (mdp.transition * nearer).sum(-1)
    if kind == "helpful":
        return 0.1 * found
    return 0.1 * np.repeat((row + column <= 1).astype(float)[:, None], 4, 1)  # for being where one begins


class World:
    """The grid in torch, and what a policy is worth in it, exactly."""

    def __init__(self, mdp: MDP) -> None:
        """From the process."""
        self.transition, self.start = torch.as_tensor(mdp.transition), torch.as_tensor(mdp.start)
        self.primary, self.alive = torch.as_tensor(mdp.expected), torch.as_tensor(~mdp.terminal).double()

    def worth(self, theta: Tensor, reward: Tensor, gamma: Tensor | float, price: float = 0.0) -> Tensor:
        """Discounted return of a softmax policy of logits `[S · A]` under a reward `[S, A]`, and entropy at a price."""
        policy = theta.view(reward.shape).softmax(-1)
        step = torch.einsum("sa,sat->st", policy, self.transition) * self.alive[:, None]
        paid = (policy * (reward - price * policy.log())).sum(1) * self.alive
        found: Tensor = self.start @ torch.linalg.solve(torch.eye(len(paid), dtype=paid.dtype) - gamma * step, paid)
        return found


def learnt(seed: int, arm: str, kind: str) -> tuple[float, float, float]:
    """Share of the best primary return at the end and on the way, and the weight of the auxiliary reward.

    Args:
        seed: of the first policy, and of help that is irrelevant.
        arm: `primary`, `sum`, or `BARFI`.
        kind: of help.
    """
    random = np.random.default_rng(seed)
    mdp = grid(SIZE, GAMMA, slip=0.1)
    world, best = World(mdp), mdp.worth(mdp.solve())
    helping = torch.as_tensor(auxiliary(kind, mdp, random))
    theta = torch.as_tensor(0.3 * random.normal(size=helping.numel())).requires_grad_()
    base = torch.zeros_like(helping, requires_grad=True)
    weights = [torch.tensor(float(w), dtype=torch.float64) for w in (1.0, arm != "primary")]
    horizon = torch.tensor(np.log(GAMMA / (1 - GAMMA)))  # γ_φ is its logistic function
    phi = [base, *(weight.requires_grad_() for weight in weights), horizon.requires_grad_()]
    steps = torch.optim.Adam([theta], RATE, BETAS)
    outer_steps = torch.optim.SGD(phi, OUTER_RATE)
    curve = []
    for update in range(1, UPDATES + 1):
        blended = alignment_reward(base, (weights[0], weights[1]), world.primary, helping)
        gain = world.worth(theta, blended, horizon.sigmoid(), PRICE)
        last = arm == "BARFI" and update % EVERY == 0
        (direction,) = torch.autograd.grad(gain, theta, create_graph=last)
        if last:
            wanted = world.worth(theta, world.primary, GAMMA) - SHORT * horizon.sigmoid()
            slopes = implicit_gradient(wanted, direction, theta, phi, ETA, TERMS)
            size = torch.cat([slope.flatten() for slope in slopes]).norm() + 1e-12
            for parameter, slope in zip(phi, slopes, strict=True):
                parameter.grad = -slope / size
            outer_steps.step()
        theta.grad = -direction.detach()
        steps.step()
        with torch.no_grad():
            curve.append(float(world.worth(theta, world.primary, GAMMA)) / best)
    return curve[-1], float(np.mean(curve)), float(weights[1].detach())


def blended(seed: int, arm: str) -> Mapping[str, float]:
    """All kinds of help."""
    found = {kind: learnt(seed, arm, kind) for kind in HELP}
    return {
        **{kind: end for kind, (end, _, _) in found.items()},
        **{f"{kind}, on the way": way for kind, (_, way, _) in found.items()},
        **{f"{kind}, weight": weight for kind, (_, _, weight) in found.items()},
    }


def _robust(found: Found) -> bool:
    """Not below the primary reward by more than 0.02, above the sum where that misleads, with weights that say so."""
    safe = all((found.difference("BARFI", "primary alone", kind).low or 0.0) > -0.02 for kind in HELP)
    return (
        safe
        and found.above("BARFI", "sum", "misleading")
        and found.interval("BARFI", "helpful, weight")[0] > 1.0
        and found.interval("BARFI", "misleading, weight")[1] < 1.0
    )


BARFI = Check(
    row=4,
    name="bilevel-behavior-alignment-reward",
    claim="With help that helps, that is irrelevant and that misleads, a policy learns from the blended reward to "
    "within 0.02 of what it learns from the primary reward alone or better, and better than from the sum of both where "
    "that misleads; the weight of the help goes up from 1 where it helps, and down where it misleads.",
    arms={
        "primary alone": lambda seed: blended(seed, "primary"),
        "sum": lambda seed: blended(seed, "sum"),
        "BARFI": lambda seed: blended(seed, "BARFI"),
    },
    holds=_robust,
    units={name: "share of the best return" for kind in HELP for name in (kind, f"{kind}, on the way")},
)
