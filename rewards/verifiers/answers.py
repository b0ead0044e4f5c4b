"""Questions with short answers, as SQuAD marks them: exact match and F1 after normalisation.

Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", 2016, arXiv 1606.05250: lower
case, no punctuation, no articles, single spaces; F1 over the two bags of words. Where that leaves nothing of either
text they are compared as they stand: else an empty reply would be right wherever the answer is "A" or "+".
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from rewards.functions import reward

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Text without case, punctuation, articles and superfluous space."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def _bare(text: str, other: str) -> str:
    """Text normalised; where nothing is left of it and of the other, such as "+" and "-", or "A" and none, with all."""
    return normalised(text) or (" ".join(text.lower().split()) if not normalised(other) else "")


@reward(subject="episode")
def answer_match(completion: str, answer: str | Sequence[str]) -> float | None:
    """1 if completion and an answer are equal once normalised, else 0; abstains without an answer."""
    answers = [answer] if isinstance(answer, str) else list(answer)
    return float(any(_bare(completion, one) == _bare(one, completion) for one in answers)) if answers else None


@reward(subject="episode")
def answer_f1(completion: str, answer: str | Sequence[str]) -> float | None:
    """F1 of the words shared with the nearest answer, in [0, 1]; abstains without an answer."""
    answers = [answer] if isinstance(answer, str) else list(answer)
    return max(word_f1(completion, one) for one in answers) if answers else None


def word_f1(completion: str, answer: str) -> float:
    """F1 of two bags of normalised words; two empty ones agree, an empty and another do not."""
    written, wanted = _bare(completion, answer).split(), _bare(answer, completion).split()
    if not written or not wanted:
        return float(written == wanted)
    shared = sum((Counter(written) & Counter(wanted)).values())
    return 2 * shared / (len(written) + len(wanted))
