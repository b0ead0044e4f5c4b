"""Check of behaviours from words, nothing learnt: a grid, forward-backward policies, and frames that look otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.tabular import Floats, grid
from learners.objectives.forward_backward import forward_backward, orthonormality, task_vector
from rewards.cosines import cosines
from rewards.sources.imagined_states import projected

SIZE, ACTIONS, NUMBERS, HIDDEN, GAMMA = 5, 5, 16, 96, 0.9
STATES = SIZE**2
STEPS, BATCH = 2500, 96
SIGHT, SEEN, FRAMES, BEHAVIOURS, LONGEST = 12, 400, 8, 20, 16
"""Numbers of an observation, how many the agent has, frames of an imagination, behaviours and steps of each."""


def _moves() -> Tensor:
    """Where each move leads `[S, 5]`: up, down, left, right, and staying."""
    towards = grid(SIZE).transition.argmax(-1)
    return torch.as_tensor(np.concatenate([towards, np.arange(STATES)[:, None]], 1))


MOVES = _moves()


class Learnt(NamedTuple):
    """Networks of F and B, over numbers of states."""

    of_forward: nn.Sequential
    of_backward: nn.Sequential

    def forward(self, state: Tensor, z: Tensor) -> Tensor:
        """F of all actions `[N, A, d]`."""
        found: Tensor = self.of_forward(torch.cat([F.one_hot(state, STATES).float(), z], -1))
        return found.view(len(state), ACTIONS, NUMBERS)

    def backward(self, state: Tensor) -> Tensor:
        """B, of length √d `[N, d]`."""
        found: Tensor = NUMBERS**0.5 * F.normalize(self.of_backward(F.one_hot(state, STATES).float()), dim=-1)
        return found

    def act(self, state: Tensor, z: Tensor) -> Tensor:
        """What π_z does `[N]`."""
        return (self.forward(state, z) * z[:, None]).sum(-1).argmax(-1)


@cache
def learnt(seed: int) -> Learnt:
    """From random steps, without any reward."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    now = Learnt(
        nn.Sequential(
            nn.Linear(STATES + NUMBERS, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, ACTIONS * NUMBERS),
        ),
        nn.Sequential(nn.Linear(STATES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, NUMBERS)),
    )
    slow, every = deepcopy(now), torch.arange(BATCH)
    optimiser = torch.optim.Adam([*now.of_forward.parameters(), *now.of_backward.parameters()], 1e-3)
    for _ in range(STEPS):
        state, other = torch.randint(STATES, (2, BATCH), generator=generator)
        action = torch.randint(ACTIONS, (BATCH,), generator=generator)
        after = MOVES[state, action]
        with torch.no_grad():  # tasks are goals, or anything
            anything = NUMBERS**0.5 * F.normalize(torch.randn(BATCH, NUMBERS, generator=generator), dim=-1)
            z = torch.where(torch.rand(BATCH, 1, generator=generator) < 0.5, now.backward(other), anything)
            ahead = slow.forward(after, z)[every, slow.act(after, z)]
        backward = now.backward(after)
        loss = forward_backward(now.forward(state, z)[every, action], backward, ahead, slow.backward(after), GAMMA)
        optimiser.zero_grad()
        (loss + orthonormality(backward)).backward()
        optimiser.step()
        with torch.no_grad():
            for network, copy in zip(now, slow, strict=True):
                for parameter, follows in zip(network.parameters(), copy.parameters(), strict=True):
                    follows.lerp_(parameter, 0.01)
    return now


def behaviours(random: np.random.Generator) -> list[Floats]:
    """Each is to be in one of three neighbouring states of a row or a column; all others are 0 `[S]`."""
    found = []
    for _ in range(BEHAVIOURS):
        one, first = random.integers(0, SIZE), random.integers(0, SIZE - 2)
        where = np.zeros((SIZE, SIZE))
        where[one, first : first + 3] = 1 / 3
        found.append((where if random.random() < 0.5 else where.T).ravel())
    return found


def followed(seed: int, arm: str) -> Mapping[str, float]:
    """How often a policy that is named by words is where the words would have it.

    Args:
        seed: of everything.
        arm: `imagined` frames, `one frame`, `similarity` to the words as a reward, or the `true` states.
    """
    random, of = np.random.default_rng(seed), learnt(seed)
    look = random.normal(size=(STATES, SIGHT))
    at = random.integers(0, STATES, SEEN)
    seen = look[at] + 0.3 * random.normal(size=(SEEN, SIGHT))
    style = np.eye(SIGHT) + 0.15 * random.normal(size=(SIGHT, SIGHT))  # frames are drawn otherwise than the world
    backward = of.backward(torch.as_tensor(at)).detach()
    inside = []
    for wanted in behaviours(random):
        shown = random.choice(STATES, FRAMES, p=wanted)
        frames = look[shown] @ style + 0.8 * random.normal(size=(FRAMES, SIGHT))
        words = wanted @ look @ style + 0.3 * random.normal(size=SIGHT)
        start = torch.as_tensor(random.integers(0, STATES, 4))
        if arm == "similarity":
            alike = cosines(seen, words[None])[:, 0]
            z = task_vector(backward, torch.as_tensor(alike - alike.mean(), dtype=torch.float32))
        elif arm == "true":
            z = task_vector(of.backward(torch.as_tensor(shown)).detach())
        else:
            z = task_vector(backward[projected(frames[:1] if arm == "one frame" else frames, seen)])
        state, visits = start, []
        for _ in range(LONGEST):
            with torch.no_grad():
                state = MOVES[state, of.act(state, z.expand(len(state), -1))]
            visits.append(wanted[state.numpy()] > 0)
        inside.append(np.mean(visits[LONGEST // 2 :]))  # after the time that the way there may take
    return {
        "steps where it should be": float(np.mean(inside)),
        "behaviours done": float(np.mean(np.array(inside) > 0.9)),
    }


def _understood(found: Found) -> bool:
    return all(
        found.above("imagined frames", other, "steps where it should be") for other in ("one frame", "similarity")
    )


RL_ZERO = Check(
    row=59,
    name="imagine-project-imitate",
    claim="Of a behaviour that is named by words, a policy that imitates imagined frames, brought to its own "
    "observations, is more often where it should be than one that imitates a single frame, and than one whose reward "
    "is how similar its observations are to the words; nothing is learnt in between.",
    arms={
        "imagined frames": lambda seed: followed(seed, "imagined"),
        "one frame": lambda seed: followed(seed, "one frame"),
        "similarity": lambda seed: followed(seed, "similarity"),
        "true states": lambda seed: followed(seed, "true"),
    },
    holds=_understood,
    units={"steps where it should be": "share of steps", "behaviours done": "share of behaviours"},
)
