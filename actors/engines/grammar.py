"""`Grammar`: keeps what a model writes to a JSON schema: at each token, only what can still become one is allowed.

The only file that imports llguidance, which knows schemas and tokenizers and computes the allowed tokens.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch


class Grammar:
    """What is computed once for a tokenizer, a second for a large one."""

    def __init__(self, tokenizer: Any) -> None:
        """Read the vocabulary of a fast tokenizer of transformers.

        Raises:
            ImportError: llguidance is not installed.
            ValueError: the tokenizer is not a fast one.
        """
        try:
            import llguidance
        except ImportError as error:
            raise ImportError("replies bound by a JSON schema need llguidance: pip install llguidance") from error
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise ValueError(f"got {type(tokenizer).__name__}; expected a fast tokenizer (tokenizer.json)")
        self._llguidance: Any = llguidance
        text = tokenizer.backend_tokenizer.to_str()
        self._tokenizer = llguidance.LLTokenizer(text, eos_token=tokenizer.eos_token_id)
        self._compiled: dict[str, Any] = {}

    def start(self, schema: Mapping[str, Any]) -> Guide:
        """A guide for one reply.

        Raises:
            ValueError: the schema cannot be kept.
        """
        key = json.dumps(schema)
        if key not in self._compiled:
            compact = {"whitespace_flexible": False}
            grammar = self._llguidance.LLMatcher.grammar_from_json_schema(key, defaults=compact)
            matcher = self._llguidance.LLMatcher(self._tokenizer, grammar)
            if matcher.is_error():
                raise ValueError(f"got a JSON schema that replies cannot be kept to: {matcher.get_error()}")
            self._compiled[key] = matcher
        return Guide(self._compiled[key].deep_copy())


class Guide:
    """Follows one reply, token by token."""

    def __init__(self, matcher: Any) -> None:
        """Begin at the beginning."""
        self._matcher = matcher

    @property
    def complete(self) -> bool:
        """Whether nothing can follow."""
        return bool(self._matcher.is_stopped())

    def mask(self, logits: torch.Tensor) -> None:
        """Make tokens that cannot come next impossible, in place, `[vocabulary]`."""
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        allowed = torch.from_numpy(np.unpackbits(bits, bitorder="little").astype(bool))[: len(logits)]
        logits[: len(allowed)][~allowed] = -torch.inf
        logits[len(allowed) :] = -torch.inf  # rows of the embedding beyond the vocabulary

    def accept(self, token: int) -> bool:
        """Take the token that was chosen; False where it does not fit, or ends the reply."""
        return bool(self._matcher.consume_token(token))
