"""APPO: an asynchronous actor-critic. V-trace says what a step was worth, PPO's clip how far the policy may go.

    returns     V-trace with the learner's current policy and values     (Espeholt et al. 2018, IMPALA)
    policy      clipped surrogate on pi / mu, mu being the policy that acted   (Schulman et al. 2017, PPO)
    together    asynchronous PPO                                          (Petrenko et al. 2020, Sample Factory)

The defaults are those that ONI (Zheng et al. 2024) uses for NetHack.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, cast

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from learners.batch import TrainBatch, acting_index, pad, row_index, unpad
from learners.descent import Descent
from learners.language.world import ALONE, World
from learners.learner import Evaluation, LearnerModule
from learners.losses import (
    anything_counts,
    clipped_policy_loss,
    clipped_value_loss,
    entropy_loss,
    importance_weighted_policy_loss,
    normalised,
    probability_ratio,
    weighted_mean,
)
from learners.return_scale import ReturnScale
from learners.returns import stop_at_unknown, vtrace
from learners.weights import fitting_state, load_named_weights, named_weights, pack_weights, unpack_weights


class Config(BaseModel):
    """Settings of APPO.

    Attributes:
        gamma: discount of one step.
        lambda_: of V-trace; trades bias (0) for variance (1).
        rho_bar: bound of the importance weights that set the fixed point.
        c_bar: bound of the importance weights that set how far errors travel back.
        clip: the ratio pi / mu is kept within 1 / (1 + clip) and 1 + clip; None: nothing keeps the policy near the one
            that acted, and its gradient is V-trace's own (Espeholt et al. 2018), for experience from far away.
        value_clip: how far a value may move in one update; None: anywhere.
        value_coefficient: weight of the value loss.
        entropy_coefficient: weight of the entropy bonus.
        normalise_advantage: whether advantages are brought to mean 0 and deviation 1 in each minibatch.
        normalise_returns: whether the critic learns returns in units of their running deviation (`ReturnScale`): for
            games that pay tens or thousands. Value loss, value clip and advantages are in that unit then.
        learning_rate: of Adam.
        adam_betas: decay of Adam's running moments.
        adam_epsilon: of Adam.
        max_grad_norm: gradients are scaled down to this norm.
        epochs: passes over each batch.
        minibatches: parts into which the rows of a batch are dealt, in each epoch.
        max_skipped: updates in a row that may be lost to NaN or infinity before learning is given up.
        precision: of the network's products: bfloat16 pays on GPUs, and on CPUs with matrix units (AMX). Weights,
            losses and returns stay float32.
        compile: whether the network is compiled. It was not worth its minutes where it was measured (docs/speed.md).
        seed: of the dealing of minibatches.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gamma: float = Field(0.99, ge=0, le=1)
    lambda_: float = Field(1.0, ge=0, le=1)
    rho_bar: float = Field(1.0, gt=0)
    c_bar: float = Field(1.0, gt=0)
    clip: float | None = Field(0.1, gt=0)
    value_clip: float | None = Field(1.0, gt=0)
    value_coefficient: float = Field(0.5, ge=0)
    entropy_coefficient: float = Field(0.003, ge=0)
    normalise_advantage: bool = True
    normalise_returns: bool = False
    learning_rate: float = Field(1e-4, gt=0)
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_epsilon: float = Field(1e-6, gt=0)
    max_grad_norm: float = Field(4.0, gt=0)
    epochs: int = Field(1, ge=1)
    minibatches: int = Field(1, ge=1)
    max_skipped: int = Field(10, ge=1)
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    seed: int = 0


_MEANS = (
    "loss",
    "policy_loss",
    "value_loss",
    "entropy",
    "kl_to_behaviour",
    "clip_fraction",
    "explained_variance",
    "mean_value",
    "grad_norm",
)


_ALL = torch.tensor(1.0)


class _Float32(NamedTuple):
    """An `Evaluation` whose numbers are float32."""

    logprob: Tensor
    entropy: Tensor
    value: Tensor


