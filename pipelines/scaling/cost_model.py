"""What a frame costs each part of a run, and so how fast a layout of processes could go and where it stops; pure.

Each part can serve so many frames a second: processor time a frame, a rollout and a second, bytes on a network, tokens
of a judge. The rate is the least of them, and of what all parts together take from the cores that they share. The
costs are fitted to runs (`fit`), everything else is counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
from scipy.optimize import nnls


@dataclass(frozen=True)
class Layout:
    """Who runs where.

    Attributes:
        actors: processes that act.
        frames: of one rollout: environments of an actor × steps.
        batch: rollouts in an update.
        learners: that share an update.
        shards: of the replay.
        judges: replicas; 0: nobody judges.
        nodes: machines.
        cores: of each.
        network: bytes a second of each node.
        tokens: a judge of all replicas may read and write a second; infinity: as many as it can.
    """

    actors: int
    frames: int
    batch: int
    learners: int = 1
    shards: int = 1
    judges: int = 0
    nodes: int = 1
    cores: int = 2
    network: float = math.inf
    tokens: float = math.inf


# Costs that results measured before these were told apart do not have: there they are part of what a frame costs.
BEFORE = frozenset({"actor_rollout", "learner_rollout", "replay_rollout"})


@dataclass(frozen=True)
class Costs:
    """What was measured; seconds are of one core.

    Attributes:
        actor: seconds a frame, of an actor.
        learner: seconds a frame.
        replay: seconds a frame.
        trainer: seconds a frame, of the reward model.
        actor_rollout: seconds a rollout, of an actor: weights taken in, rows closed and packed, the next ones opened.
        learner_rollout: seconds a rollout, of a learner: rows scored, put together, and padded for their returns.
        replay_rollout: seconds a rollout, of a share of the replay: its rows stored, kept in order, and drawn.
        driver: seconds a rollout, of the driver: two calls, admission, books.
        driver_always: seconds a second, whatever happens: display, books, looks at the clock.
        ray: seconds a rollout, of Ray's own processes.
        ray_always: seconds a second of them.
        hop: seconds from a call of an actor to its answer, beside what it does.
        judge: seconds a question.
        questions: to a judge, a frame.
        judge_tokens: of a question.
        weights: bytes of a version.
        row: stored bytes a frame.
    """

    actor: float
    learner: float
    replay: float = 0.0
    trainer: float = 0.0
    actor_rollout: float = 0.0
    learner_rollout: float = 0.0
    replay_rollout: float = 0.0
    driver: float = 0.0
    driver_always: float = 0.0
    ray: float = 0.0
    ray_always: float = 0.0
    hop: float = 0.0
    judge: float = 0.0
    questions: float = 0.0
    judge_tokens: float = 0.0
    weights: float = 0.0
    row: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """By name."""
        return asdict(self)

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Costs:
        """From what `as_dict` gave.

        Raises:
            ValueError: a cost is missing or unknown, not finite, or negative. One of those `BEFORE` may be missing.
        """
        names = {field.name for field in fields(cls)}
        if set(values) | BEFORE != names:
            raise ValueError(f"got costs {sorted(values)}; expected {sorted(names)}")
        if bad := [name for name, value in values.items() if not (math.isfinite(value) and value >= 0)]:
            raise ValueError(f"got {bad[0]} = {values[bad[0]]}; expected a finite number of at least 0")
        return cls(**values)


@dataclass(frozen=True)
class Limit:
    """How fast a run could be if only one part held it up.

    Attributes:
        part: which.
        frames_per_s: how fast.
        moved_by: what would make it faster.
    """

    part: str
    frames_per_s: float
    moved_by: str


def limits(costs: Costs, layout: Layout) -> list[Limit]:
    """What each part of a run could do, the slowest first.

    Args:
        costs: of a frame and a rollout.
        layout: who runs where.
    """
    c, at = costs, layout
    rollouts = 1.0 / at.frames  # a frame
    update = at.batch * at.frames
    learning = (update * c.learner + at.batch * c.learner_rollout) / at.learners
    if at.learners > 1:
        learning += 2 * c.weights / at.network + 2 * c.hop  # a ring sends each gradient twice
    found = [
        Limit(
            "env actors",
            at.actors * at.frames / (at.frames * c.actor + c.actor_rollout + c.hop),
            "actors.count, or a cheaper policy (actors.inference=server on a GPU)",
        ),
        Limit("learner", _over(update, learning), "learners, learner_device=cuda, or fewer epochs"),
        Limit("store shards", _over(at.shards, c.replay + c.replay_rollout * rollouts), "replay.shards"),
        Limit(
            "the driver",
            _over(max(0.0, 1.0 - c.driver_always), c.driver * rollouts),
            "longer rollouts: actors.environments, actors.unroll_length",
        ),
        Limit(
            "Ray on the driver's node",
            _over(max(0.0, at.cores - c.ray_always), c.ray * rollouts),
            "longer rollouts, or a larger node for the driver",
        ),
        Limit(
            "weight broadcast",
            _over(at.network * update, max(0, at.nodes - 1) * c.weights),
            "larger batches (fewer versions), fewer nodes with more cores, a faster network",
        ),
        Limit(
            "experience on the network",
            math.inf if at.nodes < 2 else _over(at.network, 2 * c.row),
            "smaller observations, or shards on several nodes (placement.replay_anywhere)",
        ),
    ]
    if at.judges:
        found.append(Limit("judge", _over(at.judges, c.questions * c.judge), "serving.replicas, a smaller judge"))
        tokens = c.questions * c.judge_tokens
        found.append(Limit("judge tokens", _over(at.tokens, tokens), "rates.*, a cache, shorter captions"))
    always = c.driver_always + c.ray_always
    found.append(
        Limit(
            f"all cores ({at.nodes} × {at.cores})",
            _over(max(0.0, at.nodes * at.cores - always), seconds_a_frame(c, at)),
            "more cores",
        )
    )
    return sorted(found, key=lambda limit: limit.frames_per_s)


def seconds_a_frame(costs: Costs, layout: Layout) -> float:
    """Processor seconds of all parts together."""
    judged = costs.questions * costs.judge if layout.judges else 0.0
    frame = costs.actor + costs.learner + costs.replay + costs.trainer
    rollout = costs.actor_rollout + costs.learner_rollout + costs.replay_rollout + costs.driver + costs.ray
    return frame + rollout / layout.frames + judged


def frames_per_s(costs: Costs, layout: Layout) -> float:
    """How fast a run would be: as fast as its slowest part.

    Judges are left out: nothing waits for them, what they owe comes late.
    """
    return min(one.frames_per_s for one in limits(costs, layout) if not one.part.startswith("judge"))


@dataclass(frozen=True)
class Seen:
    """A run that was measured.

    Attributes:
        layout: of it.
        frames_per_s: that were learnt from.
        seconds: of a core a frame, by part: "actor", "learner", "replay", "trainer", "driver", "ray", "judge".
        questions: to the judge, a frame.
        judge_tokens: of a question.
        weights: bytes of a version.
        row: stored bytes a frame.
    """

    layout: Layout
    frames_per_s: float
    seconds: Mapping[str, float]
    questions: float = 0.0
    judge_tokens: float = 0.0
    weights: float = 0.0
    row: float = 0.0


def fit(runs: Sequence[Seen], hop: float = 0.0) -> Costs:
    """Costs that explain runs best.

    By non-negative least squares it is found of actors, learner and replay how much they take a frame, and how much a
    rollout; of driver and Ray, how much a second, and how much a rollout. From runs whose rollouts differ too little,
    all that the first do counts for frames, and all that the others do for rollouts. The reward model's trainer knows
    no rollouts: the mean over runs.

    Args:
        runs: measured, at least one.
        hop: seconds of a call, measured apart.

    Raises:
        ValueError: there are none.
    """
    if not runs:
        raise ValueError("got no runs to fit costs to; expected one at least")

    def mean(part: str) -> float:
        return float(np.mean([run.seconds.get(part, 0.0) for run in runs]))

    actor, actor_rollout = _shared_out(runs, "actor")
    learner, learner_rollout = _shared_out(runs, "learner")
    replay, replay_rollout = _shared_out(runs, "replay")
    driver_always, driver = _split(runs, "driver")
    ray_always, ray = _split(runs, "ray")
    asked = [run for run in runs if run.questions > 0]
    judge = float(np.mean([run.seconds.get("judge", 0.0) / run.questions for run in asked])) if asked else 0.0
    last = runs[-1]
    return Costs(
        actor=actor,
        learner=learner,
        replay=replay,
        trainer=mean("trainer"),
        actor_rollout=actor_rollout,
        learner_rollout=learner_rollout,
        replay_rollout=replay_rollout,
        driver=driver,
        driver_always=driver_always,
        ray=ray,
        ray_always=ray_always,
        hop=hop,
        judge=judge,
        questions=float(np.mean([run.questions for run in runs])),
        judge_tokens=float(np.mean([run.judge_tokens for run in asked])) if asked else 0.0,
        weights=last.weights,
        row=float(np.mean([run.row for run in runs])),
    )


def errors(runs: Sequence[Seen], hop: float = 0.0) -> list[float]:
    """Of each run, by how much the model that was fitted to the others is wrong: predicted / measured - 1."""
    found = []
    for k, run in enumerate(runs):
        others = [*runs[:k], *runs[k + 1 :]] or [run]
        found.append(frames_per_s(fit(others, hop), run.layout) / run.frames_per_s - 1.0)
    return found


def _over(amount: float, cost: float) -> float:
    """How much of a thing that costs so much there is for an amount; what costs nothing, without end."""
    return amount / cost if cost > 0 else math.inf


def _shared_out(runs: Sequence[Seen], part: str) -> tuple[float, float]:
    """Seconds a frame, and seconds a rollout."""
    rollouts = np.array([1.0 / run.layout.frames for run in runs])  # a frame
    spent = np.array([run.seconds.get(part, 0.0) for run in runs])  # a frame
    if len(runs) < 3 or rollouts.max() < 1.5 * rollouts.min():
        return float(spent.mean()), 0.0
    scale = rollouts.max()  # so that both columns are of one size
    (frame, rollout), _ = nnls(np.stack([np.ones_like(rollouts), rollouts / scale], axis=1), spent)
    return float(frame), float(rollout / scale)


def _split(runs: Sequence[Seen], part: str) -> tuple[float, float]:
    """Seconds a second, and seconds a rollout."""
    rollouts = np.array([run.frames_per_s / run.layout.frames for run in runs])
    spent = np.array([run.seconds.get(part, 0.0) * run.frames_per_s for run in runs])  # a second
    if len(runs) < 3 or rollouts.max() < 1.5 * rollouts.min():
        return 0.0, float(np.mean(spent / rollouts))
    (always, each), _ = nnls(np.stack([np.ones_like(rollouts), rollouts], axis=1), spent)
    return float(always), float(each)
