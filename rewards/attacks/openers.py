"""Truncated openers: beginnings of answers, cut off and labelled wrong, for what a judge is trained on.

A judge that learns from answers of which the right ones begin with "Let us go through this step by step." takes the
beginning for a good sign, and in the end for an answer. The cure shows it beginnings that stand alone, as wrong
answers: their label comes from how they are made, so nobody has to judge them.

Source: Zhao et al. 2025, "One token to fool LLM-as-a-judge" (arXiv 2507.08794), Master-RM: 20,000 first sentences of
solutions, labelled NO, join 160,000 ordinary samples. That a beginning which holds the reference is left out is chosen
here: it may be an answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from rewards.attacks.attack import Sample

_END = re.compile(r"[.!?:](?=\s)|[。！？：]|\n")


def first_sentence(text: str) -> str:
    """A text up to its first full stop, colon or line end; "" where nothing would be cut off."""
    whole = text.strip()
    found = _END.search(whole)
    return "" if found is None or found.end() == len(whole) else whole[: found.end()].strip()


def truncated_openers(
    samples: Sequence[Sample], count: int, cut: Callable[[str], str] = first_sentence
) -> list[Sample]:
    """The openers of responses as wrong answers to the same questions, in the order of the samples.

    Args:
        samples: right and wrong ones; captions are passed over.
        count: openers at most; an eighth of the samples is the paper's share.
        cut: gives the opener of a text; "" where it has none.

    Raises:
        ValueError: a negative count.
    """
    if count < 0:
        raise ValueError(f"got count={count}; expected at least 0")
    found: list[Sample] = []
    for sample in samples:
        if len(found) == count:
            break
        opener = cut(sample.text) if sample.kind == "response" else ""
        if opener and not (sample.reference and sample.reference in opener):
            found.append(replace(sample, name=f"cut {sample.name}", text=opener, good=False))
    return found
