"""Check of advantages by stage and of reflections: a plan, three stages that follow from it, and a second attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods.experiment import Check, Found
from benchmarks.methods.worlds.forms import Field, Floats, Form, Ints, Judged, trained
from benchmarks.methods.worlds.menu import softmax, view
from pipelines.results import figure
from rewards.columns import Column
from rewards.groups import group_advantages
from rewards.sources.reflection import GuidanceMemory, improvement
from rewards.views.layout import Layout, Level
from rewards.views.view import RewardView

TASKS, STAGES, CHOICES, NOISE = 8, 4, 6, 0.3
"""Tasks, stages (plan, research, review, answer), what may be done in each, and the judge's noise."""
NOTHING = STAGES
"""The guidance to leave all as it is; any other is the number of a stage that is to be done otherwise."""
MEMBERS = 16
"""Attempts of a group; with reflections half of them are second ones, which teach whoever reflects."""
UPDATES = 30
"""Batches of training, after which first reports are not yet all that they could be."""
Reflecting = Literal["not", "at random", "learnt"]


def following(task: Ints, filled: Ints) -> Ints:
    """A later stage looks at the task and at the plan, which is the rubric that one writes oneself."""
    return task * CHOICES + filled[:, 0]


def attempts() -> Form:
    """A policy that knows nothing."""
    return Form([Field(CHOICES, TASKS)] + [Field(CHOICES, TASKS * CHOICES, following) for _ in range(STAGES - 1)])


