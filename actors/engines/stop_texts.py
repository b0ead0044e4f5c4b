"""`StopTexts`: whether a reply has just come to a text that ends it, without decoding it after every token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class StopTexts:
    """Texts that end a reply, for one tokenizer."""

    def __init__(self, texts: Sequence[str], tokenizer: Any, vocabulary: int) -> None:
        """Find the tokens that can complete one of `texts`: they hold its last character, or a part of one.

        Args:
            texts: not empty.
            tokenizer: of transformers.
            vocabulary: token ids are below it.
        """
        self._texts, self._tokenizer = tuple(texts), tokenizer
        last = {text[-1] for text in texts}
        spelt = tokenizer.batch_decode([[token] for token in range(min(vocabulary, len(tokenizer)))])
        # U+FFFD stands for bytes that are a character only together with their neighbours.
        self._candidates = {token for token, text in enumerate(spelt) if "\ufffd" in text or last & set(text)}
        self._reach = max(len(text.encode()) for text in texts)

    def ends(self, tokens: Sequence[int], start: int) -> bool:
        """Whether the last of `tokens`, of which the reply begins at `start`, completes a text."""
        if tokens[-1] not in self._candidates:
            return False
        # A token spells a byte at least, so that no text reaches further back.
        recent = tokens[max(start, len(tokens) - self._reach) :]
        found: str = self._tokenizer.decode(recent)
        return any(text in found for text in self._texts)
