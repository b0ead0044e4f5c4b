"""The A/B table: what two reward versions say of the same stored experience.

Versions that judge captions or steps are compared step by step, each as often as it happened, and by the reward that
the run's view makes of them; others subject by subject. A NULL is in no mean: it is counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.trajectory import unragged
from pipelines.errors import UserError
from pipelines.experiment import Experiment, RewardConfig
from pipelines.observed import Observed
from pipelines.reward_stage import layout_of, view_for
from pipelines.stored.evidence import printable
from pipelines.stored.records import number_text, percent_text
from pipelines.stored.stored_experience import StoredExperience
from rewards.columns import Column
from rewards.models.model import NO_CAPTION
from rewards.subjects import subjects_of
from rewards.verdict_store import VerdictStore, caption_subjects
from rewards.views.view import RewardView

PER_STEP = ("caption", "step")
DIFFERENT = 0.5  # hard verdicts are 0 or 1: from here on two of them are opposites
EXAMPLES = 8


@dataclass(frozen=True)
class Side:
    """One reward version.

    Attributes:
        name: of the version.
        kind: of its subjects.
        share_judged: of what could be judged, the share with a value; None of nothing.
        mean: of the values; None where there is none.
        episode_reward: mean over episodes of the view's reward, all stored steps of each; None where it has no steps.
    """

    name: str
    kind: str
    share_judged: float | None
    mean: float | None
    episode_reward: float | None


@dataclass(frozen=True)
class Example:
    """A subject on which the versions differ, and how often it was met."""

    text: str
    a: float
    b: float
    times: int


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side.

    Attributes:
        unit: what is counted: "captioned step", or a kind of subject.
        count: how many of them there are.
        both: of those, how many have a value in both versions.
        correlation: Pearson's, over `both`; None where one of them is constant.
        mean_difference: mean of |a - b| over `both`.
        differ: share of `both` where |a - b| is at least 0.5.
        episodes: number of episodes behind `episode_reward`.
        formula: of the view behind it.
        examples: those that differ most, weighted by how often they were met.
    """

    component: str
    a: Side
    b: Side
    unit: str
    count: int
    both: int
    correlation: float | None
    mean_difference: float | None
    differ: float | None
    episodes: int
    formula: str
    examples: tuple[Example, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """The table, for people."""
        table = [
            ("", "A", "B"),
            ("reward version", self.a.name, self.b.name),
            (f"share of {self.count:,} {self.unit}s judged", *map(percent_text, _both(self, "share_judged"))),
            ("mean value", *map(number_text, _both(self, "mean"))),
            (f"mean reward of {self.episodes:,} episodes", *map(number_text, _both(self, "episode_reward"))),
        ]
        wide = [max(len(row[k]) for row in table) for k in range(3)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, wide, strict=True)).rstrip() for row in table]
        lines.append(
            f"{self.both:,} {self.unit}s judged by both: correlation {number_text(self.correlation)}, "
            f"mean difference {number_text(self.mean_difference)}, opposite in {percent_text(self.differ)}"
        )
        if self.formula:
            lines.append(f"episode reward: {self.formula}")
        lines += [
            f"  A {one.a:g}, B {one.b:g}, {one.times:,} times: {printable(one.text)}" for one in self.examples
        ] or ["  they never differ"]
        return lines


def _both(comparison: Comparison, name: str) -> tuple[float | None, float | None]:
    return getattr(comparison.a, name), getattr(comparison.b, name)


def compare(
    experience: StoredExperience, verdicts: VerdictStore, experiment: Experiment, component: str, a: str, b: str
) -> Comparison:
    """Compare two reward versions over everything that is stored.

    Raises:
        UserError: a version is not there, or they judge different things.
    """
    kinds = {version.reward_version: version.kind for version in verdicts.versions() if version.component == component}
    for name in (a, b):
        if name not in kinds:
            raise UserError(
                f"got reward version {name!r}; expected one of {', '.join(kinds) or 'none: nothing is judged'}"
            )
    if kinds[a] in PER_STEP and kinds[b] in PER_STEP:
        return _by_step(experience, verdicts, experiment, component, (a, b), kinds)
    if kinds[a] != kinds[b]:
        raise UserError(f"version {a} judges {kinds[a]}s and {b} judges {kinds[b]}s; expected two of one kind")
    return _by_subject(experience, verdicts, component, (a, b), kinds[a])