class Judge:
    """Scores of stages, each by itself, and of reports, in which a wrong plan is worth nothing."""

    def __init__(self, seed: int) -> None:
        """What is right, at random: the plan of each task, and each later stage of each plan."""
        random = np.random.default_rng(seed)
        self.plan = random.integers(0, CHOICES, TASKS)
        self.later = random.integers(0, CHOICES, (TASKS, CHOICES, STAGES - 1))

    def stages(self, task: Ints, forms: Ints) -> NDArray[np.bool_]:
        """Which stages are right, the later ones by their plan `[B, STAGES]`."""
        plan = (forms[:, 0] == self.plan[task])[:, None]
        return np.concatenate([plan, forms[:, 1:] == self.later[task, forms[:, 0]]], 1)

    def report(self, task: Ints, forms: Ints) -> Floats:
        """Share of right stages where the plan is right, else 0 `[B]`."""
        right = self.stages(task, forms)
        return np.where(right[:, 0], right.mean(1), 0.0)

    def columns(self, task: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        """Both, as a judge says them who is not sure."""
        stages, report = self.stages(task, forms).ravel(), self.report(task, forms)
        noisy = [values + random.normal(0, NOISE, len(values)) for values in (stages, report)]
        return dict(zip(("stage", "report"), map(Column.full, noisy), strict=True))


def second(form: Form, task: Ints, first: Ints, guidance: Ints, random: np.random.Generator) -> Ints:
    """Attempts that follow guidance: one stage is done otherwise, after another plan all of them are done anew."""
    found: Ints = first.copy()
    rows = np.arange(len(first))
    for k, field in enumerate(form.fields):
        chances = softmax(form.logits[k])[field.row(task, found[:, :k])]
        other = guidance == k
        chances[rows, first[:, k]] = np.where(other, 1e-9, chances[rows, first[:, k]])
        share = (chances / chances.sum(-1, keepdims=True)).cumsum(-1)
        drawn = (share > random.random((len(rows), 1))).argmax(-1)
        found[:, k] = np.where(other | ((guidance == 0) & (k > 0)), drawn, first[:, k])
    return found


def looks(judge: Judge, task: Ints, forms: Ints, random: np.random.Generator) -> Ints:
    """What whoever reflects reads: which stages seem right to the judge, as one number `[B]`."""
    seem = judge.columns(task, forms, random)["stage"].values.reshape(forms.shape) > 0.5
    found: Ints = seem @ (1 << np.arange(STAGES))
    return found


def snr(judged: Judged, made: RewardView, seed: int, batches: int = 100) -> float:
    """Signal to noise of the gradient of plans, before anything is learnt: ‖mean‖² / mean of ‖g − mean‖²."""
    random, form = np.random.default_rng(seed), attempts()
    task = np.repeat(np.arange(TASKS), MEMBERS)
    layout, found = Layout.of(np.full(len(task), STAGES), task), []
    for _ in range(batches):
        forms = form.filled(task, random)
        result = made.apply(judged(task, forms, random), layout)
        assert result.advantage is not None
        gain = result.advantage.values[layout.owner("step", result.levels["advantage"])].reshape(forms.shape)[:, 0]
        gradient = np.zeros((TASKS, CHOICES))
        np.add.at(gradient, (task, forms[:, 0]), gain)
        found.append(gradient - np.bincount(task, gain)[:, None] / CHOICES)
    mean = np.mean(found, 0)
    return float((mean**2).sum() / np.mean([((one - mean) ** 2).sum() for one in found]))


def learnt(
    seed: int, reflecting: Reflecting, levels: Mapping[str, Level], *parts: Mapping[str, Any], updates: int = UPDATES
) -> Mapping[str, float]:
    """Reports of first and second attempts after training.

    Args:
        seed: of everything.
        reflecting: what stands before a second attempt: nothing, any guidance, or guidance that was learnt.
        levels: of the columns that the view reads: `report` of episodes, `stage` of steps.
        *parts: of the view that the policy learns by.
        updates: batches; as many attempts in each, whatever they are used for.
    """
    judge, random, made = Judge(seed), np.random.default_rng(100 + seed), view(levels, *parts)
    reflection, form = Form([Field(NOTHING + 1, 1 << STAGES)]), attempts()
    members = MEMBERS if reflecting == "not" else MEMBERS // 2

    def judged(task: Ints, forms: Ints, random: np.random.Generator) -> Mapping[str, Column]:
        return {name: column for name, column in judge.columns(task, forms, random).items() if name in levels}

    def reflect(update: int, task: Ints, forms: Ints) -> None:
        """Several pieces of guidance on the first attempt of each group are compared by what came of them."""
        one = slice(0, None, members)
        before = judge.columns(task[one], forms[one], random)["report"]
        state = looks(judge, task[one], forms[one], random).repeat(members)
        guidance = reflection.filled(state, random)
        then = second(form, task, forms[one].repeat(members, 0), guidance[:, 0], random)
        after = judge.columns(task, then, random)["report"].values.reshape(-1, members, 1)
        gain = group_advantages(improvement(before, Column.full(after))).values.reshape(-1, 1)
        reflection.ascend(state, guidance, gain / len(gain), 16.0)

    hook = reflect if reflecting == "learnt" else None
    trained(form, TASKS, judged, made, seed, updates, members=members, on_update=hook)
    task, memory = np.repeat(np.arange(TASKS), 100), GuidanceMemory()
    first = form.filled(task, random)
    for number, guidance in enumerate(reflection.filled(looks(judge, task, first, random), random)[:, 0]):
        memory.write(str(number), str(guidance))
    read = np.array([int(memory.read(str(number))[0]) for number in range(len(task))])
    then = form.filled(task, random) if reflecting == "not" else second(form, task, first, read, random)
    return {
        "first report": float(judge.report(task, first).mean()),
        "second report": float(judge.report(task, then).mean()),
        "SNR of plans": snr(judged, made, 200 + seed),
    }


ANSWER: tuple[Any, ...] = (
    {"report": "episode"},
    {"part": "weighted_sum", "coefficients": {"report": 1.0}},
    {"part": "group_relative", "preset": "grpo", "of": "reward"},
)
STAGED: tuple[Any, ...] = (
    {"stage": "step", "report": "episode"},
    {"part": "weighted_sum", "coefficients": {"report": 1.0}},
    {"part": "position_relative", "preset": "ss_grpo", "of": "stage", "to": "of_stage"},
    {"part": "group_relative", "preset": "grpo", "of": "reward", "to": "of_report"},
    {"part": "weighted_sum", "coefficients": {"of_stage": 1.0, "of_report": 1.0}, "to": "advantage"},
)


def _sooner_and_by_reflection(found: Found) -> bool:
    """Stages above the answer alone, and second attempts above first ones and above those by guidance at random."""
    first, then = (np.asarray(found.values["stages, reflections"][f"{name} report"]) for name in ("first", "second"))
    return (
        found.above("stages", "answer alone", "first report")
        and found.above("stages", "answer alone", "SNR of plans")
        and (figure(then - first, "difference").low or 0.0) > 0
        and found.above("stages, reflections", "stages, guidance at random", "second report")
    )


RUBRIC_EM = Check(
    row=107,
    name="stage-structured-grpo-with-reflection",
    claim="With as many attempts, advantages of stages beside that of the report give better reports and plans a "
    "gradient with more signal to noise than the report's alone; and second attempts after learnt reflections are "
    "better than first ones, and than those after guidance at random.",
    arms={
        "answer alone": lambda seed: learnt(seed, "not", *ANSWER),
        "stages": lambda seed: learnt(seed, "not", *STAGED),
        "stages, guidance at random": lambda seed: learnt(seed, "at random", *STAGED),
        "stages, reflections": lambda seed: learnt(seed, "learnt", *STAGED),
    },
    holds=_sooner_and_by_reflection,
    units={"first report": "mean score", "second report": "mean score", "SNR of plans": "ratio of squares"},
)
