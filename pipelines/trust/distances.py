"""`guerdon compare A B on=RUN`: how far two rewards are apart over stored experience, and where they differ most.

Where the observations are few enough to be the states of a small world, distances are exact for the world that the
experience adds up to, and so is the regret in it. Elsewhere V^π is fitted to the transitions, and STARC is sampled.
What nobody was asked about cannot be compared: a transition that never happened has, for EPIC, the mean reward of its
outcome.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from envs.specs import Discrete
from envs.trajectory import OBSERVATION, spec_of, unragged
from pipelines.errors import UserError
from pipelines.language.stored import is_language
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.evidence import printable
from pipelines.stored.records import number_text, percent_text
from pipelines.stored.stored_experience import StoredExperience, one_line
from pipelines.trust.answers import compare_answers
from pipelines.trust.disagreement import Example, most_apart
from pipelines.trust.sides import StepRewards
from rewards.comparison.advantage_change import AdvantageChange, advantage_change
from rewards.comparison.canonicalisation import val_potential
from rewards.comparison.correlation import pearson, spearman
from rewards.comparison.epic import pearson_distance, shaped_outcomes
from rewards.comparison.experienced import Experienced, experienced, fitted_values, random_features
from rewards.comparison.regret_bounds import Regret, regret_of
from rewards.comparison.starc import between, norm
from rewards.verdict_store import VerdictStore

Values = NDArray[np.float64]
CELLS = 4_000_000  # of transitions [S, A, S] that are held at once; more states than that are sampled
FITTED = 50_000  # transitions that values are fitted to


@dataclass(frozen=True)
class Distances:
    """Two rewards over the same experience.

    Attributes:
        a: name of the one.
        b: name of the other.
        unit: what is counted.
        count: how many there are.
        both: of those, how many have a value in both; all else is about these.
        how: "exact" of the world that was experienced, or "sampled".
        states: of that world; 0 where it is sampled.
        pearson: correlation of values; None where one is constant.
        spearman: of their ranks.
        epic: distance in [0, 1]; None where one reward is nothing but shaping.
        starc: distance in [0, 1].
        advantages: how the advantages of what was done change.
        regret: of following B where A is meant; None where it is sampled.
        regret_back: of following A where B is meant.
        examples: where they differ most.
    """

    a: str
    b: str
    unit: str
    count: int
    both: int
    how: str
    states: int
    pearson: float | None
    spearman: float | None
    epic: float | None
    starc: float
    advantages: AdvantageChange
    regret: Regret | None
    regret_back: Regret | None
    examples: tuple[Example, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    def lines(self) -> list[str]:
        """For people."""
        where = f"exact, {self.states:,} states" if self.how == "exact" else "sampled"
        lines = [
            f"A {self.a}, B {self.b}: {self.both:,} of {self.count:,} {self.unit}s have a value in both",
            f"correlation         {number_text(self.pearson)} of values, {number_text(self.spearman)} of ranks",
            f"EPIC distance       {number_text(self.epic)}   (0 the same, 1 turned round)",
            f"STARC distance      {number_text(self.starc)}   ({where})",
            f"induced advantages  correlation {number_text(self.advantages.correlation)}, "
            f"turned round in {percent_text(self.advantages.turned)}",
        ]
        for name, one in (("A, following B", self.regret), ("B, following A", self.regret_back)):
            if one is not None:
                lines.append(
                    f"regret by {name}: {number_text(one.regret)}, {percent_text(one.share)} of what there is to gain; "
                    f"STARC promises at most {number_text(one.bound)}"
                )
        lines.append("they differ most on (in deviations from their means):")
        lines += [f"  A {e.a:+.2f}, B {e.b:+.2f}, {e.times:,} times: {printable(e.text)}" for e in self.examples] or [
            "  nothing"
        ]
        return lines


def compare_rewards(directory: RunDirectory, a: str, b: str, gamma: float | None = None) -> Distances:
    """Compare two rewards over what a run has stored.

    Args:
        directory: the run.
        a: names a reward, see `pipelines.trust.sides`.
        b: another.
        gamma: discount; None: the run's own.

    Raises:
        UserError: there is no such reward, nothing is stored, or the two share no value.
    """
    if gamma is not None and not 0 <= gamma < 1:
        raise UserError(f"gamma: got {gamma}; expected a discount in [0, 1)")
    if is_language(directory):
        return Distances(**compare_answers(directory, a, b))
    discount = stored_experiment(directory).learner.gamma if gamma is None else gamma
    with ExitStack() as stack:
        experience = StoredExperience(directory)
        stack.callback(experience.close)
        verdicts = None
        if (directory.verdicts / "store.json").is_file():
            try:
                verdicts = stack.enter_context(VerdictStore(directory.verdicts, read_only=True))
            except (OSError, ValueError, pa.ArrowException) as error:
                raise UserError(f"{directory.verdicts} cannot be read: {one_line(error)}") from None
        rewards = StepRewards(experience, verdicts)
        first, second = rewards(a), rewards(b)
        return _of_steps(experience, (a, b), first, second, min(discount, 0.9999))


def _of_steps(experience: StoredExperience, names: tuple[str, str], a: Values, b: Values, gamma: float) -> Distances:
    both = ~(np.isnan(a) | np.isnan(b))
    if both.sum() < 2:
        raise UserError(
            f"{names[0]} and {names[1]} have a value for {int(both.sum())} of the same steps; expected more: judge the "
            "rest with `guerdon reannotate`"
        )
    a, b = a[both], b[both]
    left, entered, begins = _states(experience)
    state, after, first = left[both], entered[both], begins[both]
    action = _actions(experience)
    found: dict[str, Any] = {"how": "sampled", "states": 0, "regret": None, "regret_back": None}
    states, actions = int(max(state.max(), after.max())) + 2, 0 if action is None else int(action.max()) + 1
    if action is not None and states * states * actions <= CELLS:
        found |= _exact(experienced(state, action[both], after, first, gamma), state, action[both], after, a, b)
    else:
        found |= _sampled(experience, both, state, after, a, b, gamma)
    return Distances(
        a=names[0],
        b=names[1],
        unit="step",
        count=len(both),
        both=int(both.sum()),
        pearson=pearson(a, b),
        spearman=spearman(a, b),
        examples=_examples(experience, both, a, b),
        **found,
    )


def _exact(
    seen: Experienced,
    state: NDArray[np.int64],
    action: NDArray[np.int64],
    after: NDArray[np.int64],
    a: Values,
    b: Values,
) -> dict[str, Any]:
    world, end = seen.world, len(seen.world.start) - 1
    into = np.where(after < 0, end, after)
    expected = [world.expected(seen.reward(state, action, into, values)) for values in (a, b)]
    canonical = [world.advantages(seen.policy, one) for one in expected]
    scales = (norm(expected[0]), norm(expected[1]))
    shaped = [_shaped(seen, state, action, into, values) for values in (a, b)]
    return {
        "how": "exact",
        "states": len(world.start) - 1,
        "starc": between(canonical[0], canonical[1], 2, scales),
        "epic": pearson_distance(shaped[0], shaped[1]),
        "advantages": advantage_change(canonical[0][state, action], canonical[1][state, action]),
        "regret": regret_of(world, expected[0], expected[1], canonical[0], canonical[1]),
        "regret_back": regret_of(world, expected[1], expected[0], canonical[1], canonical[0]),
    }


def _shaped(
    seen: Experienced, state: NDArray[np.int64], action: NDArray[np.int64], into: NDArray[np.int64], values: Values
) -> Values:
    """EPIC's shaped rewards of the transitions, with D_S and D_A uniform over what was met."""
    table, counts = seen.reward(state, action, into, values), seen.counts
    arrived = counts.sum((0, 1))
    outcome = np.divide((table * counts).sum((0, 1)), arrived, out=np.zeros(len(arrived)), where=arrived > 0)
    met = arrived > 0
    outcome[~met] = outcome[met].mean()
    # m(s) = E[R(s,A,S')]: the mean outcome, but where the transition was met its own reward
    own = np.where(counts > 0, table - outcome[None, None, :], 0.0).sum((1, 2)) / (counts.shape[1] * len(arrived))
    return shaped_outcomes(values, into, outcome.mean() + own, state, seen.world.gamma)


