"""Words shared with reference texts: BLEU, chrF, ROUGE.

All in [0, 1]. BLEU and chrF are sacrebleu's; longest common subsequences are rapidfuzz's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Sequence
from typing import TypeVar

from rapidfuzz.distance import LCSseq
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from rewards.functions import PolicyFault, reward
from rewards.verifiers.tags import sections

LONGEST = 50_000
"""Characters of a completion; a longer one is a fault of the policy, not cut: what is cut off would be free."""

_BLEU = BLEU(effective_order=True)
_CHRF = CHRF()
_WORD = re.compile(r"[a-z0-9]+")

T = TypeVar("T", bound=Hashable)


@reward(subject="episode")
def bleu(completion: str, references: str | Sequence[str]) -> float | None:
    """Smoothed sentence BLEU-4; 1 for a reference itself, and never less for having more references.

    Counts are clipped by the best of all references, as in Papineni et al., 2002. Brevity is measured against the
    shortest reference, not the nearest in length: with the nearest, one more good reference can lower the score. With
    one reference it is sacrebleu's sentence BLEU.

    Source: as a reward, Chang et al., "BLEUBERI: BLEU is a surprisingly effective reward for instruction following",
    2025.
    """
    texts = _references(completion, references)
    if not texts:
        return None
    whole = _BLEU.sentence_score(completion, texts)
    shortest = min(_BLEU.sentence_score(completion, [text]).ref_len for text in texts)
    score = BLEU.compute_bleu(
        whole.counts, whole.totals, whole.sys_len, shortest, smooth_method="exp", effective_order=True
    ).score
    return min(float(score) / 100, 1.0)


@reward(subject="episode")
def chrf(completion: str, references: str | Sequence[str]) -> float | None:
    """Character n-gram F-score with the nearest reference (Popović, "chrF", 2015)."""
    texts = _references(completion, references)
    return min(float(_CHRF.sentence_score(completion, texts).score) / 100, 1.0) if texts else None


@reward(subject="episode")
def rouge_n(completion: str, references: str | Sequence[str], n: int = 1) -> float | None:
    """F1 of word n-grams with the nearest reference (Lin, "ROUGE", 2004), words in lower case, without stemming.

    Words are made of Latin letters and digits, as in the package rouge-score. It abstains where no reference has n of
    them, as in another script, where even the reference itself would be worth 0.
    """
    texts = [text for text in _references(completion, references) if _grams(text, n)]
    return max(f1(_grams(completion, n), _grams(text, n)) for text in texts) if texts else None


@reward(subject="episode")
def rouge_l(completion: str, references: str | Sequence[str]) -> float | None:
    """F1 of the longest common subsequence of words with the nearest reference (Lin, 2004); words as in `rouge_n`."""
    texts = _with_words(_references(completion, references))
    written = _WORD.findall(completion.lower())
    scores = []
    for text in texts:
        wanted = _WORD.findall(text.lower())
        total = len(written) + len(wanted)
        scores.append(2 * LCSseq.similarity(written, wanted) / total if total else 0.0)
    return max(scores, default=None)


@reward(subject="episode")
def tagged_bleu(completion: str, references: str | Sequence[str], tag: str = "translate") -> float | None:
    """-3 for a malformed completion, otherwise 1 + BLEU of what stands in the second of `<think>` and `<tag>`.

    Source: Feng et al., "MT-R1-Zero", 2025, its reward "Lex".
    """
    if not _references("", references):
        return None
    try:
        translated = sections(completion, ("think", tag))[tag]
    except PolicyFault:
        return -3.0
    score = bleu(translated, references)
    return None if score is None else 1.0 + float(score)


def _references(completion: str, references: str | Sequence[str]) -> list[str]:
    if len(completion) > LONGEST:
        raise PolicyFault(f"got {len(completion)} characters; expected at most {LONGEST}")
    return [references] if isinstance(references, str) else list(references)


def _with_words(texts: Sequence[str]) -> list[str]:
    return [text for text in texts if _WORD.search(text.lower())]


def _grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return Counter(zip(*(words[k:] for k in range(n)), strict=False))


def f1(written: Counter[T], wanted: Counter[T]) -> float:
    """F1 of two multisets: twice what they have in common, over the size of both; 1 of equals, and of nothing."""
    total = written.total() + wanted.total()
    return 2 * (written & wanted).total() / total if total else 1.0
