"""How often a judge is fooled, and what its defences cost: false positives on attacks, false negatives on honest texts.

All shares have 95 % intervals: Wilson's for one variant, a bootstrap over honest samples for an attack, because its
variants on one sample are alike. A NULL is no acceptance: it counts as not fooled, and is counted for itself too. An
attempt is `flipped` where the judge rejected the honest sample that it comes from, and accepts it dressed up: what the
attack alone has done, apart from the mistakes that the judge makes anyway.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rewards.attacks.attack import Attack, Attempt, Sample, attempts
from rewards.attacks.honest import split
from rewards.judges.judge import Answer, Judge
from rewards.shares import clustered, wilson

BATCH = 128


@dataclass(frozen=True)
class Share:
    """How often something happened.

    Attributes:
        hits: how often.
        n: of how many.
        low: lower end of the 95 % interval.
        high: upper end.
    """

    hits: int
    n: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share; None of nothing."""
        return self.hits / self.n if self.n else None

    @classmethod
    def of(cls, hits: Sequence[bool]) -> Share:
        """With Wilson's interval, for tries that have nothing to do with each other."""
        return cls(sum(hits), len(hits), *wilson(sum(hits), len(hits)))

    @classmethod
    def of_clusters(cls, hits: Mapping[str, Sequence[bool]]) -> Share:
        """With a bootstrap interval over clusters of tries."""
        sums, counts = [sum(c) for c in hits.values()], [len(c) for c in hits.values()]
        return cls(sum(sums), sum(counts), *clustered(sums, counts))

    def __str__(self) -> str:
        """For people."""
        return "-" if not self.n else f"{self.hits / self.n:6.1%} [{self.low:.1%}, {self.high:.1%}]"


@dataclass(frozen=True)
class Fooled:
    """One line of the table.

    Attributes:
        attack: name of the attack.
        variant: of the variant; "" for all of them, "worst" for the one that fooled most.
        held_out: whether it was worded apart from the filters; None for several.
        false_positives: accepted, of all attempts.
        flipped: accepted, of the attempts whose honest sample was rejected.
        nulls: attempts without a value.
    """

    attack: str
    variant: str
    held_out: bool | None
    false_positives: Share
    flipped: Share
    nulls: int


@dataclass(frozen=True)
class Report:
    """What a judge did.

    Attributes:
        fingerprint: of the judge.
        threshold: values above it accept.
        false_positives: honest bad samples that it accepts without any attack.
        false_negatives: honest good samples that it does not accept, NULLs among them.
        honest_nulls: honest samples without a value.
        attacks: a line for each attack, then for its variants.
        overall: all attempts of all attacks.
        held_out: those of variants that were worded apart from the filters.
    """

    fingerprint: str
    threshold: float
    false_positives: Share
    false_negatives: Share
    honest_nulls: int
    attacks: tuple[Fooled, ...]
    overall: Fooled
    held_out: Fooled

    def line(self, attack: str, variant: str = "") -> Fooled:
        """The line of an attack or of one of its variants.

        Raises:
            KeyError: there is none.
        """
        for one in self.attacks:
            if (one.attack, one.variant) == (attack, variant):
                return one
        raise KeyError(f"got {attack!r}, {variant!r}; expected one of {[(o.attack, o.variant) for o in self.attacks]}")


