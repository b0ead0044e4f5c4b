"""`ChatTokenizer`: chats as token ids, and the first token of an answer."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from actors.language.conversation import Conversations

Message = Mapping[str, str]
_BACKED = "transformers.tokenization_utils_tokenizers"  # where tokenizers that are backed by a Rust one are defined


def special_tokens_of(tokenizer: Any) -> tuple[str, ...]:
    """Texts that a tokenizer of transformers reads as control or added tokens, sorted."""
    texts = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab()}
    return tuple(sorted(text for text in texts if text.strip()))


class ChatTokenizer:
    """A tokenizer of transformers that has a chat template."""

    def __init__(self, tokenizer: Any, name: str) -> None:
        """Wrap a tokenizer of the model called `name`.

        Raises:
            ValueError: it has no chat template.
        """
        if not tokenizer.chat_template:
            raise ValueError(
                f"got model {name!r}, whose tokenizer has no chat template; expected an instruction-tuned "
                "model: choose one, or save a chat_template.jinja beside its tokenizer"
            )
        self.tokenizer, self._name = tokenizer, name
        self._first_tokens: dict[tuple[str, ...], list[int]] = {}
        self._markers, self._quick = _markers_of(tokenizer), _quick_of(tokenizer)
        self._begun: tuple[str, list[int]] = "", []  # the latest beginning that chats had in common, and its ids
        self._lock = threading.RLock()  # tokenizers of transformers are for one thread at a time

    @property
    def special_tokens(self) -> tuple[str, ...]:
        """Texts that the tokenizer reads as control or added tokens."""
        return special_tokens_of(self.tokenizer)

    @cached_property
    def conversations(self) -> Conversations:
        """Those that grow token by token, with the same tokenizer."""
        return Conversations(self.tokenizer)

    def ids(self, chats: Sequence[Sequence[Message]]) -> list[list[int]]:
        """Token ids of chats, each up to where the reply begins."""
        with self._lock:
            texts = self._render(chats)
            begin, marker = self._beginning(texts)
            if not begin:
                return self._tokenise(texts)
            if begin != self._begun[0]:
                self._begun = begin, self._tokenise([begin])[0]
            # The marker goes along, because a tokenizer may treat the very first word of a text in a way of its own.
            rests = self._tokenise([marker + text[len(begin) :] for text in texts])
            return [self._begun[1] + ids[1:] for ids in rests]

    def first_tokens(self, choices: Sequence[str]) -> list[int]:
        """The first token of each choice as it is spelt right after the generation prompt.

        Raises:
            ValueError: two choices begin with the same token.
        """
        with self._lock:
            return self._first(tuple(choices))

    def _first(self, key: tuple[str, ...]) -> list[int]:
        if key not in self._first_tokens:
            (start,) = self._render([[{"role": "user", "content": "?"}]])
            base, *whole = self._tokenise([start, *(start + choice for choice in key)])
            alone = self._tokenise(key)
            # Where a vocabulary merges across the border, the word on its own is what the model would write.
            first = [w[len(base)] if w[: len(base)] == base else a[0] for w, a in zip(whole, alone, strict=True)]
            if len(set(first)) < len(first):
                raise ValueError(
                    f"got the choices {list(key)}, whose first tokens are {first} for model {self._name!r}; "
                    "expected all different: choose other words"
                )
            self._first_tokens[key] = first
        return self._first_tokens[key]

    def _render(self, chats: Sequence[Sequence[Message]]) -> list[str]:
        if not chats:
            return []
        # enable_thinking: models that reason first would otherwise not answer with their first token.
        texts: list[str] = self.tokenizer.apply_chat_template(
            [list(chat) for chat in chats], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return texts

    def _beginning(self, texts: Sequence[str]) -> tuple[str, str]:
        """What texts have in common up to a control token, and that token; empty where there is nothing.

        Tokenizers cut a text at its control tokens first, so what stands before one and what stands behind it can be
        tokenised apart: what all chats begin with is tokenised once.
        """
        low, high = (min(texts), max(texts)) if len(texts) > 1 else ("", "")
        shared = next((n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
        common = low[:shared]
        at, marker = max(((common.rfind(token), token) for token in self._markers), default=(-1, ""))
        return (common[: at + len(marker)], marker) if at > 0 else ("", "")

    def _tokenise(self, texts: Sequence[str]) -> list[list[int]]:
        if not texts:
            return []
        if self._quick is not None and _plain(self._quick):  # ids alone, a third of the work
            return [found.ids for found in self._quick.encode_batch_fast(list(texts), add_special_tokens=False)]
        ids: list[list[int]] = self.tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
        return ids


def _quick_of(tokenizer: Any) -> Any:
    """What reads texts for a tokenizer of transformers whose class adds nothing of its own to that; else None."""
    ways = (("__call__", "transformers.tokenization_utils_base"), ("_encode_plus", _BACKED))
    own = any(getattr(getattr(type(tokenizer), name, None), "__module__", "") != module for name, module in ways)
    return None if own or tokenizer.split_special_tokens else tokenizer.backend_tokenizer


def _plain(quick: Any) -> bool:
    """Whether it neither pads nor cuts, and knows control tokens."""
    return quick.padding is None and quick.truncation is None and not quick.encode_special_tokens


def _markers_of(tokenizer: Any) -> list[str]:
    """Control tokens at which a text falls into two that have nothing to do with each other."""
    added = {str(token): token for token in getattr(tokenizer, "added_tokens_decoder", {}).values()}
    return [
        text
        for text, token in added.items()
        if token.special
        and not (token.normalized or token.single_word or token.lstrip or token.rstrip)
        and not any(text != other and text in other for other in added)
    ]
