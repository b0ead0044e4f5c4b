"""`PreferenceLearner`: DPO and its family, from which of two answers was preferred, or which were liked."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from learners.language import gradient_steps, preferences
from learners.language.layout import Layout
from learners.language.reference import Reference
from learners.language.scorer import TokenScores
from learners.language.student import Student, Wrap, fitted, token_scorer
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World

WITHOUT_REFERENCE = ("simpo", "cpo", "orpo")


class Config(gradient_steps.Config):
    """Settings of preference learning; see `learners.language.preferences`.

    Attributes:
        loss: which one.
        beta: price of leaving the reference; without one, scale of the reward.
        gamma: `simpo`: margin that the chosen answer should win by.
        label_smoothing: `dpo`: the chance that a label is wrong.
        sft_coefficient: weight of -log pi of the chosen answers, per token, beside the loss (RPO: Pang et al. 2024);
            `cpo` and `orpo` are made with 1.
        desirable_weight: `kto`: of answers that were liked.
        undesirable_weight: `kto`: of the others.
    """

    loss: Literal["dpo", "hinge", "ipo", "simpo", "cpo", "orpo", "kto"] = "dpo"
    beta: float = Field(0.1, gt=0)
    gamma: float = Field(0.5, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=0.5)
    sft_coefficient: float = Field(0.0, ge=0)
    desirable_weight: float = Field(1.0, gt=0)
    undesirable_weight: float = Field(1.0, gt=0)


class PreferenceLearner(Student[TokenScores]):
    """Trains a causal language model on preferences.

    Pairs stand in a batch as chosen, rejected, chosen, rejected, … (`kto`: single answers, with the fact `labels`). The
    fact `weights` says how much each pair or answer counts, taken of its first sequence; 0: not at all.
    """

    def __init__(
        self,
        model: nn.Module,
        config: Config | None = None,
        reference: nn.Module | None = None,
        *,
        world: World = ALONE,
        wrap: Wrap | None = None,
    ) -> None:
        """Start at version 0.

        Args:
            model: a causal model of Hugging Face's, with or without adapters.
            config: settings.
            reference: the frozen model to start from; a model with adapters is its own without them.
            world: the processes that share each batch.
            wrap: spreads the scorer over them.
        """
        self.config = config = fitted(config or Config(), model, reference)
        self.unit = 1 if config.loss == "kto" else 2
        self.scorer = token_scorer(model, config)
        super().__init__(model, self.scorer, self._score, config, world=world, wrap=wrap, unit=self.unit)
        self.reference = Reference(reference, self.scorer, config, world)

    def update(self, batch: TokenBatch) -> dict[str, float]:
        """Take one gradient step.

        Args:
            batch: pairs, or single answers; `reference_log_probs` may come with it.

        Returns:
            `loss`, `accuracy` (pairs whose chosen answer has the higher implicit reward; `kto`: answers on the right
            side of the baseline), `margin` (between the implicit rewards), `chosen_reward`, `rejected_reward`,
            `entropy`, `grad_norm`, `learning_rate`, `pairs` (or answers) that count, `baseline` (`kto`), `version`,
            `skipped_updates`.

        Raises:
            ValueError: the sequences are not pairs, or there is no reference where one is needed.
            LearningDiverged: too many steps in a row were lost.
        """
        batch = batch.to(self.steps.device)
        if len(batch.lengths) % self.unit:
            raise ValueError(
                f"got {len(batch.lengths)} sequences; expected pairs: chosen, rejected, chosen, rejected, …"
            )
        config, world = self.config, self.steps.world
        baseline = torch.zeros((), device=self.steps.device)
        if config.loss not in WITHOUT_REFERENCE:
            batch = self.reference.told(batch)
        weights = batch.facts.get("weights", torch.ones_like(batch.lengths, dtype=torch.float32))[:: self.unit]
        if config.loss == "kto":
            baseline = self._baseline(batch, weights)
        total = world.sum(weights.sum())
        if not bool(total > 0):  # not even Adam's momentum may move the policy
            return {**self._finished(None), "pairs": 0.0}
        shares = weights / total
        batch = batch.with_facts(shares=shares.repeat_interleave(self.unit))

        def loss_of(part: TokenBatch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
            return self._liked(part, scores, baseline) if self.unit == 1 else self._pairs(part, scores)

        metrics = self.steps.step(batch, loss_of)
        if metrics is not None and config.loss == "kto":
            metrics["baseline"] = baseline.item()
        return {**self._finished(metrics), "pairs": float((weights > 0).sum())}

    def _pairs(self, batch: TokenBatch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
        """Share of some pairs in the loss, and in what is told."""
        config = self.config
        sums, counts = per_sequence(batch, scores.log_probs)
        means = sums / counts
        references = torch.zeros_like(sums)
        if config.loss not in WITHOUT_REFERENCE:
            references = per_sequence(batch, batch.stream("reference_log_probs"))[0]
        chosen, rejected = (sums - references)[::2], (sums - references)[1::2]
        if config.loss in ("simpo", "orpo"):
            chosen, rejected = means[::2], means[1::2]
        elif config.loss == "ipo":
            chosen, rejected = chosen / counts[::2], rejected / counts[1::2]
        margin = chosen - rejected
        sft = config.sft_coefficient
        if config.loss == "dpo":
            losses = preferences.dpo(margin, config.beta, config.label_smoothing)
        elif config.loss == "hinge":
            losses = preferences.hinge(margin, config.beta)
        elif config.loss == "ipo":
            losses = preferences.ipo(margin, config.beta)
        elif config.loss == "simpo":
            losses = preferences.simpo(chosen, rejected, config.beta, config.gamma)
        elif config.loss == "cpo":
            losses, sft = preferences.dpo(margin, config.beta), sft or 1.0
        else:
            losses, sft = config.beta * preferences.odds_ratio(chosen, rejected), sft or 1.0
        if sft:
            losses = losses - sft * means[::2]
        share = batch.fact("shares")[::2]
        told = {
            "accuracy": ((torch.sign(margin) + 1) / 2 * share).sum(),
            "margin": (config.beta * margin * share).sum(),
            "chosen_reward": (config.beta * chosen * share).sum(),
            "rejected_reward": (config.beta * rejected * share).sum(),
            "entropy": ((per_sequence(batch, scores.entropy)[0] / counts)[::2] * share).sum(),
        }
        return torch.where(share > 0, losses * share, 0.0).sum(), told

    def _liked(self, batch: TokenBatch, scores: TokenScores, baseline: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Share of some single answers in the loss, and in what is told."""
        config, share, labels = self.config, batch.fact("shares"), batch.fact("labels")
        sums, counts = per_sequence(batch, scores.log_probs)
        log_ratio = sums - per_sequence(batch, batch.stream("reference_log_probs"))[0]
        losses = preferences.kto(
            log_ratio, labels, baseline, config.beta, config.desirable_weight, config.undesirable_weight
        )
        right = (log_ratio > baseline) == (labels > 0)
        told = {
            "accuracy": (right * share).sum(),
            "margin": (config.beta * log_ratio * torch.sign(labels - 0.5) * share).sum(),
            "chosen_reward": (config.beta * log_ratio * (labels > 0) * share).sum(),
            "rejected_reward": (config.beta * log_ratio * (labels <= 0) * share).sum(),
            "entropy": (per_sequence(batch, scores.entropy)[0] / counts * share).sum(),
        }
        return torch.where(share > 0, losses * share, 0.0).sum(), told

    def _baseline(self, batch: TokenBatch, weights: Tensor) -> Tensor:
        """KTO's z: the mean log-ratio of answers behind prompts that they do not belong to, not below 0.

        Prompts and answers of weight 0 are not in it; with none left, as of a single answer, it is 0.
        """
        swapped = mismatched(batch)
        own = self.steps.passes.tokens(swapped, lambda scores: (scores.log_probs,))[0]
        apart = per_sequence(swapped, own - self.reference.log_probs(swapped))[0]
        order = torch.tensor(preferences.mismatched_order(len(apart)), device=apart.device)
        foreign = order != torch.arange(len(apart), device=apart.device)
        counted = apart[foreign & (weights > 0) & (weights[order] > 0)]
        total = self.steps.world.sum(torch.stack([counted.sum(), torch.ones_like(counted).sum()]))
        return (total[0] / total[1].clamp(min=1)).clamp(min=0)

    def _score(self, layout: Layout, batch: TokenBatch, run: nn.Module) -> TokenScores:
        return self.scorer.score(layout, batch.token_ids, batch.loss_mask, run)


