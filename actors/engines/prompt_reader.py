"""`PromptReader`: next-token logits after many prompts that begin alike; what they begin with is computed once.

The keys and values of the latest common beginning are kept: the next batch of a run begins in the same way. What each
prompt goes on with is padded on the right, where causal attention cannot see it.

`DecoderReader` runs models that have a decoder of ours (decoder.py); of a small model, the Python around it costs more
than the model. `ModelReader` runs any other model of transformers as it is.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from actors.engines.decoder import LlamaDecoder


class PromptReader(Protocol):
    """Reads prompts; called by one thread at a time."""

    def begin(self, prefix: Sequence[int]) -> int:
        """Have the keys and values of what the next prompts begin with; gives how many of its tokens are kept.

        That is all of them, or 0 where the model remembers in another way.
        """
        ...

    def last_logits(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """Logits `[N, vocabulary]` after each of `ids`, which continue what was begun, and are not empty."""
        ...

    def other_logits(self, like: Sequence[int], kept: Sequence[int], ids: Sequence[Sequence[int]]) -> Tensor:
        """Logits `[N, vocabulary]` after prompts that begin like some of the last reading, which cannot be used again.

        Args:
            like: which prompt of that reading each begins like `[N]`; the first ones in their order, 0, 1, …, so that
                these need not be copied, and then no other prompts than these.
            kept: how many tokens each has in common with it, beside what was begun `[N]`.
            ids: what each goes on with, not empty `[N]`.
        """
        ...

    @property
    def pass_tokens(self) -> int | None:
        """How many tokens take as long as to begin a pass through the model; None: there is no `other_logits`."""
        ...

    def forget(self) -> None:
        """The weights are others now."""
        ...


PASS_PRODUCTS = {"cpu": 3 * 10**6, "cuda": 10**9}
"""Products of numbers that take as long as to begin the operations of a layer."""


class DecoderReader:
    """Models of the Llama family. Every row of the buffers holds the beginning, and what follows is written over."""

    def __init__(self, decoder: LlamaDecoder) -> None:
        """Read beside whoever writes with `decoder`: with its weights, and buffers of its own."""
        self._begun, self._whole = decoder.apart(), decoder.apart()
        self._device = decoder.device
        self._prefix: list[int] = []
        self._rows = 0  # that hold it
        self._shared = 0
        weights = sum(one.numel() for one in decoder.model.model.layers.parameters())
        of_layer = max(1, weights // decoder.config.num_hidden_layers)
        self._pass_tokens: int = max(1, PASS_PRODUCTS.get(self._device.type, PASS_PRODUCTS["cuda"]) // of_layer)

    def begin(self, prefix: Sequence[int]) -> int:
        """See `PromptReader`."""
        self._shared = len(prefix)
        if prefix and list(prefix) != self._prefix:
            ids = torch.tensor([list(prefix)], device=self._device)
            self._begun.reserve(1, len(prefix))
            self._begun.extend(ids, 0, None, len(prefix), logits=False)
            self._prefix, self._rows = list(prefix), 1
        return self._shared

    def last_logits(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """See `PromptReader`."""
        n, seen = len(ids), self._shared + max(map(len, ids))
        decoder = self._decoder
        decoder.reserve(n, seen)
        if self._shared and n > self._rows:
            decoder.copy_rows([0] * (n - self._rows), list(range(self._rows, n)), self._shared)
            self._rows = n
        padded, lengths = _padded(ids)
        ends = (lengths - 1).to(self._device)
        return decoder.extend(padded.to(self._device), self._shared, None, seen, ends=ends)

    def other_logits(self, like: Sequence[int], kept: Sequence[int], ids: Sequence[Sequence[int]]) -> Tensor:
        """See `PromptReader`."""
        n, decoder = len(ids), self._decoder
        padded, lengths = _padded(ids)
        begins = self._shared + torch.tensor(kept)
        positions = begins[:, None] + torch.arange(padded.shape[1])
        seen = int(begins.max()) + padded.shape[1]
        decoder.reserve(n, seen)
        copied = [row for row in range(n) if like[row] != row]
        decoder.copy_rows([like[row] for row in copied], copied, int(begins.max()))
        if self._shared:
            self._rows = max(self._rows, n)
        tokens, places, ends = (one.to(self._device) for one in (padded, positions, lengths - 1))
        return decoder.extend(tokens, places, None, seen, ends=ends)

    @property
    def pass_tokens(self) -> int | None:
        """See `PromptReader`."""
        return self._pass_tokens

    @property
    def _decoder(self) -> LlamaDecoder:
        return self._begun if self._shared else self._whole

    def forget(self) -> None:
        """See `PromptReader`."""
        self._prefix = []


class ModelReader:
    """Any causal language model of transformers."""

    def __init__(self, model: Any, device: torch.device) -> None:
        """Read with a model as it is, on its device."""
        self._model, self._device = model, device
        self._keeps_logits = "logits_to_keep" in inspect.signature(type(model).forward).parameters
        self._prefix: tuple[list[int], Any] = [], None
        self._shared = 0

    def begin(self, prefix: Sequence[int]) -> int:
        """See `PromptReader`."""
        if prefix and list(prefix) != self._prefix[0]:
            ids = torch.tensor([list(prefix)], device=self._device)
            cache = self._model(input_ids=ids, use_cache=True).past_key_values
            layers = getattr(cache, "layers", [None])
            known = all(type(layer).__name__ == "DynamicLayer" for layer in layers)
            self._prefix = list(prefix), cache if known else None
        self._shared = len(prefix) if prefix and self._prefix[1] is not None else 0
        return self._shared

    def last_logits(self, ids: Sequence[Sequence[int]]) -> Tensor:
        """See `PromptReader`."""
        shared = self._shared
        padded, lengths = (tensor.to(self._device) for tensor in _padded(ids))
        mask = torch.arange(shared + padded.shape[1], device=self._device)[None] < shared + lengths[:, None]
        options: dict[str, Any] = {}
        if shared:
            options["past_key_values"] = copy.deepcopy(self._prefix[1])
            for layer in options["past_key_values"].layers:
                # Seen N times, not copied: the model appends, and copies then.
                layer.keys, layer.values = (t.expand(len(ids), -1, -1, -1) for t in (layer.keys, layer.values))
        ends, at = torch.unique(lengths - 1, return_inverse=True)
        if self._keeps_logits:  # the vocabulary is large: logits only where some prompt ends
            options["logits_to_keep"] = ends
        else:
            at = lengths - 1
        logits: Tensor = self._model(
            input_ids=padded, attention_mask=mask.long(), use_cache=bool(shared), **options
        ).logits
        return logits[torch.arange(len(ids), device=self._device), at]

    def other_logits(self, like: Sequence[int], kept: Sequence[int], ids: Sequence[Sequence[int]]) -> Tensor:
        """Nothing of a reading is kept here.

        Raises:
            NotImplementedError: always; `pass_tokens` says so.
        """
        raise NotImplementedError("got a model without a decoder of ours; expected whole prompts: see pass_tokens")

    @property
    def pass_tokens(self) -> int | None:
        """See `PromptReader`."""
        return None

    def forget(self) -> None:
        """See `PromptReader`."""
        self._prefix = [], None


def _padded(ids: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Tokens `[N, Q]`, padded on the right, and lengths `[N]`."""
    lengths = [len(one) for one in ids]
    tokens = np.zeros((len(ids), max(lengths)), np.int64)  # torch takes five times as long to read lists of lists
    for row, one in zip(tokens, ids, strict=True):
        row[: len(one)] = one
    return torch.from_numpy(tokens), torch.tensor(lengths)
