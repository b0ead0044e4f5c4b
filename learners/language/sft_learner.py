"""`SftLearner`: make given answers likelier. Rejection sampling is this on the best of many answers."""

from __future__ import annotations

import math

from torch import Tensor, nn

from learners.language import gradient_steps
from learners.language.aggregation import Aggregation, aggregate, coefficients
from learners.language.layout import Layout
from learners.language.scorer import TokenScores
from learners.language.student import Student, Wrap, fitted, token_scorer
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World


class Config(gradient_steps.Config):
    """Settings of supervised fine-tuning.

    Attributes:
        aggregation: how tokens are averaged; by token is the usual one.
    """

    aggregation: Aggregation = Aggregation()


def sft_losses(log_probs: Tensor) -> Tensor:
    """-log pi of each token, `[N]`."""
    return -log_probs


class SftLearner(Student[TokenScores]):
    """Trains a causal language model on answers."""

    def __init__(
        self, model: nn.Module, config: Config | None = None, *, world: World = ALONE, wrap: Wrap | None = None
    ) -> None:
        """Start at version 0.

        Args:
            model: a causal model of Hugging Face's, with or without adapters.
            config: settings.
            world: the processes that share each batch.
            wrap: spreads the scorer over them.
        """
        self.config = config = fitted(config or Config(), model)
        self.scorer = token_scorer(model, config)
        super().__init__(model, self.scorer, self._score, config, world=world, wrap=wrap)

    def update(self, batch: TokenBatch) -> dict[str, float]:
        """Take one gradient step.

        Args:
            batch: answers; tokens outside the loss mask, and of weight 0, are not learnt.

        Returns:
            `loss`, `perplexity`, `entropy`, `grad_norm`, `learning_rate`, `tokens`, `version`, `skipped_updates`.

        Raises:
            LearningDiverged: too many steps in a row were lost.
        """
        batch = batch.to(self.steps.device)
        world, config = self.steps.world, self.config
        if not bool(world.sum(batch.weights.sum()) > 0):  # not even Adam's momentum may move the model
            return {**self._finished(None), "tokens": float(batch.loss_mask.sum())}
        batch = batch.with_streams(
            loss_share=coefficients(batch.weights, batch.sequence, config.aggregation, world.sum),
            token_share=coefficients(batch.weights, batch.sequence, Aggregation(), world.sum),
        )

        def loss_of(part: TokenBatch, scores: TokenScores) -> tuple[Tensor, dict[str, Tensor]]:
            share = part.streams["token_share"]
            told = {
                "negative_log_prob": aggregate(-scores.log_probs, share),
                "entropy": aggregate(scores.entropy, share),
            }
            return aggregate(sft_losses(scores.log_probs), part.streams["loss_share"]), told

        metrics = self.steps.step(batch, loss_of)
        if metrics is not None:
            metrics["perplexity"] = math.exp(min(metrics.pop("negative_log_prob"), 700.0))
        return {**self._finished(metrics), "tokens": float(batch.loss_mask.sum())}

    def _score(self, layout: Layout, batch: TokenBatch, run: nn.Module) -> TokenScores:
        return self.scorer.score(layout, batch.token_ids, batch.loss_mask, run)
