"""Behaviour cloning, weighted by what followed: do again what turned out better than expected.

loss = - mean w log pi(a|x),   w = min(exp(A / temperature), max_weight)

AWR         A = G - V(x), G a TD(lambda) return, V learnt on the way      (Peng et al. 2019, equation 9)
plain       no temperature (infinite): w = 1
filtered    plain, on the episodes of highest return only (`best`)      (Chen et al. 2021, "10 % BC")
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from learners import descent
from learners.batch import TrainBatch, acting_index, pad, unpad
from learners.descent import Descent
from learners.learner import LearnerModule
from learners.losses import anything_counts, normalised, weighted_mean
from learners.returns import lambda_returns, stop_at_unknown
from learners.weights import fitting_state, load_named_weights, named_weights, pack_weights, unpack_weights


class Config(descent.Config):
    """Settings of behaviour cloning.

    Attributes:
        temperature: beta of AWR, in deviations of the advantage where that is normalised; None: infinite, plain
            cloning.
        max_weight: a step counts at most this much.
        normalise_advantage: whether advantages are brought to mean 0 and deviation 1 in each batch.
        top_share: learn from the episodes of highest return only, this share of them (see `best`).
        gamma: discount of one step.
        lambda_: of the returns; trades bias (0) for variance (1).
        value_coefficient: weight of the value loss; without a temperature there are no values to learn.
    """

    temperature: float | None = Field(1.0, gt=0)
    max_weight: float = Field(20.0, ge=1)
    normalise_advantage: bool = True
    top_share: float = Field(1.0, gt=0, le=1)
    gamma: float = Field(0.99, ge=0, le=1)
    lambda_: float = Field(0.95, ge=0, le=1)
    value_coefficient: float = Field(0.5, ge=0)


def advantage_weights(advantage: Tensor, temperature: float | None, max_weight: float) -> Tensor:
    """min(exp(A / temperature), max_weight), same shape; 1 where the temperature is infinite (None).

    Args:
        advantage: A, of any shape.
        temperature: low: only the best steps count; high: all alike.
        max_weight: bound, at least 1.
    """
    if temperature is None:
        return torch.ones_like(advantage)
    # The bound is taken in the exponent, so that nothing overflows.
    return (advantage / temperature).clamp(max=float(np.log(max_weight))).exp()


def best(returns: NDArray[np.float64], share: float) -> NDArray[np.bool_]:
    """Which episodes are among the best `share`: at least one, and all that are as good as the last of them.

    Args:
        returns: of each episode, `[E]`; NaN where it is not known: such an episode is never among the best.
        share: above 0, at most 1.

    Raises:
        ValueError: no return is known.
    """
    known = np.sort(returns[~np.isnan(returns)])[::-1]
    if not len(known):
        raise ValueError("got no episode of known return; expected at least one to choose the best from")
    return np.asarray(returns >= known[max(1, round(share * len(known))) - 1])


def returns_of(batch: TrainBatch, value: Tensor, gamma: float, lambda_: float) -> Tensor:
    """TD(lambda) returns of every step `[N]`, which never look through a step that does not count.

    Args:
        batch: experience.
        value: V of each observation, those that bootstrap too, `[S]`.
        gamma: discount of one step.
        lambda_: of the returns.
    """
    now = value[acting_index(batch.lengths)]
    reward, discount = stop_at_unknown(batch.reward, batch.discount * gamma, now, batch.weight)
    padded, mask = pad(torch.stack([reward, discount], -1), batch.lengths)
    padded_value, _ = pad(value, batch.lengths + 1)
    returns = lambda_returns(padded[..., 0], padded[..., 1], padded_value, mask, lambda_=lambda_)
    return unpad(returns, batch.lengths)


class BehaviourCloning:
    """Trains a policy on stored actions; a `learners.learner.Learner`."""

    def __init__(self, module: LearnerModule, config: Config | None = None) -> None:
        """Start at version 0.

        Args:
            module: the policy, a `torch.nn.Module`; it is trained in place, on the device where it is.
            config: settings.
        """
        self.module = module
        self.config = config or Config()
        self._network = cast(torch.nn.Module, module)
        self._descent = Descent(self._network, self.config)
        self._version = 0

    @property
    def version(self) -> int:
        """How many batches have been consumed."""
        return self._version

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Take one gradient step on a batch.

        Args:
            batch: experience; gamma is not yet in its discount.

        Returns:
            `loss`, `policy_loss`, `value_loss`, `logprob` (mean, of the stored actions), `mean_weight`, `entropy`,
            `mean_value`, `grad_norm` (NaN where the step was skipped, or nothing counts), `mean_reward`, `frames`,
            `rows`, `version`, `skipped_updates`.

        Raises:
            LearningDiverged: too many gradient steps in a row were lost.
        """
        batch = batch.to(self._descent.device)
        config = self.config
        evaluation = self.module.evaluate(batch.observation, batch.lengths, batch.initial_state, batch.action)
        now = evaluation.value[acting_index(batch.lengths)]
        target = returns_of(batch, evaluation.value.detach(), config.gamma, config.lambda_)
        advantage = target - now.detach()
        if config.normalise_advantage:
            advantage = normalised(advantage, batch.weight)
        factor = advantage_weights(advantage, config.temperature, config.max_weight)
        policy_loss = -weighted_mean(factor * evaluation.logprob, batch.weight)
        value_loss = weighted_mean((now - target).square(), batch.weight)
        loss = policy_loss
        if config.temperature is not None:
            loss = loss + config.value_coefficient * value_loss
        grad_norm = self._descent.step(loss) if anything_counts(batch.weight) else None
        self._version += 1
        return {
            "loss": loss.item(),
            "policy_loss": policy_loss.item(),
            "value_loss": value_loss.item(),
            "logprob": weighted_mean(evaluation.logprob.detach(), batch.weight).item(),
            "mean_weight": weighted_mean(factor, batch.weight).item(),
            "entropy": weighted_mean(evaluation.entropy.detach(), batch.weight).item(),
            "mean_value": now.mean().item(),
            "grad_norm": float("nan") if grad_norm is None else grad_norm.item(),
            "mean_reward": weighted_mean(batch.reward, batch.weight).item(),
            "frames": float(batch.frames),
            "rows": float(batch.rows),
            "version": float(self._version),
            "skipped_updates": float(self._descent.skipped),
        }

    def weights(self) -> bytes:
        """The policy's weights as a safetensors blob."""
        return pack_weights(self._network)

    def load_weights(self, blob: bytes) -> None:
        """Take over weights of the same architecture.

        Raises:
            ValueError: they do not fit.
        """
        unpack_weights(self._network, blob)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, Adam's moments and counters: copies, as tensors that safetensors can hold."""
        counters = torch.tensor([self._version, self._descent.skipped, self._descent.skipped_in_a_row])
        return {**named_weights(self._network, "module"), **self._descent.state_dict(), "counters": counters}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, with the settings of this learner.

        Raises:
            ValueError: the state is of another module.
        """
        with fitting_state():
            load_named_weights(self._network, state, "module")
            self._descent.load_state_dict(state)
            self._version, self._descent.skipped, self._descent.skipped_in_a_row = state["counters"].tolist()
