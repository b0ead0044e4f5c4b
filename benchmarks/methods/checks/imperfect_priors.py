"""Check of imperfect priors: pushes of a box as a camera sees them, made possible, and then done without them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.pushing import (
    STRONGEST,
    Act,
    Floats,
    Reference,
    arrived,
    as_seen,
    expert,
    move,
    tasks,
    touching,
    toward,
    walk,
)
from learners.state_pool import StatePool
from rewards.sources.mimic import mimic_reward

Ints = NDArray[np.int64]
SHOWN, NEW, STEPS, LONGEST = 100, 300, 60, 100
"""Demonstrations, unseen tasks, steps of a demonstration, and steps that anybody has in the end."""
SPAN, PHASES, AHEAD = 5, 12, 3
"""Steps of a phase, phases of a reference, and phases that an episode lasts."""
ROUNDS, TRIED, BEST, FOLLOWED = 160, 24, 6, 0.5
"""Of the search: episodes of a demonstration in turn, offsets tried in each, those kept, and a reward that follows."""
WEIGHTS = {"mass": 0.2, "box": 0.5, "between": 0.15, "contact": 0.15}
SCALES = {"mass": 0.3, "box": 0.1, "between": 0.3, "contact": 1.0}
"""Of the mimic reward: as the camera is better at boxes, they count more and nearer."""
TIMES, NOISE, HORIZON, HELD = 4, 0.02, 4, 4
"""Of distillation: rollouts of a skill and their noise, steps that a command is ahead, and steps that a plan is for."""
Starting = Literal["nothing", "reference", "pool"]


class Shown(NamedTuple):
    """What is seen of demonstrations, where they began `[N, 8]`, and what they were for `[N, 2]`."""

    reference: Reference
    starts: Floats
    goals: Floats


@lru_cache
def shown(seed: int) -> Shown:
    """Demonstrations of one who can do it, as a camera sees them."""
    random = np.random.default_rng(seed)
    starts, goals = tasks(random, SHOWN)
    ways = walk(starts, lambda t, states: expert(states, goals), STEPS)
    return Shown(as_seen(random, ways.states), starts, goals)


def paid(states: Floats, reference: Reference, rows: Ints, t: Ints) -> Floats:
    """The mimic reward of states `[N, C, 8]` at steps `[N, 1]` of references `[N, 1]`."""
    mass, box = states[..., :2] - reference.mass[rows, t], states[..., 4:6] - reference.box[rows, t]
    touch = touching(states).astype(float) - reference.contact[rows, t]
    errors = {"mass": mass, "box": box, "between": mass - box, "contact": touch[..., None]}
    return mimic_reward(errors, WEIGHTS, SCALES).values.astype(float)


def follow(states: Floats, reference: Reference, rows: Ints, t: Ints, offset: Floats) -> Floats:
    """The force towards where the reference's mass is two steps on, and an offset from there `[..., 2]`."""
    return toward(states, reference.mass[rows, np.minimum(t + 2, STEPS)] + offset, reach=0.3)


def frames(reference: Reference) -> Floats:
    """Frames of references as states, with velocities that are differences `[N, T + 1, 8]`."""
    mass, box = reference.mass, reference.box
    speeds = [np.diff(places, axis=1, prepend=places[:, :1]) for places in (mass, box)]
    return np.concatenate([mass, speeds[0], box, speeds[1]], -1)


