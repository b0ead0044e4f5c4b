"""Questions about captions, and what their subjects are called.

A caption's subject is its id in decimal. A pair's subject is 32 hex digits of a hash of both ids in their order, so
that (a, b) and (b, a) are two questions; the two kinds never share a subject.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from envs.captions import caption_id
from rewards.judges.judge import Question

if TYPE_CHECKING:
    from rewards.verdicts import Verdict


def caption_question(text: str) -> Question:
    """Ask whether one caption is helpful.

    Raises:
        ValueError: `text` is empty: a step without a caption has nothing to be judged.
    """
    return Question(subject=str(_judgeable_id(text)), kind="caption", texts=(text,))


def pair_question(first: str, second: str) -> Question:
    """Ask which of two captions is better.

    Raises:
        ValueError: a text is empty or holds a newline, or both are the same.
    """
    ids = _judgeable_id(first), _judgeable_id(second)
    if ids[0] == ids[1]:
        raise ValueError(f"got the caption {first!r} twice; expected a pair of two different captions")
    return Question(subject=pair_subject(*ids), kind="pair", texts=(first, second))


def pair_subject(first_id: int, second_id: int) -> str:
    """The subject of an ordered pair of caption ids."""
    return hashlib.blake2b(f"{first_id} {second_id}".encode(), digest_size=16).hexdigest()


def judged_texts(verdict: Verdict) -> tuple[str, ...]:
    """The captions a verdict is about: one, or the two of a pair in their order.

    Raises:
        ValueError: a pair's text is not two lines.
    """
    if verdict.subject_kind != "pair":
        return (verdict.text,)
    texts = tuple(verdict.text.split("\n"))
    if len(texts) != 2:
        raise ValueError(f"verdict on pair {verdict.subject}: got {len(texts)} lines of text; expected 2")
    return texts


def judged_ids(verdict: Verdict) -> list[int]:
    """Ids of the captions that a verdict is about."""
    return [caption_id(text) for text in judged_texts(verdict)]


def _judgeable_id(text: str) -> int:
    if "\n" in text:
        raise ValueError(f"got the caption {text!r} with a newline; expected canonical text on one line")
    identity = caption_id(text)
    if identity == 0:
        raise ValueError(f"got the empty caption {text!r}; expected text: steps without a caption are not judged")
    return identity
