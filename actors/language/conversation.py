"""`Conversations`: conversations that grow token by token, by a model's own chat template.

What a policy sampled is never tokenised again: other tokens may spell the same text, and would have other
log-probabilities. So a conversation is its first prompt, tokenised, then the policy's own tokens, then the template's
text up to the next reply, and so on.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

Message = Mapping[str, str]


class Conversations:
    """Conversations with one tokenizer of transformers that has a chat template."""

    def __init__(self, tokenizer: Any) -> None:
        """Read the control tokens of a tokenizer."""
        self._tokenizer = tokenizer
        added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        texts = (added | set(tokenizer.all_special_tokens)) - {""}
        self._control_tokens = sorted(texts, key=lambda text: (-len(text), text))

    def opening(self, messages: Sequence[Message]) -> list[int]:
        """Token ids up to where the policy's first reply begins.

        Raises:
            TemplateError: the template refuses these messages.
        """
        return self._tokenise(self._render(messages))

    def plain(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of messages without a template, for the record of what a template refuses."""
        return self._tokenise("\n".join(self._disarm(message["content"]) for message in messages))

    def continuation(self, messages: Sequence[Message], news: Sequence[Message], last: int) -> list[int]:
        """What stands between the policy's last token and its next reply.

        Args:
            messages: the conversation so far; the last one is the policy's.
            news: what the world says to it.
            last: the policy's last token; the token that ends a turn is not written twice.

        Raises:
            TemplateError: the template refuses these messages.
            ValueError: the template does not write a reply as it is.
        """
        mark = f"reply {secrets.token_hex(8)}"
        text = self._render([*messages[:-1], {**messages[-1], "content": mark}, *news])
        if text.count(mark) != 1:
            raise ValueError(
                f"got a chat template that writes a reply {text.count(mark)} times; expected once and as it is: this "
                "template cannot carry a conversation of several turns, use another"
            )
        ids = self._tokenise(text.split(mark)[1])
        return ids[1:] if ids[:1] == [last] else ids

    def reply(self, tokens: Sequence[int]) -> str:
        """What the policy said, without control tokens."""
        text: str = self._tokenizer.decode(list(tokens), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    @cached_property
    def _roles(self) -> frozenset[str]:
        """Roles of messages that the template writes."""
        ask, reply, probe = ({"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}, "probe of a role")
        known = {"user", "assistant"}
        for role, before, after in (("system", [], [ask]), ("tool", [ask, reply], [])):
            try:
                text = self._write([*before, {"role": role, "content": probe}, *after])
            except TemplateError:
                continue
            known |= {role} if probe in text else set()
        return frozenset(known)

    def _render(self, messages: Sequence[Message]) -> str:
        """The template's text; in roles that it knows, and with nobody's words read as control tokens.

        Where the template knows no tools they speak as the user, and where it knows no system, the first message does.
        """
        safe = [{**message, "content": self._disarm(message["content"])} for message in messages]
        if "system" not in self._roles and safe[0]["role"] == "system":
            system, *rest = safe
            if rest and rest[0]["role"] == "user":
                first = {"role": "user", "content": f"{system['content']}\n\n{rest[0]['content']}"}
                safe = [first, *rest[1:]]
        return self._write([m if m["role"] in self._roles else {**m, "role": "user"} for m in safe])

    def _write(self, messages: Sequence[Message]) -> str:
        # enable_thinking: models that reason first would otherwise have their thoughts opened for them.
        text: str = self._tokenizer.apply_chat_template(
            [dict(message) for message in messages], tokenize=False, add_generation_prompt=True, enable_thinking=False
        )
        return text

    def _disarm(self, content: str) -> str:
        """Break what would be read as a control token: a message could end its turn and begin another's."""
        for token in self._control_tokens:
            content = content.replace(token, f"{token[0]} {token[1:]}")
        return content

    def _tokenise(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids
