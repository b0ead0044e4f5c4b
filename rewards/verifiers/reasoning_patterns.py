"""Phrases that go along with thinking: paid for being there, whatever the answer is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rewards.functions import reward

PHRASES = (
    "we know that", "first, we", "i need to", "let me check", "let me try", "let me think", "next,", "now we",
    "which means", "as a result", "therefore", "because", "since we", "so we have", "for example", "in other words",
    "on the other hand", "wait", "alternatively", "finally,",
)  # fmt: skip
"""Common ones, put together here; better are those that are frequent in good answers of the model that is trained."""

_WORD = re.compile(r"[\w']+")


def repeated_share(words: Sequence[str], n: int) -> float:
    """Share of the n-grams of a text that it has said before: 1 − different ones / all of them; 0 without any."""
    grams = list(zip(*(words[k:] for k in range(n)), strict=False))
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


@reward(subject="episode")
def reasoning_patterns(
    completion: str,
    phrases: Sequence[str] = PHRASES,
    each: float | None = None,
    ngram: int = 20,
    until: str = "</think>",
) -> float:
    """How many of the phrases occur: min(1, each · number), less the share of repeated n-grams; in [0, 1].

    A phrase counts once however often it is said, and case and punctuation do not matter. As the only reward it makes
    answers longer and longer in the end; it is there to help out a noisy one (the part `compensated`).

    Source: Lv et al. 2025, "The Climb Carves Wisdom Deeper Than the Summit" (arXiv 2505.22653), reasoning pattern
    reward: 40 phrases at 1/40 each, and a penalty of repeated 20-grams; the form of the penalty is chosen here.

    Args:
        completion: what the policy wrote.
        phrases: that count.
        each: what one of them is worth; None: one part of as many as there are.
        ngram: n of what is repeated.
        until: what ends the thoughts; only what stands before it counts, and all where it is missing.

    Raises:
        ValueError: there are no phrases, or n is below 1.
    """
    wanted = {" ".join(_words(phrase)) for phrase in phrases} - {""}
    if not wanted or ngram < 1:
        raise ValueError(f"got phrases {list(phrases)} and ngram={ngram}; expected some with words in them, and n ≥ 1")
    words = _words(completion.partition(until)[0] if until else completion)
    said = f" {' '.join(words)} "
    found = sum(f" {phrase} " in said for phrase in wanted)
    paid = min(1.0, found * (1 / len(wanted) if each is None else each))
    return max(0.0, paid - repeated_share(words, ngram))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower().replace("’", "'"))
