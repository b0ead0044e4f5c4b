"""What a learner is, and what it is handed: two small protocols.

The learner knows nothing of networks, and networks know nothing of losses: they meet in `LearnerModule.evaluate`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from learners.batch import TrainBatch


class Evaluation(Protocol):
    """What a policy says of stored experience."""

    @property
    def logprob(self) -> Tensor:
        """Log-probability of each stored action, `[N]`."""
        ...

    @property
    def entropy(self) -> Tensor:
        """Of the policy at each step, `[N]`."""
        ...

    @property
    def value(self) -> Tensor:
        """Of each observation, those that bootstrap too, `[S]` with S = N + R."""
        ...


class LearnerModule(Protocol):
    """What a learner asks of the module it trains, a `torch.nn.Module`."""

    def evaluate(
        self, observation: Mapping[str, Tensor], lengths: Tensor, initial_state: Tensor, action: Tensor
    ) -> Evaluation:
        """Run the policy over R rows that lie one behind another.

        Args:
            observation: by key `[S, …]`; row r has `lengths[r] + 1` entries.
            lengths: steps of each row, `[R]`.
            initial_state: recurrent state before each row, `[R, H]`.
            action: what was done at each step, `[N, …]`.

        Returns:
            Log-probabilities, entropies and values, with gradient.
        """
        ...


class Learner(Protocol):
    """Improves a policy from batches of experience."""

    @property
    def version(self) -> int:
        """How many batches have been consumed; the version of the weights."""
        ...

    def update(self, batch: TrainBatch) -> dict[str, float]:
        """Learn from a batch, once.

        Returns:
            Metrics by name.
        """
        ...

    def weights(self) -> bytes:
        """The weights that actors need, as a safetensors blob."""
        ...

    def load_weights(self, blob: bytes) -> None:
        """Take over weights of the same architecture."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that is needed to go on as if nothing had happened: tensors, so that safetensors can hold it."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state_dict` gave."""
        ...
