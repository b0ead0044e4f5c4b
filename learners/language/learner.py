"""`LanguageLearner`: reinforcement learning of a language model, whatever the algorithm.

It knows three policies: mu, which sampled the tokens (`behaviour_log_probs`); pi_0, the learner's own when the update
began (`proximal_log_probs`); and pi, which learns. The ratio pi / pi_0 is what a loss bounds, pi_0 / mu is what
corrections are about. Advantages come with the batch (`advantages`, from rewards/advantages), or are made here of
`rewards` per token: by a value head, or without one as rewards to go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn

from learners.language import gradient_steps
from learners.language.aggregation import Aggregation, aggregate, coefficients
from learners.language.corrections import Correction, correction_weights
from learners.language.divergences import Exact, estimate
from learners.language.kl import Kl
from learners.language.layout import Layout
from learners.language.log_probs import Comparison
from learners.language.policy_loss import PolicyLoss, TokenLosses, policy_losses
from learners.language.ratios import LOG_RATIO_BOUND
from learners.language.reference import Reference
from learners.language.scorer import TokenScores
from learners.language.student import Student, Wrap, fitted, token_scorer
from learners.language.token_batch import TokenBatch
from learners.language.token_returns import Returns, rewards_less_divergence, token_returns
from learners.language.value_loss import value_losses
from learners.language.world import ALONE, World
from learners.losses import ROUNDING
from learners.weights import fitting_state


class Config(gradient_steps.Config):
    """Settings of the learner.

    Attributes:
        loss: the policy loss (`learners.language.presets` has those of the papers).
        anchor: what the ratio is measured from: `proximal`, the learner itself when the update began (decoupled PPO),
            or `behaviour`, the policy that sampled (PPO as it was).
        corrections: for what lies between sampler and proximal policy; only with that anchor.
        kl: price of leaving another policy; None: none.
        returns: how `rewards` become advantages, where the batch brings no advantages.
        entropy_coefficient: weight of the entropy bonus.
        value_coefficient: weight of the value loss.
        value_clip: how far a value may move in one update; None: anywhere.
        temperature: logits are divided by it, as they were in sampling.
        epochs: passes over each batch.
        minibatches: parts into which the sequences of a batch are dealt in each epoch; one gradient step for each.
        seed: of the dealing.
    """

    loss: PolicyLoss = PolicyLoss()
    anchor: Literal["proximal", "behaviour"] = "proximal"
    corrections: tuple[Correction, ...] = ()
    kl: Kl | None = None
    returns: Returns = Returns()
    entropy_coefficient: float = Field(0.0, ge=0)
    value_coefficient: float = Field(0.5, ge=0)
    value_clip: float | None = Field(0.2, gt=0)
    temperature: float = Field(1.0, gt=0)
    epochs: int = Field(1, ge=1)
    minibatches: int = Field(1, ge=1)
    seed: int = 0


class LanguageLearner(Student[TokenScores]):
    """Trains a causal language model on `TokenBatch`es."""

    def __init__(
        self,
        model: nn.Module,
        config: Config | None = None,
        reference: nn.Module | None = None,
        value_head: nn.Module | None = None,
        *,
        world: World = ALONE,
        wrap: Wrap | None = None,
    ) -> None:
        """Start at version 0.

        Args:
            model: a causal model of Hugging Face's, with or without adapters (`learners.language.lora`).
            config: settings.
            reference: a frozen model to stay near; a model with adapters is its own without them.
            value_head: hidden states to values (`ValueHead`); None: no critic.
            world: the processes that share each batch.
            wrap: spreads the scorer over them (`learners.language.sharding`).

        Raises:
            ValueError: the reference has another vocabulary, or settings contradict each other.
        """
        self.config = config = fitted(config or Config(), model, reference)
        if config.corrections and config.anchor == "behaviour":
            raise ValueError(
                "got corrections with anchor='behaviour'; expected anchor='proximal': measured from the sampler, the "
                "ratio is the whole importance weight already"
            )
        weighed = config.anchor == "behaviour" or any(one.how != "reject" for one in config.corrections)
        if config.returns.estimator == "vtrace" and not weighed:
            raise ValueError(
                "got returns.estimator='vtrace' with anchor='proximal' and no correction that weighs; expected "
                f"corrections=(Correction(high={config.returns.rho_bar:g}),), or anchor='behaviour': V-trace's policy "
                "gradient is weighted by how likely the learner is to do what the sampler did"
            )
        self.scorer = token_scorer(model, config, value_head, config.temperature)
        super().__init__(model, self.scorer, self._score, config, world=world, wrap=wrap)
        self.reference = Reference(reference, self.scorer, config, world)
        self._world = world
        self._rng = torch.Generator().manual_seed(config.seed)

    def log_probs(self, batch: TokenBatch) -> Tensor:
        """Log-probability of the policy's own tokens, 0 elsewhere, `[N]`."""
        return self.steps.passes.tokens(batch.to(self.steps.device), lambda scores: (scores.log_probs,))[0]

    def update(self, batch: TokenBatch) -> dict[str, float]:
        """Learn from a batch, once.

        A loss or gradient that is not finite changes no weight; it is counted in `skipped_updates`, and `fault` names
        it.

        Args:
            batch: with `advantages`, or with `rewards` per token; `behaviour_log_probs` where the config asks for them.

        Returns:
            Means over tokens that count and over gradient steps (NaN if all were skipped): `loss`, `policy_loss`,
            `value_loss`, `entropy`, `kl` (to what the config says), `kl_to_behaviour`, `clip_fraction`, `ratio_mean`,
            `ratio_max`, `ess` (effective share of the tokens, by pi / mu), `correction_mean` (weight of the
            corrections), `engine_gap_mean` and `engine_gap_max` (between log-probabilities of sampler and learner
            before the first step), `mean_advantage`, `mean_value`, `explained_variance`, `grad_norm`, `learning_rate`.
            Of the batch: `sequences`, `tokens`, `own_tokens`, `null_tokens` (own ones of weight 0), `policy_lag_mean`,
            `policy_lag_max` (NaN and -inf without own tokens). Since the start: `version`, `skipped_updates`.

        Raises:
            ValueError: the batch lacks what the config needs.
            LearningDiverged: `max_skipped` gradient steps in a row were lost.
        """
        batch = self._prepared(batch.to(self.steps.device))
        taken: list[dict[str, float]] = []
        first: dict[str, float] = {}
        for _ in range(self.config.epochs):
            for sequences in self._deal(len(batch.lengths)):
                part = batch if sequences is None else batch.select(sequences)
                metrics = self._step(part)
                first = first or {name: metrics[name] for name in metrics if name.startswith("engine_gap")}
                if metrics:
                    taken.append(metrics)
        self.steps.version += 1
        names = dict.fromkeys(name for metrics in taken for name in metrics)
        means = {name: math.fsum(one[name] for one in taken) / len(taken) for name in names}
        return {
            **(means or {"loss": math.nan, "grad_norm": math.nan}),
            **first,
            **self._counted(batch),
            "version": float(self.version),
            "skipped_updates": float(self.steps.skipped),
        }

    def _counted(self, batch: TokenBatch) -> dict[str, float]:
        """What there is in a batch, the shares of all processes together."""
        own, counts = batch.loss_mask, {"sequences": len(batch.lengths), "tokens": len(batch.token_ids)}
        counts |= {"own_tokens": int(own.sum()), "null_tokens": int((own & (batch.weights == 0)).sum())}
        if "token_versions" not in batch.streams:
            return self._summed(counts)
        lag = (self.version - 1 - batch.streams["token_versions"][own]).double()
        told = self._summed({**counts, "policy_lag_mean": lag.sum().item()})
        told["policy_lag_mean"] = told["policy_lag_mean"] / told["own_tokens"] if told["own_tokens"] else math.nan
        most = lag.max() if len(lag) else lag.new_tensor(-math.inf)  # the share of a process may have no own tokens
        return {**told, "policy_lag_max": self._world.largest(most).item()}

    def _summed(self, counts: Mapping[str, float]) -> dict[str, float]:
        sums = self._world.sum(torch.tensor([*counts.values()], dtype=torch.float64, device=self.steps.device))
        return dict(zip(counts, sums.tolist(), strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        """Weights, Adam's moments, counters and random state: tensors that safetensors can hold."""
        return {**super().state_dict(), "rng": self._rng.get_state()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave, with the settings of this learner.

        Raises:
            ValueError: the state is of another model.
        """
        super().load_state_dict(state)
        with fitting_state():
            self._rng.set_state(state["rng"].cpu())

    def _score(self, layout: Layout, batch: TokenBatch, run: nn.Module) -> TokenScores:
        """Run the model, and where whole distributions are compared the reference."""
        kl, comparison = self.config.kl, None
        if kl is not None and kl.exact and torch.is_grad_enabled():
            with self.reference.policy() as reference, torch.no_grad():
                states = layout.states(batch.loss_mask)
                hidden = reference.hidden(layout.input_ids, layout.position_ids, states, layout.segments)
            comparison = Comparison(hidden, reference.logits, cast(Exact, kl.estimator))
        wanted = {"entropy_gradient": self.config.entropy_coefficient > 0, "comparison": comparison}
        return self.scorer.score(layout, batch.token_ids, batch.loss_mask, run, **wanted)

    def _prepared(self, batch: TokenBatch) -> TokenBatch:
        """The batch with everything that has to be known before the first step.

        Raises:
            ValueError: it lacks something.
        """
        config, kl = self.config, self.config.kl
        made_here = "advantages" not in batch.streams
        if made_here and "rewards" not in batch.streams:
            raise ValueError(
                f"got a batch with neither advantages nor rewards, but {sorted(batch.streams)}; expected one of them"
            )
        if not made_here and (self.scorer.value_head is not None or (kl is not None and kl.where == "reward")):
            raise ValueError(
                "got advantages with a value head or a price in the reward, which make their own; expected `rewards`"
            )
        if config.anchor == "behaviour" or config.corrections or (kl is not None and kl.to == "behaviour"):
            batch.stream("behaviour_log_probs")
        if kl is not None and kl.to == "reference" and not kl.exact:
            batch = self.reference.told(batch)
        several = config.epochs * config.minibatches > 1
        if several or made_here:
            log_probs, values = self.steps.passes.tokens(batch, _with_values)
            batch = batch.with_streams(**{"proximal_log_probs": log_probs, **batch.streams, "values": values})
        return self._with_advantages(batch) if made_here else batch

    def _with_advantages(self, batch: TokenBatch) -> TokenBatch:
        """The batch with advantages and targets of its rewards."""
        kl, returns, weights = self.config.kl, self.config.returns, batch.weights
        rewards = batch.streams["rewards"]
        now = batch.streams["proximal_log_probs"]
        if kl is not None and kl.where == "reward":
            rewards = rewards_less_divergence(
                rewards,
                now,
                batch.stream(f"{kl.to}_log_probs"),
                batch.loss_mask,
                kl.coefficient,
                cast(Any, kl.estimator),
            )
        behaviour = batch.stream("behaviour_log_probs") if returns.estimator == "vtrace" else None
        found = token_returns(
            rewards, batch.streams["values"], batch.loss_mask, batch.lengths, weights, returns, now, behaviour
        )
        advantages = found.advantages
        if returns.normalise:
            share = coefficients(weights, batch.sequence, Aggregation(by="token"), self._world.sum)
            mean = self._world.sum(aggregate(advantages, share))
            centred = advantages - mean
            deviation = self._world.sum(aggregate(centred.square(), share)).sqrt()
            advantages = torch.where(deviation <= ROUNDING * mean.abs(), 0.0, centred / (deviation + 1e-8))
        return batch.with_streams(advantages=advantages, targets=found.targets)

    def _deal(self, sequences: int) -> list[Tensor] | list[None]:
        """Sequences of each minibatch; None stands for the whole batch as it lies.

        Raises:
            ValueError: there are fewer sequences than minibatches.
        """
        if self.config.minibatches == 1:
            return [None]
        if sequences < self.config.minibatches:
            raise ValueError(
                f"got {sequences} sequences for {self.config.minibatches} minibatches; expected as many at least"
            )
        order = torch.randperm(sequences, generator=self._rng).to(self.steps.device)
        return list(order.tensor_split(self.config.minibatches))

    def _step(self, batch: TokenBatch) -> dict[str, float]:
        """One gradient step; its metrics, none if it was skipped or there was nothing to learn from."""
        config = self.config
        sequence = batch.sequence
        if not bool(self._world.sum(batch.weights.sum()) > 0):
            return {}  # nothing is known of any token: not even Adam's momentum may move the policy
        batch = batch.with_streams(
            loss_share=coefficients(batch.weights, sequence, config.loss.aggregation, self._world.sum),
            token_share=coefficients(batch.weights, sequence, Aggregation(by="token"), self._world.sum),
        )
        metrics = self.steps.step(batch, self._loss)
        return {} if metrics is None else _finished(metrics)

    def _loss(self, batch: TokenBatch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        """Share of a micro-batch in the loss, and in what is told of the batch."""
        config, kl, streams = self.config, self.config.kl, batch.streams
        weights, sequence = batch.weights, batch.sequence
        loss_share, token_share = streams["loss_share"], streams["token_share"]
        # In an update of one step, the policy before it is the policy of the step.
        before = streams.get("proximal_log_probs", scores.log_probs.detach())
        behaviour = streams.get("behaviour_log_probs", before)
        anchor = before if config.anchor == "proximal" else behaviour
        losses = policy_losses(scores.log_probs, anchor, streams["advantages"], weights, sequence, config.loss)
        correction = correction_weights(before, behaviour, weights, sequence, config.corrections)
        policy_loss = aggregate(losses.loss * correction, loss_share)
        loss = policy_loss
        told = {
            "policy_loss": losses.loss.detach() * correction * loss_share,
            "entropy": scores.entropy.detach() * token_share,
        }
        if kl is not None:
            if scores.divergence is not None:
                divergence = scores.divergence
            else:
                divergence = estimate(scores.log_probs, batch.stream(f"{kl.to}_log_probs"), cast(Any, kl.estimator))
            told["kl"] = torch.where(weights > 0, divergence.detach(), 0.0) * token_share
            if kl.where == "loss":
                if kl.weighted:
                    divergence = (
                        divergence * (scores.log_probs - behaviour).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND).exp()
                    )
                loss = loss + kl.coefficient * aggregate(divergence, loss_share)
        if config.entropy_coefficient:
            loss = loss - config.entropy_coefficient * aggregate(scores.entropy, token_share)
        if scores.values is not None:
            errors = value_losses(scores.values, streams["values"], streams["targets"], config.value_clip)
            loss = loss + config.value_coefficient * aggregate(errors, token_share)
            told["value_loss"] = errors.detach() * token_share
            told["mean_value"] = scores.values.detach() * token_share
            told["mean_target"] = streams["targets"] * token_share
            told["mean_square_target"] = streams["targets"].square() * token_share
            told["mean_square_error"] = (scores.values.detach() - streams["targets"]).square() * token_share
        return loss, _told_of(told, batch, scores, behaviour, before, losses, correction)


def _finished(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics of a step, with what is made of several sums."""
    squares = metrics.pop("square_weight")
    metrics["ess"] = metrics.pop("weight_mean") ** 2 / squares if squares > 0 else math.nan
    if "mean_target" in metrics:
        variance = metrics.pop("mean_square_target") - metrics.pop("mean_target") ** 2
        error = metrics.pop("mean_square_error")
        metrics["explained_variance"] = 1 - error / variance if variance > 1e-12 else math.nan
    return metrics


def _with_values(scores: TokenScores) -> tuple[Tensor, Tensor]:
    """Log-probabilities, and values: without a critic no state is worth anything."""
    return scores.log_probs, torch.zeros_like(scores.log_probs) if scores.values is None else scores.values


@torch.no_grad()
def _told_of(
    told: dict[str, Tensor],
    batch: TokenBatch,
    scores: TokenScores,
    behaviour: Tensor,
    before: Tensor,
    losses: TokenLosses,
    correction: Tensor,
) -> dict[str, Tensor]:
    """What there is to tell of a micro-batch: numbers that add up over micro-batches, or whose maximum is taken."""
    share = batch.streams["token_share"]
    counts = share > 0
    apart = torch.where(counts, scores.log_probs - behaviour, 0.0).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    gap = torch.where(counts, (before - behaviour).abs(), 0.0)
    told = {
        **told,
        # KL(mu || pi) by an estimate that is never negative (Schulman 2020).
        "kl_to_behaviour": (torch.expm1(apart) - apart) * share,
        "clip_fraction": losses.clipped * share,
        "ratio_mean": losses.ratio * share,
        "correction_mean": correction * share,
        "engine_gap_mean": gap * share,
        "mean_advantage": torch.where(counts, batch.streams["advantages"], 0.0) * share,
        "weight_mean": apart.exp() * share,
        "square_weight": (2 * apart).exp() * share,
    }
    sums = {name: values.sum() for name, values in told.items()}
    return {**sums, "ratio_max": torch.where(counts, losses.ratio, 0.0).max(), "engine_gap_max": gap.max()}
