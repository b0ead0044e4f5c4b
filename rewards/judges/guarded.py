"""`GuardedJudge`: what can be told without a model is told before a judge is asked.

Texts are cleaned of what cannot be seen, and plain tags that a template may know ("<s>") are broken by a space. A text
that is too long, spells a control token, says nothing, or talks to the judge is the policy's fault: it gets no value
and a cause in words, and no call is spent. Sentences said more than twice, outside of code fences, are said twice:
repeating a good step is no progress. All else reaches the judge as it is, and honest texts are hardly ever touched; how
often they are, `guerdon attack` measures as its false negatives.

    caption, response:    refused → policy_fault, NULL
    pair:                 one refused → the other is better; both → policy_fault, NULL
    trajectory, group:    refused where a text is; members of a group are refused one by one

A game's captions are the game's words, not the policy's: for them the filters of `trivial` and `addressed` still hold,
because a policy may name a thing, write on the floor, or choose its own words in another environment.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from rewards.judges import addressed, trivial, untrusted
from rewards.judges.judge import Answer, Judge, Question
from rewards.verdicts import Status

_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?](?=\S)[^.!?\n]*)*[.!?\n]*\s*")  # 0.25 is no end of one
_FENCED = re.compile(r"(```.*?```)", re.DOTALL)
_PLAIN_TAG = re.compile(r"</?[a-z]+>")
SAID_AT_MOST = 2


class Config(BaseModel):
    """What is refused.

    Attributes:
        max_chars: longest text.
        refuse_trivial: whether answers that say nothing are refused.
        refuse_addressed: whether texts that talk to the judge are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_chars: int = Field(untrusted.MAX_CHARS, ge=1)
    refuse_trivial: bool = True
    refuse_addressed: bool = True


class Guard:
    """Decides about one text; keeps nothing between texts."""

    def __init__(self, config: Config | None = None, special_tokens: Iterable[str] = ()) -> None:
        """Guard against a tokenizer's control tokens too.

        Args:
            config: what is refused.
            special_tokens: of the judge's tokenizer, see `untrusted.special_tokens_of`.
        """
        self.config = config or Config()
        self._special_tokens = tuple(special_tokens)
        code = [Path(str(module.__file__)).read_text() for module in (untrusted, trivial, addressed)]
        parts = [self.config.model_dump_json(), *self._special_tokens, *code, str(SAID_AT_MOST)]
        parts += [_SENTENCE.pattern, _FENCED.pattern]
        self.fingerprint = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]

    def look(self, text: str, question: str = "", reference: str = "") -> tuple[str, str]:
        """What a judge may see of a text, and why it may not; the reason is empty where it may."""
        try:
            cleaned = untrusted.clean(text, self._special_tokens, self.config.max_chars)
        except untrusted.UntrustedTooLong as error:
            return "", str(error)
        reason = ""
        if spelt := [token for token in cleaned.control_tokens if not _PLAIN_TAG.fullmatch(untrusted.fold(token))]:
            reason = f"the text spells control tokens: {', '.join(map(repr, spelt[:3]))}"
        if not reason and self.config.refuse_trivial:
            reason = trivial.why_trivial(cleaned.text, question, reference)
        if not reason and self.config.refuse_addressed:
            reason = addressed.why_addressed(cleaned.text, question)
        return said_twice(cleaned.text), reason


class GuardedJudge:
    """A `Judge` behind a guard."""

    def __init__(self, judge: Judge, guard: Guard | None = None) -> None:
        """Guard `judge`."""
        self._judge, self._guard = judge, guard or Guard()
        parts = f"{self._guard.fingerprint}\n{judge.fingerprint}"
        self._fingerprint = "guarded-" + hashlib.sha256(parts.encode()).hexdigest()[:16]

    @property
    def fingerprint(self) -> str:
        """Hash of the judge and of all that decides before it."""
        return self._fingerprint

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer all `questions`, in their order; the judge is asked about what got past the guard."""
        answers: list[Answer | None] = []
        passed: list[Question] = []
        members: dict[int, list[int]] = {}  # of groups some of whose members were refused: which went on
        for place, question in enumerate(questions):
            known = question.fields
            looks = [
                self._guard.look(text, known.get("prompt", ""), known.get("reference", "")) for text in question.texts
            ]
            reasons = [reason for _, reason in looks]
            shown = [text for text, reason in looks if not reason]
            if question.kind == "group" and 0 < len(shown) < len(looks):
                members[place] = [k for k, reason in enumerate(reasons) if not reason]
                answers.append(None)
                passed.append(replace(question, texts=tuple(shown)))
            elif (answer := _decided(question, reasons)) is not None:
                answers.append(answer)
            else:
                answers.append(None)
                passed.append(replace(question, texts=tuple(text for text, _ in looks)))
        asked = iter(await self._judge.judge(passed) if passed else [])
        found = [next(asked) if answer is None else answer for answer in answers]
        return [
            _spread(answer, members[place], len(questions[place].texts)) if place in members else answer
            for place, answer in enumerate(found)
        ]

    async def check(self) -> None:
        """Ask the judge behind the guard.

        Raises:
            ConnectionError: it cannot be reached.
        """
        await self._judge.check()


def said_twice(text: str) -> str:
    """A text in which no sentence stands more than twice; the later ones go. What stands in code fences stays."""
    seen: Counter[str] = Counter()
    kept = []
    for place, part in enumerate(_FENCED.split(text)):
        if place % 2:
            kept.append(part)
            continue
        for sentence in filter(None, _SENTENCE.findall(part)):
            key = " ".join(sentence.split()).casefold()
            seen[key] += 1
            if not any(map(str.isalnum, key)) or seen[key] <= SAID_AT_MOST:
                kept.append(sentence)
    return "".join(kept).strip() if max(seen.values(), default=0) > SAID_AT_MOST else text


def _decided(question: Question, reasons: Sequence[str]) -> Answer | None:
    """What the guard's reasons alone decide; None where the judge must be asked."""
    if not any(reasons):
        return None
    if question.kind == "pair" and not all(reasons):
        return Answer(Status.OK, 0.0 if reasons[0] else 1.0, details={"refused": list(reasons)})
    return Answer(Status.POLICY_FAULT, cause=next(filter(None, reasons)))


def _spread(answer: Answer, places: Sequence[int], size: int) -> Answer:
    """Scores of the members that were judged, at their places in the whole group; NULL for the others."""
    by_place = dict(zip(places, answer.scores, strict=False))
    return replace(answer, scores=tuple(by_place.get(k) for k in range(size)))
