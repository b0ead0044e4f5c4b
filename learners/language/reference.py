"""`Reference`: the frozen policy to stay near: another model, or the same one without its adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from learners.language.gradient_steps import Config
from learners.language.lora import adapted, adapters_off
from learners.language.passes import Passes
from learners.language.scorer import TokenScorer, TokenScores
from learners.language.student import token_scorer
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World


class Reference:
    """Scores tokens as the policy did before it learnt."""

    def __init__(
        self,
        model: nn.Module | None,
        scorer: TokenScorer,
        config: Config,
        world: World = ALONE,
    ) -> None:
        """Freeze the model.

        Args:
            model: the reference; None: the learner's own model without its adapters, if it has any.
            scorer: of the learner.
            config: settings.
            world: the processes that share each batch.

        Raises:
            ValueError: it has another vocabulary than the learner.
        """
        self._learner = scorer
        self._scorer = scorer
        if model is not None:
            plain = config.model_copy(update={"gradient_checkpointing": False})
            self._scorer = token_scorer(model.requires_grad_(False), plain, temperature=scorer.temperature)
            if self._scorer.vocabulary != scorer.vocabulary:
                raise ValueError(
                    f"got a reference of {self._scorer.vocabulary} tokens beside a model of {scorer.vocabulary}; "
                    "expected one vocabulary: take the model that the learner's was made of"
                )
        self._passes: Passes[TokenScores] = Passes(
            lambda layout, batch: self._scorer.score(layout, batch.token_ids, batch.loss_mask),
            config.micro_batch_tokens,
            config.style or "padded",
            world,
        )

    @contextmanager
    def policy(self) -> Iterator[TokenScorer]:
        """The reference, to be called.

        Raises:
            ValueError: there is none.
        """
        own = self._scorer is self._learner
        if own and not adapted(self._scorer.model):
            raise ValueError(
                "got a loss that measures from a reference, and no reference; expected a reference model, adapters on "
                "the model, or reference_log_probs in the batch"
            )
        with adapters_off(self._scorer.model) if own else nullcontext():
            yield self._scorer

    def log_probs(self, batch: TokenBatch) -> Tensor:
        """Log-probability of the policy's own tokens, 0 elsewhere, `[N]`.

        Raises:
            ValueError: there is no reference.
        """
        with self.policy(), torch.no_grad():
            return self._passes.tokens(batch, lambda scores: (scores.log_probs,))[0]

    def told(self, batch: TokenBatch) -> TokenBatch:
        """The batch with `reference_log_probs`, where it did not bring them."""
        if "reference_log_probs" in batch.streams:
            return batch
        return batch.with_streams(reference_log_probs=self.log_probs(batch))