def _sampled(
    experience: StoredExperience,
    both: NDArray[np.bool_],
    state: NDArray[np.int64],
    after: NDArray[np.int64],
    a: Values,
    b: Values,
    gamma: float,
) -> dict[str, Any]:
    chosen = np.arange(len(a))
    if len(chosen) > FITTED:
        chosen = np.sort(np.random.default_rng(0).choice(chosen, FITTED, replace=False))
    before, following = _flat_observations(experience, np.flatnonzero(both)[chosen])
    features = random_features(np.concatenate([before, following]))
    left, entered = features[: len(chosen)], features[len(chosen) :]
    going_on = (after[chosen] >= 0).astype(np.float64)
    canonical = []
    for values in (a[chosen], b[chosen]):
        fitted = fitted_values(left, entered, going_on, values, gamma)
        canonical.append(val_potential(values, *fitted, gamma))
    return {
        "starc": between(canonical[0], canonical[1], 2, (norm(a[chosen]), norm(b[chosen]))),
        "epic": pearson_distance(a, b),  # of rewards of outcomes: what is taken off is the same everywhere
        "advantages": advantage_change(canonical[0], canonical[1]),
    }


# What was stored, as transitions -------------------------------------------------------------------------------------


def _observation_rows(experience: StoredExperience) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the observations before and after each step `[S]`, among all that are stored."""
    steps = experience.row_steps
    row = np.repeat(np.arange(len(steps)), steps)
    before = np.arange(int(steps.sum())) + row
    return before, before + 1


def _states(experience: StoredExperience) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """State before and after each step `[S]` by number, −1 where the episode is over; and which steps are first."""
    spec, _ = spec_of(experience.schema)
    parts = []
    for key, array in spec.observation.items():
        shape = array.shape or (1,)
        rows = [unragged(batch.column(OBSERVATION + key), shape) for batch in experience.batches]
        flat = np.concatenate([np.ascontiguousarray(one).reshape(len(one), -1) for one in rows])
        parts.append(flat.view(np.uint8).reshape(len(flat), -1))
    raw = np.ascontiguousarray(np.concatenate(parts, 1))
    _, number = np.unique(raw.view(np.dtype((np.void, raw.shape[1]))).reshape(-1), return_inverse=True)
    before, after = _observation_rows(experience)
    over = experience.flat("discount") == 0
    first = np.zeros(len(before), np.bool_)
    starts = np.cumsum(experience.row_steps) - experience.row_steps
    begins = np.concatenate([batch.column("first_step").to_numpy() for batch in experience.batches]) == 0
    first[starts[begins]] = True
    return number[before].astype(np.int64), np.where(over, -1, number[after]).astype(np.int64), first


def _actions(experience: StoredExperience) -> NDArray[np.int64] | None:
    """Actions `[S]`; None where they are not one choice each."""
    spec, _ = spec_of(experience.schema)
    return experience.flat("action").astype(np.int64) if isinstance(spec.action, Discrete) else None


def _flat_observations(experience: StoredExperience, steps: NDArray[np.int64]) -> tuple[Values, Values]:
    spec, _ = spec_of(experience.schema)
    before, after = _observation_rows(experience)
    found: list[list[Values]] = [[], []]
    for key, array in spec.observation.items():
        shape = array.shape or (1,)
        rows = np.concatenate([unragged(batch.column(OBSERVATION + key), shape) for batch in experience.batches])
        for side, where in enumerate((before[steps], after[steps])):
            found[side].append(rows[where].reshape(len(steps), -1).astype(np.float64))
    return np.concatenate(found[0], 1), np.concatenate(found[1], 1)


def _examples(experience: StoredExperience, both: NDArray[np.bool_], a: Values, b: Values) -> tuple[Example, ...]:
    """Captions on which the rewards differ most; steps without one by their action."""
    ids = experience.flat("caption_id")[both]
    kinds, where = np.unique(ids, return_inverse=True)
    texts = [experience.captions.get(int(ident), "") or "(no caption)" for ident in kinds]
    return most_apart(a, b, where, texts)


def write_distances(found: Distances, path: Path) -> None:
    """Keep a comparison as JSON.

    Raises:
        UserError: it cannot be written.
    """
    import json

    try:
        path.write_text(json.dumps(found.as_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"to: cannot write {path}: {error.strerror}") from None
