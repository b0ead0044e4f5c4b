"""`RewardModelEngine`: a reward model of a Hugging Face directory: a sequence classifier with one or more outputs.

A chat, or a plain text where the tokenizer has no chat template, goes in; raw logits come out, unsquashed. What they
mean is said by whoever asks (rewards/judges/reward_model.py).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from actors.engines import pretrained
from actors.engines.chat_tokenizer import Message, special_tokens_of
from actors.engines.length_batches import length_batches

Config = pretrained.Config


@dataclass(frozen=True)
class Logits:
    """What a classifier says of N texts.

    Attributes:
        logits: `[N, outputs]`; NaN where a text did not fit.
        tokens: tokens of each text, `[N]`.
        too_long: texts that did not fit and were not scored, `[N]`.
    """

    logits: NDArray[np.float64]
    tokens: NDArray[np.int64]
    too_long: NDArray[np.bool_]


class RewardModelEngine:
    """A sequence classifier with its tokenizer."""

    def __init__(self, config: Config) -> None:
        """Load the model.

        Raises:
            FileNotFoundError: there is no such model, or it cannot be had.
            ValueError: the device is unknown.
        """
        self.config = config
        found = pretrained.Pretrained(config, "sequence classifier")
        self._tokenizer, self._model, self._device = found.tokenizer, found.model, found.device
        self.max_prompt_tokens, self._max_batch_tokens = found.max_prompt_tokens, found.max_batch_tokens
        self.fingerprint = found.fingerprint
        self.special_tokens = special_tokens_of(found.tokenizer)
        self._pad: int | None = self._model.config.pad_token_id
        self._lock = threading.Lock()

    @property
    def outputs(self) -> int:
        """Numbers that the model gives for a text."""
        return int(self._model.config.num_labels)

    def score_texts(self, chats: Sequence[Sequence[Message]]) -> Logits:
        """The model's outputs for finished chats: what was asked, and what was answered.

        Args:
            chats: N chats of `{"role", "content"}`.

        Returns:
            Raw logits; texts that are too long are marked, not truncated.
        """
        with self._lock, torch.inference_mode():
            ids = [self._tokenise(chat) for chat in chats]
            tokens = np.array([len(i) for i in ids], np.int64)
            too_long = tokens > self.max_prompt_tokens
            logits = np.full((len(ids), self.outputs), np.nan)
            for places in length_batches(tokens, too_long, self._max_batch_tokens):
                logits[places] = self._run([ids[place] for place in places])
            return Logits(logits, tokens, too_long)

    def _tokenise(self, chat: Sequence[Message]) -> list[int]:
        if self._tokenizer.chat_template:
            text = self._tokenizer.apply_chat_template([dict(message) for message in chat], tokenize=False)
            ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        else:
            text = "\n\n".join(message["content"] for message in chat)
            ids = self._tokenizer(text, verbose=False)["input_ids"]
        return ids or [self._pad or 0]

    def _run(self, ids: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        """Outputs of one batch, `[N, outputs]`; padded on the right, by which decoders find where a text ends."""
        width, pad = max(map(len, ids)), self._pad
        if pad is None:
            # Not what the tokenizer would take: where that also ends texts, they would be read before their end.
            used = {token for one in ids for token in one}
            pad = next((token for token in range(len(used) + 1) if token not in used), 0)
            self._model.config.pad_token_id = pad if len(ids) > 1 else None
        padded = torch.tensor([[*i, *[pad] * (width - len(i))] for i in ids], device=self._device)
        mask = torch.tensor([[1] * len(i) + [0] * (width - len(i)) for i in ids], device=self._device)
        found: Any = self._model(input_ids=padded, attention_mask=mask).logits
        logits: NDArray[np.float64] = found.double().cpu().numpy()
        return logits
