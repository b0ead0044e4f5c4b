"""IQL: implicit Q-learning (Kostrikov et al. 2021), for discrete actions and policies with memory.

    V     expectile of Q over the actions that were taken      L_V = mean |tau - 1[u < 0]| u^2,   u = min Q_target - V
    Q     one-step target, from V: no action is ever asked     L_Q = mean (r + g V(x') - Q(x, a))^2
          about that is not in the data
    pi    cloning, weighted by the advantage                   L_pi = - mean w log pi(a|x),   w = exp(u / temperature)

The closer tau comes to 1, the nearer V is to the best action of the data instead of the mean one. Two Q are learnt and
the lower one is believed (Fujimoto et al. 2018); the target is a slowly moving copy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Protocol, cast

import torch
from pydantic import Field
from torch import Tensor

from learners import descent
from learners.batch import TrainBatch, acting_index
from learners.descent import Descent
from learners.learner import LearnerModule
from learners.losses import anything_counts, weighted_mean
from learners.offline.behaviour_cloning import advantage_weights
from learners.weights import fitting_state, follow, load_named_weights, named_weights, pack_weights, unpack_weights


class Config(descent.Config):
    """Settings of IQL.

    Attributes:
        gamma: discount of one step.
        expectile: tau; 0.5 is the mean over what was done (SARSA), towards 1 the best that was done.
        temperature: of the policy's weights, in units of reward; the paper's beta is 1 / temperature.
        max_weight: a step counts at most this much for the policy.
        target_rate: how far the target moves towards Q in each update.
    """

    gamma: float = Field(0.99, ge=0, le=1)
    expectile: float = Field(0.8, gt=0, lt=1)
    temperature: float = Field(0.2, gt=0)
    max_weight: float = Field(100.0, ge=1)
    target_rate: float = Field(0.01, gt=0, le=1)


class Criticism(Protocol):
    """What a critic says of stored experience."""

    @property
    def q(self) -> Tensor:
        """Each of its K values of each stored action, `[K, N]`."""
        ...

    @property
    def value(self) -> Tensor:
        """Of each observation, those that bootstrap too, `[S]` with S = N + R."""
        ...


class CriticModule(Protocol):
    """What IQL asks of its critic, a `torch.nn.Module`."""

    def evaluate(
        self, observation: Mapping[str, Tensor], lengths: Tensor, initial_state: Tensor, action: Tensor
    ) -> Criticism:
        """Run the critic over R rows that lie one behind another; arguments as of `LearnerModule.evaluate`."""
        ...


def expectile_loss(difference: Tensor, expectile: float) -> Tensor:
    """|tau - 1[u < 0]| u^2 of each difference u, same shape (Newey and Powell 1987; IQL, equation 5).

    Its mean over x - m is least where m is the expectile of x: the mean at 0.5, towards the largest x near 1.
    """
    return torch.where(difference < 0, 1 - expectile, expectile) * difference.square()


class Iql:
    """Trains a policy and its critic on stored experience; a `learners.learner.Learner`."""

    def __init__(self, module: LearnerModule, critic: CriticModule, config: Config | None = None) -> None:
        """Start at version 0, with a target that equals the critic.

        Args:
            module: the policy, a `torch.nn.Module`; it is trained in place, on the device where it is.
            critic: a `torch.nn.Module` beside it, on the same device.
            config: settings.
        """
        self.module, self.critic = module, critic
        self.config = config or Config()
        self._network, self._critic = cast(torch.nn.Module, module), cast(torch.nn.Module, critic)
        self._target = copy.deepcopy(self._critic).requires_grad_(False)
        self._policy_descent = Descent(self._network, self.config)
        self._critic_descent = Descent(self._critic, self.config)
        self._version = 0

    @property
    def version(self) -> int:
        """How many batches have been consumed."""
        return self._version

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Take one gradient step of V, Q and policy on a batch, and move the target.

        Args:
            batch: experience; gamma is not yet in its discount.

        Returns:
            `loss`, `policy_loss`, `value_loss`, `q_loss`, `logprob` (mean, of the stored actions), `mean_weight`,
            `mean_value`, `mean_advantage`, `entropy`, `grad_norm` of the policy (NaN where the step was skipped, or
            nothing counts), `mean_reward`, `frames`, `rows`, `version`, `skipped_updates`.

        Raises:
            LearningDiverged: too many gradient steps in a row were lost.
        """
        batch = batch.to(self._policy_descent.device)
        config, weight = self.config, batch.weight
        experience = (batch.observation, batch.lengths, batch.initial_state, batch.action)
        policy, critic = self.module.evaluate(*experience), self.critic.evaluate(*experience)
        with torch.no_grad():
            q = cast(CriticModule, self._target).evaluate(*experience).q.min(0).values
        acting = acting_index(batch.lengths)
        value, after = critic.value[acting], critic.value.detach()[acting + 1]

        value_loss = weighted_mean(expectile_loss(q - value, config.expectile), weight)
        target = batch.reward + config.gamma * batch.discount * after
        q_loss = torch.stack([weighted_mean((one - target).square(), weight) for one in critic.q]).sum()
        advantage = q - value.detach()
        factor = advantage_weights(advantage, config.temperature, config.max_weight)
        policy_loss = -weighted_mean(factor * policy.logprob, weight)

        grad_norm = None
        if anything_counts(weight):
            if self._critic_descent.step(value_loss + q_loss) is not None:
                follow(self._target, self._critic, self.config.target_rate)
            grad_norm = self._policy_descent.step(policy_loss)
        self._version += 1
        return {
            "loss": (value_loss + q_loss + policy_loss).item(),
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "q_loss": q_loss.item(),
            "logprob": weighted_mean(policy.logprob.detach(), weight).item(),
            "mean_weight": weighted_mean(factor, weight).item(),
            "mean_value": value.mean().item(),
            "mean_advantage": weighted_mean(advantage, weight).item(),
            "entropy": weighted_mean(policy.entropy.detach(), weight).item(),
            "grad_norm": float("nan") if grad_norm is None else grad_norm.item(),
            "mean_reward": weighted_mean(batch.reward, weight).item(),
            "frames": float(batch.frames),
            "rows": float(batch.rows),
            "version": float(self._version),
            "skipped_updates": float(self._policy_descent.skipped + self._critic_descent.skipped),
        }

    def weights(self) -> bytes:
        """The policy's weights as a safetensors blob."""
        return pack_weights(self._network)

    def load_weights(self, blob: bytes) -> None:
        """Take over a policy's weights of the same architecture; the critic stays.

        Raises:
            ValueError: they do not fit.
        """
        unpack_weights(self._network, blob)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights of policy, critic and target, Adam's moments and counters: copies that safetensors can hold."""
        counters = [self._version]
        for one in (self._policy_descent, self._critic_descent):
            counters += [one.skipped, one.skipped_in_a_row]
        return {
            **named_weights(self._network, "module"),
            **named_weights(self._critic, "critic"),
            **named_weights(self._target, "target"),
            **self._policy_descent.state_dict("adam"),
            **self._critic_descent.state_dict("critic_adam"),
            "counters": torch.tensor(counters),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, with the settings of this learner.

        Raises:
            ValueError: the state is of other modules.
        """
        with fitting_state():
            load_named_weights(self._network, state, "module")
            load_named_weights(self._critic, state, "critic")
            load_named_weights(self._target, state, "target")
            self._policy_descent.load_state_dict(state, "adam")
            self._critic_descent.load_state_dict(state, "critic_adam")
            self._version, *skipped = state["counters"].tolist()
            self._policy_descent.skipped, self._policy_descent.skipped_in_a_row = skipped[:2]
            self._critic_descent.skipped, self._critic_descent.skipped_in_a_row = skipped[2:]
