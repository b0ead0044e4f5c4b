"""Contamination: whether a model knows the questions of a benchmark by heart.

It is given the first words of each question, and writes on. Who has seen the set writes the rest of the question, and
its answer; who has not can neither. Gains on a set that is known by heart say little about a reward: in the paper,
rewards drawn by chance bring them, too.

Source: Wu et al. 2025, "Reasoning or Memorization? Unreliable Results of Reinforcement Learning Due to Data
Contamination" (arXiv 2507.10532), section 3.2: partial-prompt completion rate and answer accuracy at 80, 60 and 40 %,
greedily. Lengths are counted in words here, and as many words of a continuation are compared as the rest has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rewards.evaluation.accuracy import Rate
from rewards.verifiers.overlap import rouge_l

SHARES = (0.8, 0.6, 0.4)


@dataclass(frozen=True)
class Leak:
    """What a model makes of questions of which it was shown the beginning.

    Attributes:
        exact: share of the questions that it completes word by word.
        rouge_l: mean likeness of what it writes to the rest of the question; None where no rest has a word of letters
            or digits.
        answered: share of the questions with the right answer somewhere in what it writes.
    """

    exact: Rate
    rouge_l: float | None
    answered: Rate


def split_question(question: str, share: float) -> tuple[str, str]:
    """The first `share` of a question's words, and the rest: at least one word each.

    Raises:
        ValueError: a question of fewer than two words, or a share that is not between 0 and 1.
    """
    words = question.split()
    if len(words) < 2 or not 0 < share < 1:
        raise ValueError(f"got {question!r} and share={share}; expected two words or more, and a share between 0 and 1")
    cut = min(max(round(share * len(words)), 1), len(words) - 1)
    return " ".join(words[:cut]), " ".join(words[cut:])


def contamination(
    questions: Sequence[str],
    answers: Sequence[str],
    complete: Callable[[Sequence[str]], Sequence[str]],
    shares: Sequence[float] = SHARES,
) -> Mapping[float, Leak]:
    """Ask a model to go on with questions that break off.

    A set of the same kind that was made after the model was trained shows what the numbers are without a leak.

    Args:
        questions: of the benchmark, with spaces between words.
        answers: to each.
        complete: the model: from texts, how each goes on, greedily.
        shares: of each question that are shown.

    Returns:
        By share, what the model made of it.

    Raises:
        ValueError: other numbers of answers or continuations than of questions, or a question of one word.
    """
    if len(questions) != len(answers):
        raise ValueError(f"got {len(questions)} questions and {len(answers)} answers; expected one each")
    found = {}
    for share in shares:
        pieces = [split_question(question, share) for question in questions]
        written = complete([shown for shown, _ in pieces])
        if len(written) != len(questions):
            raise ValueError(f"got {len(written)} continuations of {len(questions)} texts; expected one each")
        found[share] = leak([rest for _, rest in pieces], answers, written)
    return found


def leak(rests: Sequence[str], answers: Sequence[str], written: Sequence[str]) -> Leak:
    """Compare continuations with the rests of questions and with their answers.

    Args:
        rests: of the questions.
        answers: to them.
        written: what the model wrote after the beginning of each.
    """
    exact = answered = 0
    likeness = []
    for rest, answer, text in zip(rests, answers, written, strict=True):
        wanted = rest.split()
        begun = text.split()[: len(wanted)]
        exact += begun == wanted
        answered += re.search(rf"(?<![\w.]){re.escape(answer)}(?!\w|\.\d)", text) is not None
        likeness.append(rouge_l(" ".join(begun), rest))
    known = [one for one in likeness if one is not None]
    return Leak(Rate.of(exact, len(rests)), float(np.mean(known)) if known else None, Rate.of(answered, len(rests)))
