"""Check of mixtures of experts in a learner in context: a dark room whose goals are new."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from actors.expert_layers import Branches, TokenAndTask
from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.dark_room import FEATURES, LENGTH, MOVES, STEPS, Ints, Rooms, goals, histories
from learners.objectives.expert_routing import balance, task_contrast
from learners.objectives.return_conditioned import conditioned_loss
from learners.weights import follow

SIZE, HEADS, HIDDEN, BY_TOKEN, BY_TASK = 32, 4, 24, 4, 8
TRAINED, TASKS, UPDATES, RUNS = 0.8, 12, 450, 16
BALANCE, CONTRAST, FOLLOWS = 0.1, 0.1, 0.005
"""Weights of the two losses, and how fast the key router follows."""


class Learner(nn.Module):
    """A causal transformer of two layers over what was seen; the second one's network is dense, or of experts."""

    def __init__(self, experts: bool) -> None:
        """Random weights; as many of them are used for a token either way, but for the routers."""
        super().__init__()
        self.seen = nn.Linear(FEATURES, SIZE)
        self.place = nn.Parameter(0.02 * torch.randn(STEPS, SIZE))
        self.norms = nn.ModuleList(nn.LayerNorm(SIZE) for _ in range(5))
        self.attention = nn.ModuleList(nn.MultiheadAttention(SIZE, HEADS, batch_first=True) for _ in range(2))
        self.first = dense()
        self.second = TokenAndTask(SIZE, HIDDEN, BY_TOKEN, BY_TASK) if experts else dense()
        self.head = nn.Linear(SIZE, len(MOVES))
        self.similarity = nn.Parameter(torch.randn(BY_TASK, BY_TASK))

    def forward(self, seen: Tensor) -> tuple[Tensor, Branches | None]:
        """Logits of actions `[B, T, A]`, and how the experts were chosen, where there are some."""
        steps = seen.shape[1]
        ahead = torch.ones(steps, steps, dtype=torch.bool).triu(1)
        found = self.seen(seen) + self.place[:steps]
        for at, attention in enumerate(self.attention):
            normed = self.norms[2 * at](found)
            found = found + attention(normed, normed, normed, attn_mask=ahead, need_weights=False)[0]
            normed = self.norms[2 * at + 1](found)
            made = (self.first, self.second)[at](normed)
            found = found + (made.outputs if isinstance(made, Branches) else made)
        return self.head(self.norms[4](found)), made if isinstance(made, Branches) else None


def dense() -> nn.Sequential:
    """A network as large as two experts for tokens and two for tasks, each of which gives half of the output."""
    inner = 3 * HIDDEN
    return nn.Sequential(nn.Linear(SIZE, inner), nn.LeakyReLU(), nn.Linear(inner, SIZE))


def shared_information(one: Ints, other: Ints) -> float:
    """Normalised mutual information of two ways to sort the same things `[n]`: 2 I / (H + H'); 0 where all is one."""
    both = np.zeros((one.max() + 1, other.max() + 1))
    np.add.at(both, (one, other), 1 / len(one))
    entropies = [float(-(p[p > 0] * np.log(p[p > 0])).sum()) for p in (both.sum(1), both.sum(0), both.ravel())]
    apart = entropies[0] + entropies[1]
    return 2 * (apart - entropies[2]) / apart if apart else 0.0


def heard(routed: Branches) -> Ints:
    """Which experts a whole history's task is heard by, as one number for each set of them `[B]`."""
    sets = (routed.task.weights[:, -1] > 0).numpy()
    return np.asarray(np.unique(sets, axis=0, return_inverse=True)[1]).ravel()


def returns(model: Learner, goal: Ints, generator: torch.Generator) -> Tensor:
    """What each step is paid in rooms with those goals `[B, STEPS]`; the model learns of what it did, and not else."""
    rooms, seen, paid = Rooms(goal), [], []
    for _ in range(STEPS):
        seen.append(torch.as_tensor(rooms.seen(), dtype=torch.float32))
        chances = model(torch.stack(seen, 1))[0][:, -1].softmax(-1)
        paid.append(torch.as_tensor(rooms.act(torch.multinomial(chances, 1, generator=generator)[:, 0].numpy())))
    return torch.stack(paid, 1)


def in_context(seed: int, experts: bool, contrast: float = CONTRAST) -> Mapping[str, float]:
    """Learn from histories in four fifths of the rooms, and then act in the others.

    Args:
        seed: of everything.
        experts: whether the second layer is of experts.
        contrast: weight of telling tasks apart.
    """
    random, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    every = random.permutation(goals())
    known, new = np.split(every, [round(TRAINED * len(every))])
    model = Learner(experts)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(UPDATES):
        goal = known[random.permutation(len(known))[:TASKS]]
        seen, done = histories(np.concatenate([goal, goal]), random)  # two histories of each task
        actions = torch.as_tensor(done)
        logits, routed = model(torch.as_tensor(seen, dtype=torch.float32))
        loss = conditioned_loss(logits, actions, torch.ones_like(actions, dtype=torch.bool))
        if routed is not None:
            one, other = routed.task.logits[:, -1].softmax(-1).split(TASKS)
            key, other_key = routed.key[:, -1].softmax(-1).split(TASKS)
            apart = task_contrast(one, other_key, model.similarity) + task_contrast(other, key, model.similarity)
            loss = loss + BALANCE * balance(routed.token.weights, routed.token.load) + contrast * apart / 2
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if isinstance(model.second, TokenAndTask):
            follow(model.second.key_router, model.second.task_router, FOLLOWS)
    model.eval()
    with torch.no_grad():
        paid = returns(model, np.repeat(new, RUNS, 0), generator)
        which = np.arange(len(known)).repeat(RUNS)
        seen, _ = histories(known[which], random)
        routed = model(torch.as_tensor(seen, dtype=torch.float32))[1]
    # A dense network routes nothing, and so tells nothing.
    told = 0.0 if routed is None else shared_information(heard(routed), which)
    return {
        "return in the last episode": float(paid[:, -LENGTH:].sum(1).mean()),
        "return in the first episode": float(paid[:, :LENGTH].sum(1).mean()),
        "what routing tells of the task": told,
    }


MIXED, DENSE, WITHOUT = "experts by token and task", "dense network", "experts without contrast"


def _better_routed(found: Found) -> bool:
    """More return than the dense network, and more told by routing than without the contrast."""
    return found.above(MIXED, DENSE, "return in the last episode") and found.above(
        MIXED, WITHOUT, "what routing tells of the task"
    )


T2MIR = Check(
    row=215,
    name="token-task-moe-icrl",
    claim="In rooms with new goals, a learner in context with experts by token and by task is paid more in its fourth "
    "episode than a dense one with as many weights in use, and with the contrast routing tells more of the task.",
    arms={
        MIXED: lambda seed: in_context(seed, experts=True),
        WITHOUT: lambda seed: in_context(seed, experts=True, contrast=0.0),
        DENSE: lambda seed: in_context(seed, experts=False),
    },
    holds=_better_routed,
    seeds=3,
    units={
        "return in the last episode": "paid steps",
        "return in the first episode": "paid steps",
        "what routing tells of the task": "normalised mutual information",
    },
)
