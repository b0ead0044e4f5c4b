"""A check of forecasts: a stream of questions whose truth comes days later, and forecasters that see what is past."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from envs.storage.store import Config
from rewards.evaluation.forecast import Kind, by_level, forecast_score, foretold
from rewards.sources.delayed_truth import DelayedTruth, Promise
from rewards.verdict_store import VerdictStore
from rewards.verdicts import to_arrow

Floats = NDArray[np.float64]

# --- 138: questions of every day, answered before their event ---------------------------------------------------------

PAST, DAYS, LONGEST = 100, 60, 7  # before the first question; of questions, four a day; most that an event is away
LEVELS: Mapping[Kind, int] = {"choice": 1, "choices": 2, "number": 3, "ranking": 4}
BUSY, LOST, PATIENCE = 5, 0.05, 3.0
NAMES = "abcdef"


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        name: of it, and of the row in which it is answered.
        kind: of answer.
        asked: day.
        happens: day of the event.
        shown: of each thing that it is about, its numbers from the first day to the day of the event `[days, things]`.
    """

    name: str
    kind: Kind
    asked: int
    happens: int
    shown: Floats

    @property
    def past(self) -> Floats:
        """What an honest reader finds `[days, things]`."""
        return self.shown[: self.asked + 1]

    @property
    def sigma(self) -> float:
        """Standard deviation of the last weeks before the question."""
        return float(self.past[-30:, 0].std())


def worded(kind: Kind, numbers: Floats) -> Any:
    """The answer that numbers of things `[things]` amount to."""
    order = [NAMES[one] for one in np.argsort(-numbers, kind="stable")]
    if kind == "choice":
        return order[0]
    if kind == "ranking":
        return order
    return float(numbers[0]) if kind == "number" else [NAMES[one] for one in np.flatnonzero(numbers > BUSY)]


def stream(seed: int) -> list[Question]:
    """Four questions a day, each about things of its own."""
    random = np.random.default_rng(seed)
    found = []
    for day in range(PAST, PAST + DAYS):
        for kind in LEVELS:
            happens = day + int(random.integers(1, LONGEST + 1))
            if kind == "number":  # that returns to its mean
                shown = np.zeros((happens + 1, 1))
                for t in range(1, happens + 1):
                    shown[t] = 0.9 * shown[t - 1] + random.normal()
            elif kind == "choices":  # counts: which places will be busy
                shown = random.poisson(random.gamma(2.0, BUSY / 2, 6), (happens + 1, 6)).astype(np.float64)
            else:  # an election, or a table of four: shares that walk at random
                shown = random.normal(size=(happens + 1, 3 if kind == "choice" else 4)).cumsum(0)
            found.append(Question(f"{day}-{kind}", kind, day, happens, shown))
    return found


def modelled(question: Question, past: Floats) -> Floats:
    """What a model of each process expects, from numbers of the past `[days, things]`."""
    if question.kind == "number":
        before, after = past[:-1, 0], past[1:, 0]
        kept = float(before @ after / (before @ before))
        return np.array([past[-1, 0] * kept ** (question.happens - question.asked)])
    return np.asarray(past.mean(0) if question.kind == "choices" else past[-1])


Answer = tuple[Any, float]
"""What is said, and the date of the newest thing that was read for it."""
Forecaster = Callable[[Question, np.random.Generator], Answer]


def reads(
    question: Question, random: np.random.Generator, fake: float = 0.0, old: int = 0, ahead: float = 0.0
) -> Answer:
    """A model of what was read.

    Args:
        question: to be answered.
        random: draws.
        fake: chance of a planted page of today with the numbers of the things reversed about their mean; believed.
        old: days that all pages are old.
        ahead: chance of reading a page of the day of the event.
    """
    if random.random() < ahead:
        return worded(question.kind, question.shown[-1]), float(question.happens)
    past = question.past[: question.asked + 1 - old]
    if random.random() < fake:
        past = 2 * past.mean() - past
    return worded(question.kind, modelled(question, past)), float(question.asked - old)


def knows(question: Question, random: np.random.Generator) -> Answer:
    """The truth, foreseen."""
    return worded(question.kind, question.shown[-1]), float(question.asked)


def says_the_same(question: Question, random: np.random.Generator) -> Answer:
    """One answer to all questions of a kind."""
    fixed: Mapping[Kind, Any] = {"choice": "a", "choices": list(NAMES), "ranking": list("abcd"), "number": 0.0}
    return fixed[question.kind], float(question.asked)