def _by_step(
    experience: StoredExperience,
    verdicts: VerdictStore,
    experiment: Experiment,
    component: str,
    names: tuple[str, str],
    kinds: Mapping[str, str],
) -> Comparison:
    ids = experience.flat("caption_id")
    distinct, of_step, counts = np.unique(ids, return_inverse=True, return_counts=True)
    captioned = ids != NO_CAPTION
    per_step = any(kinds[name] == "step" for name in names)
    asked = np.ones_like(captioned) if per_step else captioned
    config = experiment.reward if experiment.reward.judged else RewardConfig()
    view, observed = view_for(config), Observed(config.observed)
    sides, series = [], []
    for name in names:
        if kinds[name] == "caption":
            of_caption = verdicts.join(caption_subjects(distinct), component, name).values
            of_caption[distinct == NO_CAPTION] = 0.0  # by definition: there is nothing to be judged
            values = of_caption[of_step]
        else:
            values = verdicts.join(subjects_of("step", experience.batches, {}, ()).ids, component, name).values
        series.append(np.where(asked, values, np.nan))
        reward = episode_reward(experience, view, observed, values)
        sides.append(_side(name, kinds[name], series[-1], int(asked.sum()), reward))
    examples: tuple[Example, ...] = ()
    if not per_step:
        first, second = (verdicts.join(caption_subjects(distinct), component, name).values for name in names)
        texts = [experience.captions.get(int(ident), "") for ident in distinct]
        examples = _examples(first, second, counts, texts)
    return Comparison(
        component=component,
        a=sides[0],
        b=sides[1],
        unit="step" if per_step else "captioned step",
        count=int(asked.sum()),
        episodes=int(experience.episode_of_row.max()) + 1,
        formula=view.formula().replace("intrinsic", component),
        examples=examples,
        **_agreement(*series),
    )


def _by_subject(
    experience: StoredExperience, verdicts: VerdictStore, component: str, names: tuple[str, str], kind: str
) -> Comparison:
    if kind in ("row", "episode"):
        subjects = subjects_of(kind, experience.batches, {}, ()).ids
        texts = subjects.to_pylist()
    else:
        subjects, texts = stored_questions(verdicts, component, kind)
    first, second = (verdicts.join(subjects, component, name).values for name in names)
    return Comparison(
        component=component,
        a=_side(names[0], kind, first, len(subjects), None),
        b=_side(names[1], kind, second, len(subjects), None),
        unit=kind,
        count=len(subjects),
        episodes=int(experience.episode_of_row.max()) + 1,
        formula="",
        examples=_examples(first, second, np.ones(len(subjects), np.int64), texts),
        **_agreement(first, second),
    )


def stored_questions(verdicts: VerdictStore, component: str, kind: str) -> tuple[pa.Array, list[str]]:
    """Distinct subjects of a kind that were ever asked about, and their texts; a pair's are two lines."""
    found: dict[str, str] = {}
    for batch in verdicts.batches(component):
        if batch.column("subject_kind")[0].as_py() == kind:
            subjects, texts = batch.column("subject").to_pylist(), batch.column("text").to_pylist()
            found |= {subject: text for subject, text in zip(subjects, texts, strict=True) if text}
    return pa.array(list(found), pa.string()), list(found.values())


def episode_reward(
    experience: StoredExperience, view: RewardView, observed: Observed, values: NDArray[np.float64]
) -> float:
    """Mean over episodes of the sum of the view's reward over all their stored steps `[S]`, with these verdicts."""
    rewards, begin = [], 0
    for batch in experience.batches:
        paid, count = (unragged(batch.column(name)) for name in ("env_reward", "caption_count"))
        said, begin = values[begin : begin + len(paid)], begin + len(paid)
        columns = {
            "extrinsic": Column.full(paid),
            "intrinsic": Column(said.astype(np.float32), ~np.isnan(said)),
            "caption_count": Column.full(count),
        }
        rewards.append(view.apply(columns | observed(batch), layout_of(batch), learn=False).reward)
    reward = np.concatenate(rewards).astype(np.float64)
    episode_of_step = np.repeat(experience.episode_of_row, experience.row_steps)
    return float(np.bincount(episode_of_step, weights=reward).mean())


def _side(name: str, kind: str, values: NDArray[np.float64], count: int, reward: float | None) -> Side:
    there = values[~np.isnan(values)]
    share = len(there) / count if count else None
    return Side(name, kind, share, float(there.mean()) if len(there) else None, reward)


def _agreement(a: NDArray[np.float64], b: NDArray[np.float64]) -> dict[str, Any]:
    both = ~(np.isnan(a) | np.isnan(b))
    a, b = a[both], b[both]
    if not len(a):
        return {"both": 0, "correlation": None, "mean_difference": None, "differ": None}
    apart = np.abs(a - b)
    varies = a.std() > 0 and b.std() > 0
    return {
        "both": len(a),
        "correlation": float(np.corrcoef(a, b)[0, 1]) if varies else None,
        "mean_difference": float(apart.mean()),
        "differ": float((apart >= DIFFERENT).mean()),
    }


def _examples(
    a: NDArray[np.float64], b: NDArray[np.float64], times: NDArray[np.int64], texts: Sequence[str]
) -> tuple[Example, ...]:
    weight = np.nan_to_num(np.abs(a - b), nan=0.0) * times
    order = np.argsort(-weight, kind="stable")[:EXAMPLES]
    return tuple(
        Example(texts[k].replace("\n", " | "), float(a[k]), float(b[k]), int(times[k])) for k in order if weight[k] > 0
    )