@lru_cache
def refined(seed: int, start: Starting) -> Floats:
    """Offsets from each reference by phase `[N, K, 2]`, by a cross-entropy search for the mimic reward of an episode.

    Args:
        seed: of the demonstrations and the search.
        start: of episodes; `nothing` searches for nothing, and offsets are 0.
    """
    reference, starts, _ = shown(seed)
    random, rows = np.random.default_rng([seed, 1]), np.arange(SHOWN)
    mean = np.zeros((SHOWN, PHASES + AHEAD - 1, 2))  # after the last phase the last frame is held
    deviation = np.full(mean.shape, 0.15)
    pools = [StatePool(first[None], PHASES, window=2 * TRIED) for first in starts]
    seen = frames(reference)
    for _ in range(0 if start == "nothing" else ROUNDS):
        if start == "pool":
            drawn = [pool.draw(1, random) for pool in pools]
            phase = np.concatenate([each.phases for each in drawn])
            states = np.concatenate([each.states for each in drawn])
        else:
            phase = random.integers(0, PHASES, SHOWN)
            states = seen[rows, phase * SPAN]
        here = rows[:, None], phase[:, None] + np.arange(AHEAD)
        tried = mean[here][:, None] + deviation[here][:, None] * random.normal(size=(SHOWN, TRIED, AHEAD, 2))
        places, reward = states[:, None].repeat(TRIED, 1), np.zeros((SHOWN, TRIED, AHEAD))
        ends = places
        for step in range(AHEAD * SPAN):
            t, part = (phase * SPAN + step)[:, None], step // SPAN
            places = move(places, follow(places, reference, rows[:, None], t, tried[:, :, part]))
            reward[..., part] += paid(places, reference, rows[:, None], np.minimum(t + 1, STEPS)) / SPAN
            ends = places if step == SPAN - 1 else ends
        best = np.argsort(-reward.sum(-1), 1)[:, :BEST]
        kept = tried[rows[:, None], best]
        mean[here] = kept.mean(1)
        deviation[here] = np.maximum((deviation[here] + kept.std(1)) / 2, 0.02)
        if start == "pool":
            for pool, k, came, well in zip(pools, phase, ends, reward[..., 0] >= FOLLOWED, strict=True):
                pool.tell(np.full(TRIED, k), came, well)
    return mean[:, :PHASES]