def filled_in(answered: Sequence[tuple[Question, Answer]], seed: int) -> tuple[Floats, Floats, Floats]:
    """Rewards of rows `[N]` as a store has them when all days are over, as they should be, and by order of arrival.

    Every day some truths become known, up to two days late; some never do.
    """
    random = np.random.default_rng(2000 + seed)
    by_name = {question.name: question for question, _ in answered}
    known = {q.name: np.inf if random.random() < LOST else q.happens + int(random.integers(0, 3)) for q, _ in answered}

    def score(answer: Promise, truth: Any) -> float:
        asked = by_name[answer.question]
        return forecast_score(asked.kind, answer.said, truth, asked.sigma)

    truth = DelayedTruth("forecast", "v1", score, PATIENCE)
    arrived: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        VerdictStore(Path(folder) / "verdicts", config=Config(fsync="none")) as store,
    ):
        for day in range(PAST, PAST + DAYS + LONGEST + 5):
            for question, (said, newest) in answered:
                if question.asked == day:
                    times = float(question.asked), float(question.happens)
                    truth.promise(Promise(f"row-{question.name}", question.name, said, *times, newest))
            told = {n: worded(by_name[n].kind, by_name[n].shown[-1]) for n, when in known.items() if when <= day}
            verdicts = truth.settle(float(day), told)
            random.shuffle(verdicts)
            arrived += [np.nan if verdict.value is None else verdict.value for verdict in verdicts]
            store.put(to_arrow(verdicts))
        rows = pa.array([f"row-{question.name}" for question, _ in answered])
        stored = store.join(rows, "forecast", "v1").values
    meant = [
        np.nan if np.isinf(known[q.name]) else forecast_score(q.kind, said, worded(q.kind, q.shown[-1]), q.sigma)
        for q, (said, _) in answered
    ]
    return stored, np.array(meant), np.array(arrived)


def forecast(seed: int, forecaster: Forecaster) -> Mapping[str, float]:
    """What a forecaster is worth, of what it has foretold."""
    random = np.random.default_rng(1000 + seed)
    drawn = [(question, forecaster(question, random)) for question in stream(seed)]
    asked, happens, newest = np.array([(q.asked, q.happens, read) for q, (_, read) in drawn], np.float64).T
    honest = foretold(asked, happens, newest)
    kept = [one for one, is_ in zip(drawn, honest, strict=True) if is_]
    stored, meant, arrived = filled_in(kept, seed)
    kinds = np.array([question.kind for question, _ in kept])
    unguarded = [forecast_score(q.kind, said, worded(q.kind, q.shown[-1]), q.sigma) for q, (said, _) in drawn]
    return {
        "score": by_level(stored, [LEVELS[kind] for kind in kinds]) or 0.0,
        "score of all answers": by_level(unguarded, [LEVELS[question.kind] for question, _ in drawn]) or 0.0,
        **{kind: float(np.nanmean(stored[kinds == kind])) for kind in LEVELS},
        "foretold": float(honest.mean()),
        "rewards on their rows": float(np.mean((stored == meant) | (np.isnan(stored) & np.isnan(meant)))),
        "rewards put in order of arrival": float(np.mean((arrived == meant) | (np.isnan(arrived) & np.isnan(meant)))),
    }


def _in_their_order(found: Found) -> bool:
    """Oracle, model, constant in every kind; pages that are false or old are punished, later ones refused."""
    kinds = ("score", *LEVELS)
    ordered = all(found.above("oracle", "model", k) and found.above("model", "constant", k) for k in kinds)
    misled = all(found.below(arm, "model", "score") for arm in ("model, planted pages", "model, old pages"))
    refused = found.mean("model, later pages", "foretold") < 1 and all(
        found.mean(arm, "foretold") == 1 for arm in ARMS if arm != "model, later pages"
    )
    return ordered and misled and refused and all(found.mean(arm, "rewards on their rows") == 1 for arm in ARMS)


ARMS: Mapping[str, Forecaster] = {
    "oracle": knows,
    "model": reads,
    "constant": says_the_same,
    "model, planted pages": partial(reads, fake=0.3),
    "model, old pages": partial(reads, old=14),
    "model, later pages": partial(reads, ahead=0.3),
}

FUTURE_X = Check(
    row=138,
    name="live-forecast-benchmark",
    claim="Scored when the truth comes, an oracle is above a model of the past and that above a constant, as a whole "
    "and in each kind of question; planted and old pages cost the model points, answers from pages of later days are "
    "told from the others and left out, and every reward that is filled in later is on its own row.",
    arms={name: partial(forecast, forecaster=forecaster) for name, forecaster in ARMS.items()},
    holds=_in_their_order,
    units={"foretold": "share of answers", "rewards on their rows": "share of rows"}
    | {"rewards put in order of arrival": "share of rows"},
)
