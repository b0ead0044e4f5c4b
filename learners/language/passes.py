"""`Passes`: a batch of any size through a module, in forward passes that fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

from learners.language.layout import Layout, Style, deal, lay_out
from learners.language.token_batch import TokenBatch
from learners.language.world import ALONE, World

Scores = TypeVar("Scores")


class Passes(Generic[Scores]):
    """How batches go through a module."""

    def __init__(
        self,
        score: Callable[[Layout, TokenBatch], Scores],
        max_tokens: int,
        style: Style = "padded",
        world: World = ALONE,
        unit: int = 1,
        whole: bool = False,
    ) -> None:
        """Nothing is run yet.

        Args:
            score: runs the module on a few sequences.
            max_tokens: the most tokens of one pass, padding included.
            style: of the layout.
            world: the processes that share each batch.
            unit: so many consecutive sequences are never parted.
            whole: whether tokens are run that no own token comes after.
        """
        self._score, self._max_tokens, self._style, self._world, self._unit = score, max_tokens, style, world, unit
        self._whole = whole

    def deal(self, batch: TokenBatch) -> list[tuple[Tensor, bool]]:
        """Which sequences share a pass, and whether they count.

        Sharded modules exchange weights in each pass, so all processes make as many as the one that has most; what they
        add to get there is a repetition that does not count.
        """
        dealt = deal(batch.lengths, self._max_tokens, self._style, self._unit)
        most = int(self._world.largest(torch.tensor(len(dealt), device=batch.lengths.device)))
        return [(sequences, True) for sequences in dealt] + [(dealt[-1], False)] * (most - len(dealt))

    def score(self, batch: TokenBatch) -> Scores:
        """Scores of a few sequences in one pass, with gradient where torch makes one."""
        layout = lay_out(batch.token_ids, batch.lengths, batch.loss_mask, self._style, self._max_tokens, self._whole)
        return self._score(layout, batch)

    @torch.no_grad()
    def tokens(self, batch: TokenBatch, of: Callable[[Scores], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Per-token numbers of a whole batch, without gradient, `[N]` each.

        Args:
            batch: of any size.
            of: picks the numbers of one pass.
        """
        found: tuple[Tensor, ...] = ()
        for sequences, _ in self.deal(batch):
            part = of(self.score(batch.select(sequences)))
            found = found or tuple(one.new_zeros(len(batch.token_ids)) for one in part)
            for whole, one in zip(found, part, strict=True):
                whole[batch.tokens_of(sequences)] = one
        return found
