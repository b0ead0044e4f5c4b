"""`RewardModelLearner`: trains a reward model on pairs (Bradley-Terry) or on scores (regression)."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from learners.language import gradient_steps
from learners.language.layout import Layout
from learners.language.reward_losses import agreement, bradley_terry, regression
from learners.language.sequence_scorer import SequenceScorer
from learners.language.student import Student, Wrap
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World


class Config(gradient_steps.Config):
    """Settings of reward-model training.

    Attributes:
        loss: `bradley_terry` on pairs, with the facts `margins` and `soft_labels` if there are any; `regression` on the
            fact `scores`.
        centring: `bradley_terry`: keeps rewards around 0.
    """

    loss: Literal["bradley_terry", "regression"] = "bradley_terry"
    centring: float = Field(0.0, ge=0)


class RewardModelLearner(Student[Tensor]):
    """Trains a sequence classifier with one output.

    Pairs stand in a batch as chosen, rejected, chosen, rejected, … The fact `weights` says how much each pair or answer
    counts, taken of its first sequence; 0: not at all. With the strengths of preferences for weights it is scaled
    Bradley-Terry. The loss mask is of no matter.
    """

    def __init__(
        self, model: nn.Module, config: Config | None = None, *, world: World = ALONE, wrap: Wrap | None = None
    ) -> None:
        """Start at version 0.

        Args:
            model: a sequence classifier of Hugging Face's with one output.
            config: settings.
            world: the processes that share each batch.
            wrap: spreads the scorer over them.

        Raises:
            ValueError: style='shared', in which a token that ends two sequences has one state; or no classifier.
        """
        self.config = config = config or Config()
        if config.style == "shared":
            raise ValueError("got style='shared' for a reward model; expected 'padded' or 'packed'")
        self.unit = 2 if config.loss == "bradley_terry" else 1
        device = next(model.parameters()).device
        self.scorer = SequenceScorer(
            model, autocast=config.autocast_on(device), gradient_checkpointing=config.gradient_checkpointing
        )
        super().__init__(model, self.scorer, self._score, config, world=world, wrap=wrap, unit=self.unit, whole=True)

    @torch.no_grad()
    def rewards(self, batch: TokenBatch) -> Tensor:
        """The reward of each sequence, `[B]`."""
        batch = batch.to(self.steps.device)
        found = torch.zeros(len(batch.lengths), device=self.steps.device)
        for sequences, _ in self.steps.passes.deal(batch):
            found[sequences] = self.steps.passes.score(batch.select(sequences))
        return found

    def update(self, batch: TokenBatch) -> dict[str, float]:
        """Take one gradient step.

        Args:
            batch: pairs, or single answers with `scores`.

        Returns:
            `loss`, `accuracy` and `margin` (pairs), `mean_reward`, `mean_square_reward`, `grad_norm`, `learning_rate`,
            `pairs` (or answers) that count, `version`, `skipped_updates`.

        Raises:
            ValueError: the sequences are not pairs, or have no scores.
            LearningDiverged: too many steps in a row were lost.
        """
        batch = batch.to(self.steps.device)
        if len(batch.lengths) % self.unit:
            raise ValueError(
                f"got {len(batch.lengths)} sequences; expected pairs: chosen, rejected, chosen, rejected, …"
            )
        config, world = self.config, self.steps.world
        weights = batch.facts.get("weights", torch.ones_like(batch.lengths, dtype=torch.float32))[:: self.unit]
        total = world.sum(weights.sum())
        if not bool(total > 0):  # not even Adam's momentum may move the model
            return {**self._finished(None), "pairs": 0.0}
        shares = weights / total
        batch = batch.with_facts(shares=shares.repeat_interleave(self.unit))

        def loss_of(part: TokenBatch, rewards: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            share = part.fact("shares")[:: self.unit]
            each = part.fact("shares") / self.unit
            told = {"mean_reward": (rewards * each).sum(), "mean_square_reward": (rewards.square() * each).sum()}
            if config.loss == "regression":
                losses = regression(rewards, part.fact("scores"))
            else:
                chosen, rejected = rewards[::2], rewards[1::2]
                margins, labels = _of_pairs(part, "margins", share, 0.0), _of_pairs(part, "soft_labels", share, 1.0)
                losses = bradley_terry(chosen, rejected, margins, config.centring, labels)
                told["accuracy"] = (agreement(chosen, rejected) * share).sum()
                told["margin"] = ((chosen - rejected) * share).sum()
            return torch.where(share > 0, losses * share, 0.0).sum(), told

        return {**self._finished(self.steps.step(batch, loss_of)), "pairs": float((weights > 0).sum())}

    def _score(self, layout: Layout, batch: TokenBatch, run: nn.Module) -> Tensor:
        return self.scorer.score(layout, batch.lengths, run)


def _of_pairs(part: TokenBatch, fact: str, share: Tensor, otherwise: float) -> Tensor | None:
    """A fact of each pair `[P]`, if there is one. Of a pair that does not count nobody need have said anything."""
    return torch.where(share > 0, part.facts[fact][::2], otherwise) if fact in part.facts else None
