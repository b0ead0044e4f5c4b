"""A judge of captions, measured by the rule book's verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from pipelines.trust.judges.asking import ask, repeated
from pipelines.trust.judges.measures import Measure, are_probabilities, of_calibration, of_rate
from rewards.attacks.attack import Sample
from rewards.evaluation.accuracy import Rate, pair_accuracy
from rewards.evaluation.consistency import order_consistency, paraphrase_consistency
from rewards.judges.judge import Judge, Question
from rewards.questions import caption_question, pair_question


def on_captions(judge: Judge, samples: Sequence[Sample], times: int) -> list[Measure]:
    """Accuracy, calibration, the same verdict in other words, and when repeated.

    Args:
        judge: of captions.
        samples: captions with their verdicts.
        times: that the same questions are asked.

    Raises:
        UserError: the judge has no value for any of them.
    """
    questions = [caption_question(one.text) for one in samples]
    good = np.array([float(one.good) for one in samples])
    asked = ask(judge, questions).told()
    said, known = asked.values, ~np.isnan(asked.values)
    again = ask(judge, [caption_question(_reworded(one.text)) for one in samples]).values
    side = good > 0.5
    above, below = (np.array(one) for one in zip(*product(said[side], said[~side]), strict=True))
    measures = [of_rate("accepted above rejected", pair_accuracy(above, below)), asked.missing()]
    if are_probabilities(said):
        right = (said > 0.5) == side
        measures.insert(0, of_rate("accuracy", Rate.of(int(right[known].sum()), int(known.sum()))))
        kept = paraphrase_consistency(said, again)
    else:  # on a scale of its own there is no side, only an order
        kept = order_consistency(said[side], said[~side], again[side], again[~side])
    return [
        *measures,
        *of_calibration(said, good),
        of_rate("same verdict, reworded", kept),
        *repeated(judge, questions, times),
    ]


def caption_pairs(samples: Sequence[Sample]) -> list[tuple[Question, Question]]:
    """Pairs of an accepted and a rejected caption, in both orders."""
    good, bad = ([one.text for one in samples if one.good is side] for side in (True, False))
    return [(pair_question(a, b), pair_question(b, a)) for a, b in zip(good, bad, strict=True)]


def _reworded(text: str) -> str:
    """The same event in other words, as far as that can be done to any sentence."""
    inner = text.rstrip(".!")
    return f"It happens: {inner[:1].lower()}{inner[1:]}."
