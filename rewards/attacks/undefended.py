"""`undefended`: the same judge with the same prompts, but texts go into them raw. Only to measure what defences do.

The judge is asked about a harmless word in place of each text. In the prompt that it sends, the word, with the fence
around it, is replaced by the text as it came, as `str.format` would have put it. No other part of a judge need know.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from rewards.judges.judge import Answer, Judge, Question

_FENCED = re.compile(r"\[BEGIN UNTRUSTED ([0-9a-f]+)\]\n(.*?)\n\[END UNTRUSTED \1\]", re.S)
_WORD = re.compile(r"rawtext(\d+)x")


class RawEngine:
    """An engine (actors/engines) that puts raw texts in place of words before it runs."""

    def __init__(self, engine: Any) -> None:
        """Wrap a loaded engine; all else is the engine's."""
        self._engine = engine
        self.texts: list[str] = []

    def __getattr__(self, name: str) -> Any:
        """Whatever the engine has."""
        return getattr(self._engine, name)

    def word_for(self, text: str) -> str:
        """The word that stands for a text."""
        self.texts.append(text)
        return f"rawtext{len(self.texts) - 1}x"

    def score_choices(self, prompts: Sequence[Sequence[Mapping[str, str]]], choices: Sequence[str]) -> Any:
        """Score with raw texts in the prompts."""
        return self._engine.score_choices([self._raw(prompt) for prompt in prompts], choices)

    def write(self, prompts: Sequence[Sequence[Mapping[str, str]]], *args: Any, **kwargs: Any) -> Any:
        """Write with raw texts in the prompts."""
        return self._engine.write([self._raw(prompt) for prompt in prompts], *args, **kwargs)

    def score_texts(self, chats: Sequence[Sequence[Mapping[str, str]]]) -> Any:
        """Score whole chats with raw texts in them."""
        return self._engine.score_texts([self._raw(chat) for chat in chats])

    def _raw(self, prompt: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        return [{**message, "content": self._filled(message["content"])} for message in prompt]

    def _filled(self, content: str) -> str:
        content = _FENCED.sub(lambda found: found[2], content)
        return _WORD.sub(lambda found: self.texts[int(found[1])], content)


class UndefendedJudge:
    """A `Judge` whose model sees texts as they came."""

    def __init__(self, engine: Any, build: Callable[[Any], Judge]) -> None:
        """Build the judge on an engine that puts raw texts into its prompts.

        Args:
            engine: loaded already.
            build: makes the judge of an engine.
        """
        self._engine = RawEngine(engine)
        self._judge = build(self._engine)

    @property
    def fingerprint(self) -> str:
        """That of the judge, marked."""
        return f"undefended-{self._judge.fingerprint}"

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order."""
        self._engine.texts.clear()
        word = self._engine.word_for
        return await self._judge.judge(
            [
                replace(
                    question,
                    texts=tuple(word(text) for text in question.texts),
                    context=tuple((name, word(text)) for name, text in question.context),
                )
                for question in questions
            ]
        )

    async def check(self) -> None:
        """Ask the judge.

        Raises:
            ConnectionError: it does not answer.
        """
        await self._judge.check()
