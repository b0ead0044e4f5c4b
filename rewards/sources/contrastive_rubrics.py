"""Rubrics read off the difference between two answers, and kept where a judge finds with them what was preferred.

A model sees a question with a better and a worse answer and writes a rubric: rules that the question states, and
principles that it does not. Many rubrics sound right and miss the point. So the judge decides the pair anew with the
rubric in hand, and where it does not prefer the better answer, another rubric is asked for, or none is kept (rejection
sampling). What is kept teaches a model to write rubrics for questions alone; with several of them votes are averaged.

Source: OpenRubrics, Towards Scalable Synthetic Rubric Generation for Reward Modeling and LLM Alignment (Liu et al.
2025); the wording of the prompt, and more than one try, are chosen here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rewards.judges.untrusted import FENCE_RULE, render
from rewards.sources.rules import Preferred

CONTRAST = (
    FENCE_RULE + "\nFor this question,\n{question}\nthis answer\n{chosen}\nwas preferred to this one:\n{rejected}\n"
    "Write criteria by which any answer to the question can be checked. One a line, nothing else: 'RULE: ' before what "
    "the question itself demands, 'PRINCIPLE: ' before what makes the preferred answer better without being demanded. "
    "Do not mention these answers."
)
_LINE = re.compile(r"^[\W\d]{0,20}(rule|principle)\W{0,3}:\W{0,3}(\S.*)$", re.IGNORECASE)

Example = TypeVar("Example")
Rubric = TypeVar("Rubric")


class WrittenRubric(NamedTuple):
    """Criteria for the answers to one question.

    Attributes:
        rules: what the question demands.
        principles: what makes answers good beyond that.
    """

    rules: tuple[str, ...]
    principles: tuple[str, ...]


def write_rubric(pair: Preferred, ask: Callable[[str], str]) -> WrittenRubric | None:
    """A rubric by a language model that sees both answers; None where no line of its reply is a criterion.

    Args:
        pair: the better and the worse answer.
        ask: the model: a prompt in, a text out.

    Returns:
        What the model wrote, so text that nobody vouches for.
    """
    found: dict[str, list[str]] = {"rule": [], "principle": []}
    for line in ask(render(CONTRAST, pair._asdict())).splitlines():
        if (match := _LINE.match(line)) is not None:
            found[match[1].lower()].append(match[2].strip())
    rules, principles = (tuple(dict.fromkeys(lines)) for lines in found.values())
    return WrittenRubric(rules, principles) if rules or principles else None


def consistent_rubrics(
    pairs: Sequence[Example],
    write: Callable[[Example], Rubric | None],
    judge: Callable[[Rubric, Example], float],
    tries: int = 1,
) -> list[Rubric | None]:
    """For each pair the first rubric with which the judge prefers what was preferred; None where no try has found one.

    Args:
        pairs: examples of a better and a worse answer.
        write: asks for a rubric; None where it wrote none.
        judge: chance, by the judge with that rubric in hand, that the better answer is preferred; best asked in both
            orders, else a taste for places is taken for agreement. NaN where it failed: that try has found nothing.
        tries: rubrics to ask for, at most.

    Raises:
        ValueError: fewer than one try.
    """
    if tries < 1:
        raise ValueError(f"got tries={tries}; expected at least 1")
    return [_first_consistent(pair, write, judge, tries) for pair in pairs]


def _first_consistent(
    pair: Example, write: Callable[[Example], Rubric | None], judge: Callable[[Rubric, Example], float], tries: int
) -> Rubric | None:
    for _ in range(tries):
        rubric = write(pair)
        if rubric is not None and judge(rubric, pair) > 0.5:
            return rubric
    return None


def voted(chances: ArrayLike) -> NDArray[np.float64]:
    """Mean of what the judge says with several rubrics, or several times with one, `[N]`; NaN where nothing is known.

    Args:
        chances: that the first answer is better `[N, V]`, NaN where the judge failed.

    Raises:
        ValueError: not a matrix.
    """
    told = np.asarray(chances, np.float64)
    if told.ndim != 2:
        raise ValueError(f"got chances of shape {told.shape}; expected [N, V]")
    known = ~np.isnan(told)
    total = np.where(known, told, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