class Appo:
    """Trains a module on batches of experience; a `learners.learner.Learner`."""

    def __init__(self, module: LearnerModule, config: Config | None = None, world: World = ALONE) -> None:
        """Start at version 0.

        Args:
            module: the policy, a `torch.nn.Module`; it is trained in place, on the device where it is.
            config: settings.
            world: the learners that share each batch, every one with rows of its own: together they take the step that
                one would take with all rows. They begin alike and stay alike.
        """
        self.module = module
        self.config = config or Config()
        self._world = world
        self._network = cast(torch.nn.Module, module)
        self._descent = Descent(self._network, self.config, agreed=self._agreed, summed=self._sum)
        self._evaluate = torch.compile(module.evaluate, dynamic=True) if self.config.compile else module.evaluate
        self._rng = torch.Generator().manual_seed(self.config.seed)
        self._scale = ReturnScale() if self.config.normalise_returns else None
        self._version = 0
        self._forward_s = self._backward_s = 0.0

    @property
    def version(self) -> int:
        """How many batches have been consumed, skipped ones too; the version of the weights."""
        return self._version

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Learn from a batch, once.

        A loss or gradient that is not finite changes no weight and is counted in `skipped_updates`.

        Args:
            batch: experience; the learner's gamma is not yet in its discount.

        Returns:
            Means over the gradient steps (NaN if all were skipped): `loss`, `policy_loss`, `value_loss`, `entropy`,
            `kl_to_behaviour`, `clip_fraction` (without a clip: of ratios above rho_bar), `explained_variance` (of
            returns by values; NaN where returns do not vary), `mean_value`, `grad_norm` (before clipping). Of the
            batch: `mean_reward` (of the steps that count), `frames`, `rows`, `policy_lag_mean` and `policy_lag_max` in
            versions. Since the start: `version`, `skipped_updates`. Of the time: `seconds_forward` and
            `seconds_backward`.

        Raises:
            LearningDiverged: `max_skipped` gradient steps in a row were lost.
        """
        batch = batch.to(self._descent.device)
        lag = (self._version - batch.policy_version_min).float()
        steps: list[Tensor] = []
        self._forward_s = self._backward_s = 0.0
        # Values as they were when this update first saw each step: what the value clip is measured from.
        anchor = torch.zeros_like(batch.reward)  # where a step is lost, what it would have filled in counts nowhere
        for epoch in range(self.config.epochs):
            for rows in self._deal(batch.rows):
                part = batch if rows is None else batch.select(rows)
                where = slice(None) if rows is None else row_index(rows, batch.lengths)
                metrics = self._step(part, anchor, where, first=epoch == 0)
                if metrics is not None:
                    steps.append(metrics)
        self._version += 1
        counts = torch.ones_like(batch.reward) if batch.weight is None else (batch.weight > 0).to(batch.reward.dtype)
        paid = torch.where(counts > 0, batch.reward, 0.0).sum()  # what is out of the loss has no reward
        own = [float(batch.frames), float(batch.rows), float(paid), float(counts.sum())]
        sums = self._world.sum(torch.tensor(own, dtype=torch.float64, device=self._descent.device))
        frames, rows, paid_sum, counted = sums.tolist()
        means = torch.stack(steps).mean(0).tolist() if steps else [math.nan] * len(_MEANS)
        return {
            **dict(zip(_MEANS, means, strict=True)),
            "mean_reward": paid_sum / counted if counted else math.nan,
            "frames": frames,
            "rows": rows,
            "policy_lag_mean": float(lag.mean()),
            "policy_lag_max": float(lag.max()),
            "version": float(self._version),
            "skipped_updates": float(self._descent.skipped),
            "seconds_forward": self._forward_s,
            "seconds_backward": self._backward_s,
        }

    def _deal(self, rows: int) -> Sequence[Tensor | None]:
        """Row indices of each minibatch; None stands for the whole batch as it lies."""
        if self.config.minibatches == 1:
            return [None]
        return torch.randperm(rows, generator=self._rng).to(self._descent.device).chunk(self.config.minibatches)

    def _step(self, batch: TrainBatch, anchor: Tensor, where: slice | Tensor, first: bool) -> Tensor | None:
        """One gradient step.

        Args:
            batch: what to learn from.
            anchor: where values stood before the update, of all steps; filled in where `first`.
            where: the steps of `batch` among all.
            first: whether the update sees these steps for the first time.

        Returns:
            Metrics in the order of `_MEANS`; None if the step had to be skipped, or nothing in it counts.
        """
        config = self.config
        if not anything_counts(batch.weight, self._world.sum):
            return None
        began = time.perf_counter()
        evaluation = self._read(batch)
        value = evaluation.value[acting_index(batch.lengths)]
        share = self._share(batch)

        def mean(x: Tensor, weight: Tensor | None) -> Tensor:
            return self._world.sum(share * weighted_mean(x, weight))

        vs, advantage = self._targets(batch, evaluation)
        if self._scale is not None:
            if first:
                returns = vs.double()
                self._scale.see(float(mean(returns, batch.weight)), float(mean(returns**2, batch.weight)))
            vs, advantage = self._scale.values(vs), self._scale.gains(advantage)
        if first:
            anchor[where] = value.detach()
        if config.normalise_advantage:
            advantage = normalised(advantage, batch.weight, mean)

        policy_loss = self._policy_loss(batch, evaluation.logprob, advantage)
        value_loss = clipped_value_loss(value, anchor[where], vs, config.value_clip, batch.weight)
        random_loss = entropy_loss(evaluation.entropy, batch.weight)
        loss = policy_loss + config.value_coefficient * value_loss + config.entropy_coefficient * random_loss

        turned = time.perf_counter()
        self._forward_s += turned - began
        grad_norm = self._descent.step(share * loss)
        self._backward_s += time.perf_counter() - turned
        if grad_norm is None:
            return None
        with torch.no_grad():
            ratio = probability_ratio(evaluation.logprob, batch.behaviour_logprob)
            if config.clip is None:
                clipped = ratio > config.rho_bar
            else:
                clipped = (ratio > 1 + config.clip) | (ratio < 1 / (1 + config.clip))
            spread = vs.var(correction=0)
            rounding = 1e-12 * (vs.square().mean() + value.square().mean())
            explained = 1 - (vs - value).var(correction=0) / spread
            means = torch.stack(
                [
                    loss,
                    policy_loss,
                    value_loss,
                    -random_loss,
                    # KL(mu || pi) by an estimate that is never negative (Schulman 2020): mean(ratio - 1 - log ratio).
                    weighted_mean(ratio - 1 - ratio.log(), batch.weight),
                    weighted_mean(clipped.float(), batch.weight),
                    torch.where(spread > rounding, explained, math.nan),
                    (value if self._scale is None else self._scale.returns(value)).mean(),
                ]
            )
            return torch.cat([self._world.sum(share * means), grad_norm.unsqueeze(0)])

    def _read(self, batch: TrainBatch) -> Evaluation:
        """What the network says of a batch, in float32 whatever it computes in."""
        rows = (batch.observation, batch.lengths, batch.initial_state, batch.action)
        if self.config.precision == "float32":
            return self._evaluate(*rows)
        with torch.autocast(self._descent.device.type, torch.bfloat16):
            found = self._evaluate(*rows)
        return _Float32(found.logprob.float(), found.entropy.float(), found.value.float())

    def _share(self, batch: TrainBatch) -> Tensor:
        """What part of the steps that count, over all learners, is in this learner's rows; a scalar."""
        own = (
            torch.tensor(float(batch.frames), device=self._descent.device)
            if batch.weight is None
            else batch.weight.float().sum()
        )
        return own / self._world.sum(own).clamp(min=torch.finfo(torch.float32).tiny) if self._world.size > 1 else _ALL

    def _agreed(self, finite: bool) -> bool:
        return not self._world.largest(torch.tensor(float(not finite), device=self._descent.device)).item()

    def _sum(self, gradients: list[Tensor]) -> None:
        """Gradients of all learners' losses, of which each is its share of the whole: one message, not one a weight."""
        if self._world.size > 1:
            total = self._world.sum(torch.cat([gradient.flatten() for gradient in gradients]))
            for gradient, part in zip(gradients, total.split([g.numel() for g in gradients]), strict=True):
                gradient.copy_(part.view_as(gradient))

    def _policy_loss(self, batch: TrainBatch, logprob: Tensor, advantage: Tensor) -> Tensor:
        """PPO's clipped surrogate, or without a clip V-trace's own policy gradient."""
        config = self.config
        if config.clip is None:
            return importance_weighted_policy_loss(
                logprob, batch.behaviour_logprob, advantage, config.rho_bar, batch.weight
            )
        return clipped_policy_loss(logprob, batch.behaviour_logprob, advantage, config.clip, batch.weight)

    @torch.no_grad()
    def _targets(self, batch: TrainBatch, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
        """V-trace targets and advantages of every step, `[N]` each, in the unit of the reward."""
        config = self.config
        values = evaluation.value.detach()
        if self._scale is not None:
            values = self._scale.returns(values)
        now = values[acting_index(batch.lengths)]
        reward, discount = stop_at_unknown(batch.reward, batch.discount * config.gamma, now, batch.weight)
        columns = (batch.behaviour_logprob, evaluation.logprob.detach(), reward, discount)
        padded, mask = pad(torch.stack(columns, -1), batch.lengths)
        behaviour_logprob, target_logprob, reward, discount = padded.unbind(-1)
        value, _ = pad(values, batch.lengths + 1)
        estimate = vtrace(
            behaviour_logprob,
            target_logprob,
            reward,
            discount,
            value,
            mask,
            lambda_=config.lambda_,
            rho_bar=config.rho_bar,
            c_bar=config.c_bar,
        )
        # The policy loss brings the importance weight, so rho is not multiplied in a second time.
        vs, advantage = unpad(torch.stack([estimate.vs, estimate.advantage], -1), batch.lengths).unbind(-1)
        return vs, advantage

    def weights(self) -> bytes:
        """The module's weights as a safetensors blob."""
        return pack_weights(self._network)

    def load_weights(self, blob: bytes) -> None:
        """Take over weights of the same architecture; optimiser and counters stay.

        Raises:
            ValueError: they do not fit.
        """
        unpack_weights(self._network, blob)

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, Adam's moments, counters and random state: copies, as tensors that safetensors can hold."""
        state = named_weights(self._network, "module") | self._descent.state_dict()
        state["rng"] = self._rng.get_state()
        state["counters"] = torch.tensor([self._version, self._descent.skipped, self._descent.skipped_in_a_row])
        if self._scale is not None:
            state["returns"] = self._scale.state()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, with the settings of this learner.

        Raises:
            ValueError: the state is of another module.
        """
        with fitting_state():
            load_named_weights(self._network, state, "module")
            self._descent.load_state_dict(state)
            self._rng.set_state(state["rng"].cpu())
            self._version, self._descent.skipped, self._descent.skipped_in_a_row = state["counters"].tolist()
            if self._scale is not None:
                self._scale.load(state["returns"])
