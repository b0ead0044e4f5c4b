"""`World`: the processes that share a batch, each with sequences of its own. Alone, every sum is what it is."""

from __future__ import annotations

import torch
import torch.distributed
from torch import Tensor


class World:
    """A group of processes of torch.distributed, or this process alone.

    Attributes:
        size: how many processes there are.
    """

    def __init__(self, group: torch.distributed.ProcessGroup | None = None) -> None:
        """Join.

        Args:
            group: the processes that share a batch; None: this one alone, whatever else is initialised.
        """
        self._group = group
        self.size = 1 if group is None else group.size()

    @classmethod
    def joined(cls) -> World:
        """All processes of torch.distributed, which must be initialised."""
        return cls(torch.distributed.group.WORLD)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on each of them."""
        return self._reduced(tensor, torch.distributed.ReduceOp.SUM)

    def largest(self, tensor: Tensor) -> Tensor:
        """The maximum over all processes, on each of them."""
        return self._reduced(tensor, torch.distributed.ReduceOp.MAX)

    def _reduced(self, tensor: Tensor, operation: torch.distributed.ReduceOp.RedOpType) -> Tensor:
        if self.size == 1:
            return tensor
        total = tensor.detach().clone()
        torch.distributed.all_reduce(total, operation, self._group)
        return total


ALONE = World()
