"""Check of an agent that evolves by stored episodes: cells of a grid to be visited in order, paid at the end."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.stages import in_order
from learners.language.preferences import dpo
from learners.objectives.in_distribution import InDistribution
from learners.weights import follow

Arm = Literal["weighted", "unweighted", "cloning", "preferences"]
SIZE, WANTED, LONGEST = 5, (14, 20, 3, 21), 36
MDP = in_order(WANTED, SIZE)
NEXT = torch.as_tensor(MDP.transition.argmax(-1))
"""The state after each action `[S, A]`."""
STATES, ACTIONS = NEXT.shape
END = STATES - 1
DEMONSTRATIONS, STRAY = 20, 0.5
"""How many there are, and how often their makers go astray; those who come to the end are kept."""
ROUNDS, ROLLOUTS, CRITIC_STEPS, POLICY_STEPS, BATCH = 8, 40, 150, 150, 256


@dataclass(frozen=True)
class Episodes:
    """Stored episodes, time-major.

    Attributes:
        states: `[T + 1, B]`; END behind the end.
        actions: `[T, B]`.
    """

    states: Tensor
    actions: Tensor

    @property
    def mask(self) -> Tensor:
        """Where there is a step `[T, B]`."""
        return self.states[:-1] != END

    @property
    def ended(self) -> Tensor:
        """Whether a step came to the end, which is when the reward of 1 is paid `[T, B]`."""
        return self.mask & (self.states[1:] == END)

    @property
    def success(self) -> Tensor:
        """1 or 0 of each episode `[B]`."""
        return (self.states[-1] == END).float()

    def joined(self, other: Episodes) -> Episodes:
        """These and others."""
        return Episodes(torch.cat([self.states, other.states], 1), torch.cat([self.actions, other.actions], 1))

    def those(self, which: Tensor) -> Episodes:
        """Some of them."""
        return Episodes(self.states[:, which], self.actions[:, which])


def lived(chances: Tensor, number: int, generator: torch.Generator) -> Episodes:
    """Episodes of a policy `[S, A]`."""
    states, actions = torch.zeros(LONGEST + 1, number, dtype=torch.long), torch.zeros(LONGEST, number, dtype=torch.long)
    for t in range(LONGEST):
        actions[t] = torch.multinomial(chances[states[t]], 1, generator=generator)[:, 0]
        states[t + 1] = NEXT[states[t], actions[t]]
    return Episodes(states, actions)


def demonstrations(generator: torch.Generator) -> Episodes:
    """Of those who know the way, and stray."""
    best = torch.as_tensor(MDP.solve(), dtype=torch.float32)
    found = lived((1 - STRAY) * best + STRAY / ACTIONS, 100 * DEMONSTRATIONS, generator)
    return found.those(torch.nonzero(found.success)[:DEMONSTRATIONS, 0])


def network(outputs: int) -> nn.Module:
    """Reads a state by its stage and its cell."""
    return nn.Sequential(nn.Linear(len(WANTED) + 1 + SIZE * SIZE, 64), nn.ReLU(), nn.Linear(64, outputs))


def read(states: Tensor) -> Tensor:
    """What a network is shown of states."""
    cells = SIZE * SIZE
    stage = nn.functional.one_hot(states // cells, len(WANTED) + 1)
    return torch.cat([stage, nn.functional.one_hot(states % cells, cells)], -1).float()


SEEN = read(torch.arange(STATES))


class Learner:
    """A policy, a critic, and everything that was ever stored."""

    def __init__(self, seed: int, arm: Arm) -> None:
        """Begin with demonstrations, cloned."""
        torch.manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.part = InDistribution(**InDistribution.presets["q_evolve" if arm == "weighted" else "unweighted"])
        self.policy, self.critic = network(ACTIONS), network(ACTIONS + 1)
        self.target = deepcopy(self.critic)
        self.descent = torch.optim.Adam(self.policy.parameters(), 1e-3)
        self.criticism = torch.optim.Adam(self.critic.parameters(), 3e-3)
        self.stored = demonstrations(self.generator)
        self.clone(300)

    def log_probs(self) -> Tensor:
        """Of each action in each state `[S, A]`."""
        found: Tensor = self.policy(SEEN).log_softmax(-1)
        return found

    def some(self, number: int, size: int = BATCH) -> Tensor:
        """Numbers below `number`, drawn with equal chances."""
        return torch.randint(number, (size,), generator=self.generator)

    def gather(self) -> float:
        """New episodes, stored; the share of them that succeeds."""
        with torch.no_grad():
            new = lived(self.log_probs().exp(), ROLLOUTS, self.generator)
        self.stored = self.stored.joined(new)
        return float(new.success.mean())

    def step(self, loss: Tensor) -> None:
        """One of gradient descent of the policy."""
        self.descent.zero_grad()
        loss.backward()
        self.descent.step()

    def clone(self, steps: int) -> None:
        """Filtered behaviour cloning: of all episodes that succeeded."""
        good = self.stored.those(self.stored.success > 0)
        state, action = good.states[:-1][good.mask], good.actions[good.mask]
        for _ in range(steps):
            rows = self.some(len(state))
            self.step(-self.log_probs()[state[rows], action[rows]].mean())

    def prefer(self, steps: int, pairs: int = 32) -> None:
        """DPO of successes over failures, with the policy of before for a reference."""
        before = self.log_probs().detach()
        good, bad = (torch.nonzero(self.stored.success == s)[:, 0] for s in (1, 0))
        if not len(bad):
            return
        for _ in range(steps):
            which = torch.cat([good[self.some(len(good), pairs)], bad[self.some(len(bad), pairs)]])
            own = self.stored.those(which)
            ratio = (self.log_probs() - before)[own.states[:-1], own.actions]
            better, worse = torch.where(own.mask, ratio, 0.0).sum(0).chunk(2)
            self.step(dpo(better - worse, 1.0).mean())

    def criticise(self, steps: int) -> None:
        """Implicit Q-learning on all that is stored."""
        stored, mask = self.stored, self.stored.mask
        state, after, action, ended = (
            of[mask] for of in (stored.states[:-1], stored.states[1:], stored.actions, stored.ended)
        )
        weight = self.part.weights(stored.success, mask)[mask]
        for _ in range(steps):
            rows = self.some(len(state))
            own = self.critic(SEEN[state[rows]])
            with torch.no_grad():
                slow, later = self.target(SEEN[state[rows]]), self.target(SEEN[after[rows]])
            taken = action[rows, None]
            loss = self.part.critic.critic_loss(
                own.gather(1, taken).T,
                own[:, ACTIONS:].T,
                ended[rows].float(),
                later[:, ACTIONS:].T,
                ended[rows],
                slow.gather(1, taken).T,
                weight[rows],
            )
            self.criticism.zero_grad()
            loss.backward()
            self.criticism.step()
            follow(self.target, self.critic, 0.05)

    def improve(self, steps: int) -> None:
        """Behaviour-proximal policy optimisation by the critic's process rewards."""
        stored, mask = self.stored, self.stored.mask
        with torch.no_grad():
            value = self.critic(SEEN)[:, ACTIONS][stored.states]
            before = self.log_probs()
        rewards = self.part.process_rewards(stored.ended.float(), stored.ended, value, mask)[mask]
        state, action = stored.states[:-1][mask], stored.actions[mask]
        counts = torch.ones(BATCH, dtype=torch.bool)
        for _ in range(steps):
            rows = self.some(len(state))
            at = (state[rows], action[rows])
            self.step(self.part.policy_loss(self.log_probs()[at], before[at], rewards[rows], counts))


