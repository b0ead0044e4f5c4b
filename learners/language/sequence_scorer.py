"""`SequenceScorer`: a reward model: a sequence classifier of Hugging Face's with one output, read at the last token.

That is, as in its own forward pass, the last one that is not its padding token: many models have one token that ends a
text and fills it up. So who loads the model later reads it where it was trained.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

from learners.language.layout import Layout
from learners.language.scorer import set_training_mode


class SequenceScorer(nn.Module):
    """Scores whole sequences."""

    def __init__(
        self, model: nn.Module, *, autocast: torch.dtype | None = None, gradient_checkpointing: bool = False
    ) -> None:
        """Look at the model.

        Args:
            model: a sequence classifier with one output, whose head is called `score`; trained in place.
            autocast: the number format of forward passes; None: that of the weights.
            gradient_checkpointing: whether activations are computed a second time instead of kept.

        Raises:
            ValueError: it is none, or it has several outputs.
        """
        super().__init__()
        self.model, self.autocast = model, autocast
        self._model = cast(Any, model)
        outputs = getattr(self._model.config, "num_labels", None)
        if not hasattr(model, "score") or outputs != 1:
            raise ValueError(
                f"got {type(model).__name__} with {outputs} outputs; expected a sequence classifier with one output "
                "and a head named `score`: AutoModelForSequenceClassification.from_pretrained(…, num_labels=1)"
            )
        set_training_mode(self, gradient_checkpointing)

    def forward(self, input_ids: Tensor, position_ids: Tensor, last: Tensor) -> Tensor:
        """Rewards `[B]`.

        Args:
            input_ids: `[R, L]`.
            position_ids: `[R, L]`.
            last: where in the flattened rectangle each sequence ends, `[B]`.
        """
        with self._numbers(input_ids.device):
            body = self._model.base_model(input_ids=input_ids, position_ids=position_ids, use_cache=False)
            rewards: Tensor = self._model.score(body.last_hidden_state.flatten(0, 1)[last])
        return rewards.squeeze(-1).float()

    def score(self, layout: Layout, lengths: Tensor, run: nn.Module) -> Tensor:
        """Rewards `[B]` of a flat batch, through `run`: this module, or the DDP around it."""
        ends = layout.place[self._read_at(layout, lengths)]
        return cast(Tensor, run(layout.input_ids, layout.position_ids, ends))

    def _read_at(self, layout: Layout, lengths: Tensor) -> Tensor:
        """Which token of the flat batch each sequence is read at, `[B]`."""
        last = lengths.cumsum(0) - 1
        if (padding := self._model.config.get_text_config().pad_token_id) is None:
            return last
        ids = layout.input_ids.flatten()[layout.place]
        told = torch.where(ids != padding, torch.arange(len(ids), device=ids.device), -1)
        sequence = torch.arange(len(lengths), device=ids.device).repeat_interleave(lengths)
        # One that is padding alone is read at its first token, as there.
        return (last - lengths + 1).scatter_reduce(0, sequence, told, "amax")

    @contextmanager
    def _numbers(self, device: torch.device) -> Iterator[None]:
        with torch.autocast(device.type, self.autocast, enabled=self.autocast is not None):
            yield
