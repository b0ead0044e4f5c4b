"""Rules that were read off preferences: found by a model once, judged yes or no for each answer, and paid by share."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.judges.untrusted import FENCE_RULE, render

Floats = NDArray[np.float64]

JUSTIFY = (
    FENCE_RULE + "\nExplain step by step why, as an answer to this question,\n{question}\nthis one\n{chosen}\n"
    "is better than this one:\n{rejected}"
)
EXTRACT = (
    FENCE_RULE + "\nList the rules for good answers that this reasoning uses. One rule a line, each a statement that "
    "an answer meets or does not meet; nothing else.\n{reasoning}"
)
MERGE = (
    FENCE_RULE + "\nMerge rules that say the same, and drop those that contradict others. One rule a line; nothing "
    "else.\n{rules}"
)

_MARK = re.compile(r"^\s{0,20}(?:[-*•]|\d{1,3}[.)])\s")


class Preferred(NamedTuple):
    """A question, and the better and the worse of two answers to it."""

    question: str
    chosen: str
    rejected: str


def extract_rules(pairs: Sequence[Preferred], ask: Callable[[str], str], most: int = 30) -> list[str]:
    """Rules of preferences, found by a language model in three steps: justify, extract, merge.

    Source: "AutoRule: Reasoning Chain-of-thought Extracted Rule-based Rewards Improve Preference Learning"; the wording
    of the prompts and the bound are chosen here.

    Args:
        pairs: a few hundred are enough.
        ask: the model: a prompt in, a text out.
        most: rules that are kept.

    Returns:
        Rules, one sentence each; what the model wrote, so text that nobody vouches for.

    Raises:
        ValueError: there are no pairs, or the model named no rule.
    """
    if not pairs:
        raise ValueError("got no preferences; expected at least one pair")
    candidates: list[str] = []
    for pair in pairs:
        why = ask(render(JUSTIFY, pair._asdict()))
        candidates += _lines(ask(render(EXTRACT, {"reasoning": why})))
    if not candidates:
        raise ValueError(f"got no rule from {len(pairs)} pairs; expected one a line: see what the model replies")
    merged = ask(render(MERGE, {"rules": "\n".join(dict.fromkeys(candidates))}))
    return list(dict.fromkeys(_lines(merged)))[:most]


def rule_share(satisfied: ArrayLike) -> Floats:
    """Share of the rules that each answer meets: r = (1 / |R|) Σ_i V_i; 0 where there are no rules.

    A rule whose judge failed is in no share; an answer of which no rule is known is NaN.

    Source: "AutoRule: Reasoning Chain-of-thought Extracted Rule-based Rewards Improve Preference Learning".

    Args:
        satisfied: 1 or 0, or NaN where the judge failed `[N, R]`.

    Returns:
        `[N]`, between 0 and 1; 1 exactly where all rules are met.

    Raises:
        ValueError: not a matrix, or other values.
    """
    matrix = _verdicts(satisfied)
    if not matrix.shape[1]:
        return np.zeros(len(matrix))
    known = ~np.isnan(matrix)
    met: Floats = np.where(known, matrix, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), met / np.maximum(known.sum(axis=1), 1), np.nan)


def telling_rules(chosen: ArrayLike, rejected: ArrayLike, least: float = 0.55, alike: float = 0.95) -> list[int]:
    """Numbers of the rules that agree with preferences and do not repeat each other, the best first.

    A rule agrees with a pair where the chosen answer meets it and the rejected one does not, half where both or neither
    do. Of two rules that say the same of `alike` of all answers, the one that agrees more is kept.

    Both bounds are chosen here.

    Args:
        chosen: which rule the chosen answer of each pair meets `[P, R]`; NaN where the judge failed.
        rejected: the same of the rejected answers.
        least: mean agreement that a rule must have.
        alike: share of equal verdicts from which on two rules are one.

    Raises:
        ValueError: shapes differ, there are no pairs, or verdicts are not 0, 1 or NaN.
    """
    better, worse = _verdicts(chosen), _verdicts(rejected)
    if better.shape != worse.shape or not len(better):
        raise ValueError(f"got verdicts of shapes {better.shape} and {worse.shape}; expected the same [P, R], P > 0")
    known = ~np.isnan(better - worse)
    wins = np.where(known, 0.5 + (better - worse) / 2, 0.0).sum(axis=0)
    agreement = wins / np.maximum(known.sum(axis=0), 1)
    both = np.concatenate([better, worse])
    kept: list[int] = []
    for rule in np.argsort(-agreement, kind="stable").tolist():
        repeats = any(np.mean(both[:, rule] == both[:, other]) >= alike for other in kept)
        if agreement[rule] >= least and not repeats:
            kept.append(rule)
    return kept


def _verdicts(values: ArrayLike) -> Floats:
    matrix = np.asarray(values, np.float64)
    if matrix.ndim != 2 or not (np.isnan(matrix) | (matrix == 0) | (matrix == 1)).all():
        raise ValueError(f"got verdicts of shape {matrix.shape}; expected 0, 1 or NaN, one an answer and a rule [N, R]")
    return matrix


def _lines(text: str) -> list[str]:
    """Lines with something in them, without the marks of a list."""
    lines = (_MARK.sub("", line).strip() for line in text.splitlines())
    return [line for line in lines if line]