def per_sequence(batch: TokenBatch, values: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over the tokens of each sequence that count, and how many there are (one at least), `[B]` each."""
    weights = batch.weights
    counted = torch.where(weights > 0, values, 0.0) * weights
    empty = values.new_zeros(len(batch.lengths))
    sequence = batch.sequence
    return empty.index_add(0, sequence, counted), empty.index_add(0, sequence, weights).clamp(min=1)


def mismatched(batch: TokenBatch) -> TokenBatch:
    """The prompt of each sequence with the answer of the next one behind it (KTO: Ethayarajh et al. 2024, section 4.1).

    The prompt is what stands before the first own token.
    """
    ids = batch.token_ids.split(batch.lengths.tolist())
    masks = batch.loss_mask.split(batch.lengths.tolist())
    first = [int(mask.int().argmax()) if bool(mask.any()) else len(mask) for mask in masks]
    order = preferences.mismatched_order(len(ids))
    rows = [torch.cat([ids[i][: first[i]], ids[j][first[j] :]]) for i, j in enumerate(order)]
    own = [torch.cat([masks[i][: first[i]], masks[j][first[j] :]]) for i, j in enumerate(order)]
    lengths = torch.tensor([len(row) for row in rows], device=batch.lengths.device)
    return TokenBatch(torch.cat(rows), lengths, torch.cat(own))
