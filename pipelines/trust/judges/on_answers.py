"""A judge of answers: pairs in order, one right among many wrong, best of N, calibration, other words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipelines.trust.judges.asking import ask, repeated
from pipelines.trust.judges.measures import Measure, number, of_calibration, of_rate
from rewards.evaluation.accuracy import best_of_n, one_to_many, pair_accuracy
from rewards.evaluation.consistency import order_consistency
from rewards.evaluation.problems import Problem, in_other_words
from rewards.judges.judge import Judge, Question

DRAWS = (1, 2, 4, 8, 16)
Values = NDArray[np.float64]


def on_answers(judge: Judge, problems: Sequence[Problem], times: int) -> list[Measure]:
    """All that can be measured on problems of which each answer is judged by itself.

    Args:
        judge: of responses.
        problems: with right and wrong answers.
        times: that the same questions are asked.

    Raises:
        UserError: the judge has no value for any of them.
    """
    questions = questions_on(problems)
    asked = ask(judge, questions).told()
    each = _by_problem(asked.values, problems)
    measures = _ranking(each, problems)
    measures.insert(len(measures) - 1, asked.missing())
    measures += of_calibration(asked.values, np.concatenate([np.array(one.gold) for one in problems]))
    for what in ("prompt", "answers"):
        again = _by_problem(ask(judge, questions_on([in_other_words(one, what) for one in problems])).values, problems)
        now, then = _pairs(each, problems), _pairs(again, problems)
        measures.append(of_rate(f"same order, {what} reworded", order_consistency(*now, *then)))
    return measures + repeated(judge, questions, times)


def questions_on(problems: Sequence[Problem]) -> list[Question]:
    """One about each answer of each problem."""
    return [one.ask("response", text) for one in problems for text in one.answers]


def _ranking(each: Sequence[Values], problems: Sequence[Problem]) -> list[Measure]:
    right, wrong, gold = [], [], [list(one.gold) for one in problems]
    for scores, one in zip(each, problems, strict=True):
        for score in scores[: len(one.chosen)].tolist():
            right.append(score)
            wrong.append(scores[len(one.chosen) :].tolist())
    many = one_to_many(right, wrong)
    measures = [of_rate("pairs in order", pair_accuracy(*_pairs(each, problems)))]
    subsets = sorted({one.subset for one in problems})
    for subset in subsets if len(subsets) > 1 else ():
        chosen = [k for k, one in enumerate(problems) if one.subset == subset]
        own = _pairs([each[k] for k in chosen], [problems[k] for k in chosen])
        measures.append(of_rate(f"  {subset or '(no subset)'}", pair_accuracy(*own)))
    curve = {n: best_of_n([own.tolist() for own in each], gold, n) for n in DRAWS}
    shown = ", ".join(f"{n}: {value:.2f}" for n, value in curve.items() if value is not None)
    return [
        *measures,
        of_rate("right one above all wrong", many.accuracy),
        Measure(
            "  by chance",
            f"{number(many.random)}; mean reciprocal rank {number(many.mean_reciprocal_rank)}",
            {"chance": many.random, "mean_reciprocal_rank": many.mean_reciprocal_rank},
        ),
        Measure("right one, best of N", shown or "-", {str(n): value for n, value in curve.items()}),
    ]


def _by_problem(values: Values, problems: Sequence[Problem]) -> list[Values]:
    return np.split(values, np.cumsum([len(one.answers) for one in problems])[:-1])


def _pairs(each: Sequence[Values], problems: Sequence[Problem]) -> tuple[Values, Values]:
    """Scores of every (right, wrong) pair within a problem."""
    found = [
        (a, b)
        for scores, one in zip(each, problems, strict=True)
        for a in scores[: len(one.chosen)]
        for b in scores[len(one.chosen) :]
    ]
    first, second = np.array(found).reshape(-1, 2).T
    return first, second