def following(seed: int, start: Starting, rows: Ints) -> Act:
    """Who follows references `[n]` with what was found for them."""
    reference, offsets = shown(seed).reference, refined(seed, start)

    def act(t: int, states: Floats) -> Floats:
        phase = min(t // SPAN, PHASES - 1)
        return follow(states, reference, rows, np.full(len(rows), min(t, STEPS)), offsets[rows, phase])

    return act


def observed(states: Floats, goals: Floats) -> Floats:
    """What plans are made by: where the mass is from the box, both velocities, and what is left of the way `[n, 8]`."""
    left = np.tanh((goals - states[:, 4:6]) / 0.3)  # of far goals only that they are far
    return np.concatenate([states[:, :2] - states[:, 4:6], 2 * states[:, 2:4], 2 * states[:, 6:], left], -1)


def heard(states: Floats, command: Floats, contact: NDArray[np.bool_]) -> Floats:
    """What the tracker goes by: the way to where it is told to be, its velocity, and both again in contact `[n, 8]`."""
    both = np.concatenate([command - states[..., :2], states[..., 2:4]], -1)
    return np.concatenate([both, both * contact[..., None]], -1)


class Skill:
    """A command generator by nearest neighbours, and a command tracker by least squares; neither sees a reference."""

    def __init__(self, seed: int, number: int, start: Starting) -> None:
        """Distil what `start` made of the first `number` demonstrations, of rollouts that end as their reference does.

        The tracker learns what was done to come to where the mass is later; the generator, what was commanded in the
        states that this tracker comes to with the commands of the skills, for goals that are where the box ended.
        """
        rows, random = np.arange(number).repeat(TIMES), np.random.default_rng([seed, 2])
        first, last = shown(seed).starts[rows], shown(seed).reference.box[rows, -5:].mean(1)
        skills = walk(first, following(seed, start, rows), STEPS, lambda: random.normal(0, NOISE, (len(rows), 2)))
        kept = arrived(skills.states[:, -1], last)
        states, actions = skills.states[kept], np.clip(skills.actions[kept], -STRONGEST, STRONGEST)
        later = np.minimum(np.arange(STEPS)[:, None] + np.arange(1, HORIZON + HELD), STEPS)
        places, contact = states[:, later, :2], touching(states)[:, later]  # [n, T, 7, 2] and [n, T, 7]
        told, touch = places[:, :, HORIZON - 1], contact[:, :, HORIZON - 1]
        inputs = heard(states[:, :-1], told, touch).reshape(-1, 8)
        self._tracker = np.asarray(np.linalg.lstsq(inputs, actions.reshape(-1, 2), rcond=None)[0])

        def track(t: int, states: Floats) -> Floats:
            return np.asarray(heard(states, told[:, t], touch[:, t]) @ self._tracker)

        tracked = walk(states[:, 0], track, STEPS, lambda: random.normal(0, NOISE, (len(states), 2))).states
        now, goals = tracked[:, :-1], np.broadcast_to(tracked[:, -1:, 4:6], actions.shape)
        self._places = (places - now[:, :, None, 4:6]).reshape(-1, HORIZON + HELD - 1, 2)
        self._contact = contact.reshape(-1, HORIZON + HELD - 1)
        self._known: Any = cKDTree(observed(now.reshape(-1, 8), goals.reshape(-1, 2)))

    def acting(self, goals: Floats, random: np.random.Generator) -> Act:
        """The policy: a plan of what followed on one of three like states, and anew when half of it is done."""
        chosen, box = np.zeros(len(goals), np.int64), np.zeros((len(goals), 2))

        def act(t: int, states: Floats) -> Floats:
            if t % HELD == 0:
                alike = self._known.query(observed(states, goals), k=3)[1]
                chosen[:], box[:] = alike[np.arange(len(goals)), random.integers(0, 3, len(goals))], states[:, 4:6]
            step = t % HELD + HORIZON - 1
            command = heard(states, box + self._places[chosen, step], self._contact[chosen, step])
            return np.asarray(command @ self._tracker)

        return act


def new_tasks(seed: int) -> tuple[Floats, Floats]:
    """Starts and goals that nobody has shown."""
    return tasks(np.random.default_rng(9000 + seed), NEW)


def successes(starts: Floats, goals: Floats, act: Act) -> float:
    """Share of tasks in which the box is at its goal in the end."""
    return float(arrived(walk(starts, act, LONGEST).states[:, -1], goals).mean())


def with_references(seed: int, start: Starting) -> Mapping[str, float]:
    """Each demonstration's own reference is followed, and for a new task that of the most alike."""
    _, starts, goals = shown(seed)
    new, wanted = new_tasks(seed)
    about = [np.concatenate([s[:, :2], g], 1) for s, g in ((starts, goals), (new, wanted))]
    nearest = cKDTree(about[0]).query(about[1])[1]
    return {
        "success on demonstrations": successes(starts, goals, following(seed, start, np.arange(SHOWN))),
        "success from unseen starts": successes(new, wanted, following(seed, start, nearest)),
    }


def without_references(seed: int, number: int, start: Starting = "pool") -> Mapping[str, float]:
    """A policy distilled from demonstrations does them, and new tasks."""
    skill, random = Skill(seed, number, start), np.random.default_rng([seed, 3])
    starts, goals = (each[:number] for each in shown(seed)[1:])
    new, wanted = new_tasks(seed)
    return {
        "success on demonstrations": successes(starts, goals, skill.acting(goals, random)),
        "success from unseen starts": successes(new, wanted, skill.acting(wanted, random)),
    }


def _refined_and_distilled(found: Found) -> bool:
    """The pool above both others; the policy above references where nobody has been, and better of more of them."""
    shown_to, new = "success on demonstrations", "success from unseen starts"
    few, some, many = (f"distilled, {number} demonstrations" for number in (10, 30, 100))
    return (
        all(found.above("state pool", other, shown_to) for other in ("reference states", "tracking"))
        and found.above(many, "tracking", new)
        and found.above(many, few, new)
        and found.mean(few, new) < found.mean(some, new) < found.mean(many, new)
    )


SUGAR = Check(
    row=58,
    name="imperfect-prior-refinement",
    claim="Refined by one mimic reward from states that were reached, noisy references of pushes bring the box to its "
    "goal more often than refined from the frames of the references, and than tracked as they are; a policy without "
    "references, distilled from 100, does so from unseen starts more often than tracking the most alike reference, "
    "and more often than one from 10, with one from 30 between.",
    arms={
        "tracking": lambda seed: with_references(seed, "nothing"),
        "reference states": lambda seed: with_references(seed, "reference"),
        "state pool": lambda seed: with_references(seed, "pool"),
        "distilled, 10 demonstrations": lambda seed: without_references(seed, 10),
        "distilled, 30 demonstrations": lambda seed: without_references(seed, 30),
        "distilled, 100 demonstrations": lambda seed: without_references(seed, 100),
        "distilled, 100 demonstrations, not refined": lambda seed: without_references(seed, 100, "nothing"),
    },
    holds=_refined_and_distilled,
    units={"success on demonstrations": "share of tasks", "success from unseen starts": "share of tasks"},
)
