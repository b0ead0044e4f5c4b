"""Check of forward-looking detailed balance: sets drawn in proportion to exp(−energy), and the exact target."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from learners.objectives.detailed_balance import detailed_balance, residuals, trajectory_balance

ITEMS, SIZE = 12, 6


class Flow(nn.Module):
    """Which item comes next, and log F̃ of a set, from a set as zeros and ones."""

    def __init__(self, seed: int) -> None:
        """Random weights, from `seed`."""
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Linear(ITEMS, 64), nn.ReLU(), nn.Linear(64, ITEMS + 1))

    def forward(self, held: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities of items `[…, ITEMS]`, and log F̃ `[…]`."""
        found = self.body(held)
        return found[..., :ITEMS].masked_fill(held > 0, -1e9).log_softmax(-1), found[..., ITEMS]


def drawn(flow: Flow, number: int, generator: torch.Generator, explore: float = 0.05) -> tuple[Tensor, Tensor]:
    """Sets on the way `[number, SIZE + 1, ITEMS]`, and the items that were added `[number, SIZE]`."""
    held, states, items = torch.zeros(number, ITEMS), [], []
    states.append(held)
    for _ in range(SIZE):
        with torch.no_grad():
            chance = flow(held)[0].exp()
        free = (held == 0).float()
        mixed = (1 - explore) * chance + explore * free / free.sum(-1, keepdim=True)
        item = torch.multinomial(mixed, 1, generator=generator)
        held = held.scatter(1, item, 1.0)
        states.append(held)
        items.append(item[:, 0])
    return torch.stack(states, 1), torch.stack(items, 1)


def exact(flow: Flow) -> dict[tuple[int, ...], float]:
    """Chance of each set, summed over all orders."""
    chance: dict[tuple[int, ...], float] = {(): 1.0}
    for size in range(SIZE):
        sets = [s for s in chance if len(s) == size]
        held = torch.zeros(len(sets), ITEMS)
        for row, members in enumerate(sets):
            held[row, list(members)] = 1.0
        with torch.no_grad():
            forward = flow(held)[0].exp().numpy()
        for row, members in enumerate(sets):
            for item in set(range(ITEMS)) - set(members):
                larger = tuple(sorted((*members, item)))
                chance[larger] = chance.get(larger, 0.0) + chance[members] * float(forward[row, item])
    return {s: p for s, p in chance.items() if len(s) == SIZE}


def distance(seed: int, objective: str, cut: bool = False, steps: int = 150, batch: int = 16) -> Mapping[str, float]:
    """How far the drawn sets are from the target after training.

    Args:
        seed: of everything.
        objective: `db` and `tb` know the energy of whole sets only, `fl` of each on the way.
        cut: whether every second trajectory is cut at a random place.
        steps: of gradient.
        batch: trajectories a step.
    """
    cost = torch.as_tensor(np.random.default_rng(seed).normal(0, 1.5, ITEMS), dtype=torch.float32)
    generator = torch.Generator().manual_seed(seed)
    flow = Flow(seed)
    optimiser = torch.optim.Adam(flow.parameters(), 3e-3)
    backward = -torch.arange(1, SIZE + 1).float().log().expand(batch, -1)  # any item may have been the last
    weight = {s: float(np.exp(-cost[list(s)].sum())) for s in combinations(range(ITEMS), SIZE)}
    total = sum(weight.values())
    away = []
    for step in range(1, steps + 1):
        states, items = drawn(flow, batch, generator)
        length = torch.full((batch,), SIZE)
        if cut:
            length[::2] = torch.randint(1, SIZE + 1, (batch // 2,), generator=generator)
        mask = torch.arange(SIZE) < length[:, None]
        forward, log_flow = flow(states)
        chosen = forward[:, :-1].gather(-1, items[..., None])[..., 0]
        energy = states @ cost
        if objective != "fl":
            energy = torch.cat([torch.zeros(batch, SIZE), energy[:, -1:]], 1)
        residual = residuals(log_flow, chosen, backward, energy, mask, length == SIZE)
        loss = trajectory_balance(residual).mean() if objective == "tb" else detailed_balance(residual, mask)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 0:
            found = exact(flow)
            away.append(sum(abs(found[s] - w / total) for s, w in weight.items()))
    modes = sorted(weight, key=lambda s: -weight[s])[:50]
    return {
        "L1 distance": away[-1],
        "L1 distance on the way": float(np.mean(away)),
        "modes": sum(found[s] > 0.5 * weight[s] / total for s in modes),
    }


def _nearest(found: Found) -> bool:
    """On the way, also with every second trajectory cut."""
    others = ("detailed balance", "trajectory balance")
    mine = ("forward-looking", "forward-looking, half cut")
    return all(found.below(one, other, "L1 distance on the way") for one in mine for other in others)


FL_GFN = Check(
    row=132,
    name="forward-looking-detailed-balance",
    claim="Over the first 150 steps, sets are drawn nearer to their target with forward-looking detailed balance than "
    "with detailed or trajectory balance, also where every second trajectory is cut.",
    arms={
        "detailed balance": lambda seed: distance(seed, "db"),
        "trajectory balance": lambda seed: distance(seed, "tb"),
        "forward-looking": lambda seed: distance(seed, "fl"),
        "forward-looking, half cut": lambda seed: distance(seed, "fl", cut=True),
    },
    holds=_nearest,
    units={"L1 distance": "probability", "L1 distance on the way": "probability", "modes": "of the 50 likeliest sets"},
)