async def attack_judge(
    judge: Judge,
    attacks: Iterable[Attack],
    samples: Sequence[Sample],
    threshold: float | None = 0.5,
    seed: int = 0,
) -> Report:
    """Try all attacks on a judge.

    Args:
        judge: asked about the honest samples and about every attempt.
        attacks: what is tried.
        samples: honest, good and bad.
        threshold: a value above it accepts; None: the one that tells the honest samples apart best, for rewards on a
            scale of their own.
        seed: of what the attacks draw.

    Raises:
        ValueError: there is no good or no bad sample, or the judge gave no value at all on a scale of its own.
    """
    good, bad = split(samples)
    if not good or not bad:
        raise ValueError(f"got {len(good)} good and {len(bad)} bad samples; expected some of both")
    tried = list(attempts(attacks, samples, seed))
    values = await _values(judge, [*good, *bad, *(attempt.sample for attempt in tried)])
    for_good, for_bad = values[: len(good)], values[len(good) : len(good) + len(bad)]
    if threshold is None:
        threshold = best_threshold(for_good, for_bad)
    accepted = [value is not None and value > threshold for value in values]
    honest = dict(zip((s.name for s in [*good, *bad]), accepted, strict=False))
    outcomes = list(zip(tried, accepted[len(honest) :], values[len(honest) :], strict=True))

    def line(attack: str, variant: str, held_out: bool | None, of: Iterable[tuple[Attempt, bool, Any]]) -> Fooled:
        hits: dict[str, list[bool]] = {}
        flips: dict[str, list[bool]] = {}
        nulls = 0
        for attempt, fooled, value in of:
            hits.setdefault(attempt.sample.name, []).append(fooled)
            if not honest[attempt.sample.name]:
                flips.setdefault(attempt.sample.name, []).append(fooled)
            nulls += value is None
        return Fooled(attack, variant, held_out, Share.of_clusters(hits), Share.of_clusters(flips), nulls)

    lines = []
    for name in dict.fromkeys(attempt.attack for attempt in tried):
        own = [outcome for outcome in outcomes if outcome[0].attack == name]
        variants = [
            line(name, variant, held_out, [o for o in own if o[0].variant == variant])
            for variant, held_out in dict.fromkeys((o[0].variant, o[0].held_out) for o in own)
        ]
        lines += [line(name, "", None, own), *variants]
    return Report(
        fingerprint=judge.fingerprint,
        threshold=threshold,
        false_positives=Share.of([honest[s.name] for s in bad]),
        false_negatives=Share.of([not honest[s.name] for s in good]),
        honest_nulls=sum(value is None for value in values[: len(honest)]),
        attacks=tuple(lines),
        overall=line("all", "", None, outcomes),
        held_out=line("all", "held out", True, [o for o in outcomes if o[0].held_out]),
    )


def best_threshold(for_good: Sequence[float | None], for_bad: Sequence[float | None]) -> float:
    """The threshold that tells good from bad with the fewest mistakes, half-way between two values.

    Raises:
        ValueError: no good or no bad sample has a value.
    """
    good, bad = [v for v in for_good if v is not None], [v for v in for_bad if v is not None]
    if not good or not bad:
        raise ValueError(
            f"got values for {len(good)} good and {len(bad)} bad samples; expected some of both: the reward does not "
            "know these samples, so nothing can be said of it"
        )
    levels = np.unique([*good, *bad])
    cuts = [float(levels[0]) - 1.0, *((levels[1:] + levels[:-1]) / 2).tolist()]
    wrong = [sum(v <= cut for v in good) / len(good) + sum(v > cut for v in bad) / len(bad) for cut in cuts]
    return float(cuts[int(np.argmin(wrong))])


def as_data(report: Report) -> dict[str, Any]:
    """A report as JSON-able data."""

    def share(one: Share) -> dict[str, Any]:
        return {"value": one.value, "low": one.low, "high": one.high, "hits": one.hits, "n": one.n}

    def fooled(one: Fooled) -> dict[str, Any]:
        return {
            "attack": one.attack,
            "variant": one.variant,
            "held_out": one.held_out,
            "false_positives": share(one.false_positives),
            "flipped": share(one.flipped),
            "nulls": one.nulls,
        }

    return {
        "fingerprint": report.fingerprint,
        "threshold": report.threshold,
        "honest": {
            "false_positives": share(report.false_positives),
            "false_negatives": share(report.false_negatives),
            "nulls": report.honest_nulls,
        },
        "overall": fooled(report.overall),
        "held_out": fooled(report.held_out),
        "attacks": [fooled(one) for one in report.attacks],
    }


async def _values(judge: Judge, samples: Sequence[Sample]) -> list[float | None]:
    """The judge's values; each distinct question is asked once. What is not finite is no value."""
    distinct = {sample.question.subject: sample.question for sample in samples}
    questions = list(distinct.values())
    answers: dict[str, Answer] = {}
    for start in range(0, len(questions), BATCH):
        batch = questions[start : start + BATCH]
        answers.update(zip((q.subject for q in batch), await judge.judge(batch), strict=True))
    values = (answers[sample.question.subject].value for sample in samples)
    return [value if value is not None and math.isfinite(value) else None for value in values]