def evolved(seed: int, arm: Arm) -> Mapping[str, float]:
    """Success of an agent round by round.

    Args:
        seed: of everything.
        arm: how it learns from what is stored.
    """
    learner = Learner(seed, arm)
    curve = list[float]()
    for _ in range(ROUNDS):
        curve.append(learner.gather())
        if arm == "cloning":
            learner.clone(CRITIC_STEPS + POLICY_STEPS)
        elif arm == "preferences":
            learner.prefer(CRITIC_STEPS + POLICY_STEPS)
        else:
            learner.criticise(CRITIC_STEPS)
            learner.improve(POLICY_STEPS)
    with torch.no_grad():
        final = lived(learner.log_probs().exp(), 400, learner.generator)
    return {
        "before": curve[0],
        "success on the way": float(np.mean(curve[1:])),
        "success": float(final.success.mean()),
        "steps": float(final.mask.float().sum(0).mean()),
    }


OTHERS = ("unweighted critic", "filtered cloning", "DPO on outcomes")


def _more_for_its_steps(found: Found) -> bool:
    """Over all rounds, each of as many episodes, the method is above all others."""
    return all(found.above("Q-Evolve", other, "success on the way") for other in OTHERS)


Q_EVOLVE = Check(
    row=130,
    name="in-distribution-process-reward-loop",
    claim="With 20 demonstrations and 40 new episodes a round, Q-Evolve succeeds more often over all rounds than with "
    "a critic without weights, than filtered behaviour cloning, and than DPO of successes over failures.",
    arms={
        "Q-Evolve": lambda seed: evolved(seed, "weighted"),
        OTHERS[0]: lambda seed: evolved(seed, "unweighted"),
        OTHERS[1]: lambda seed: evolved(seed, "cloning"),
        OTHERS[2]: lambda seed: evolved(seed, "preferences"),
    },
    holds=_more_for_its_steps,
    units={
        "before": "share of episodes",
        "success on the way": "share of episodes",
        "success": "share of episodes",
        "steps": "steps of an episode",
    },
)
