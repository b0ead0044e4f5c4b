"""`guerdon plan`: what a run will ask for, what it will cost, how long it takes, and where it would stop growing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from cluster.placement import MIB, Ask
from cluster.session import ray_session
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.language.experiment import LanguageExperiment
from pipelines.machines.machine import cores
from pipelines.machines.trial import update_rate
from pipelines.scaling.asks import asks_of, expect_room, language_asks, most_of, needed_cpus
from pipelines.scaling.cost_model import Layout, frames_per_s, limits
from pipelines.scaling.fitted import Rates, layout_of, measured, stored_rates

GIB = 1024**3
GBIT = 1e9 / 8
ADAM = 3  # weights and both moments
PART_OF = {"actors": "actor", "learner": "learner", "replay": "replay", "judge": "judge", "trainer": "trainer"}


def plan(
    recipe: str,
    words: Sequence[str],
    experiment: Experiment,
    steps: int,
    nodes: int,
    cores_each: int,
    gbit: float,
    measure: bool,
    seconds: float,
    console: Console | None = None,
) -> None:
    """Print the plan of a run in an environment.

    Args:
        recipe: its name, under which rates are kept.
        words: overrides.
        experiment: what they come to.
        steps: frames to learn from; 0: the experiment's own.
        nodes: machines; 0: as many as give each process a core of its own.
        cores_each: of each; 0: those of this machine.
        gbit: of each machine's network, Gbit/s.
        measure: run the recipe for a while here, instead of taking the rates that are kept.
        seconds: how long.
        console: to print to.

    Raises:
        UserError: the cluster can never give what is asked, or there are no rates to be had.
    """
    console = console or Console(soft_wrap=True, highlight=False)
    asks, steps = asks_of(experiment), steps or experiment.frames
    _expect(experiment, asks)
    rates = measured([recipe, *words], experiment, seconds) if measure else stored_rates(recipe)
    cores_each = cores_each or cores()
    processes = sum(ask.count for ask in asks.values()) + 1
    nodes = nodes or math.ceil(processes / cores_each)
    console.print(table_of(asks, most_of(experiment), {} if rates is None else rates.memory_mb))
    for line in needs(experiment, asks, rates, steps):
        console.print(line)
    if rates is None:
        console.print(
            f"rates: none are kept for {recipe!r}, so time, memory, disk and the judge's questions are not known; "
            f"measure=true runs it for {seconds:.0f} s and says them"
        )
        return
    layout = layout_of(experiment, nodes, cores_each, gbit * GBIT)
    rate = frames_per_s(rates.costs, layout)
    needed_s = steps / rate if rate > 0 else math.inf
    console.print(
        f"rate with actors.count={layout.actors}: about {rate:,.0f} frames/s on {nodes} × {cores_each} cores: "
        f"{steps:,} frames in {_time(needed_s)}"
        + (f" (measured on {rates.cores} cores)" if rates.cores != nodes * cores_each else "")
    )
    console.print(limits_table(rates, layout))


def plan_language(
    words: Sequence[str],
    experiment: LanguageExperiment,
    updates: int,
    measure: bool,
    seconds: float,
    console: Console | None = None,
) -> None:
    """Print what a language run asks for, and how long it takes: as long as its updates take here.

    Args:
        words: recipe and overrides.
        experiment: what they come to.
        updates: to plan for; 0: the experiment's own.
        measure: run the recipe for a while here, to see how long an update takes.
        seconds: how long.
        console: to print to.

    Raises:
        UserError: the cluster can never give what is asked, or the recipe cannot be run.
    """
    console = console or Console(soft_wrap=True, highlight=False)
    asks, updates = language_asks(experiment), updates or experiment.updates
    _expect(experiment, asks)
    console.print(table_of(asks, most_of(experiment), {}))
    answers = updates * experiment.prompts * experiment.group_size
    tokens = answers * experiment.sampling.max_tokens
    console.print(f"{updates:,} updates: {answers:,} answers, at most {tokens:,} tokens written in one turn of each")
    if experiment.rewards.judge is not None:
        console.print(f"judge: {answers:,} questions, fewer where answers are the same")
    if not measure:
        console.print(
            "rates: none are kept for language runs, so the time is not known; measure=true runs a few updates and "
            "says it"
        )
        return
    rate = update_rate(words, seconds)
    console.print(
        f"rate: about {rate.seconds:,.2f} s an update on {cores()} cores ({rate.updates} measured): {updates:,} "
        f"updates in {_time(updates * rate.seconds)}"
    )
    if rate.tokens is not None:
        console.print(f"tokens: about {rate.tokens:,.0f} an answer, {answers * rate.tokens:,.0f} in all")


def _expect(experiment: Experiment | LanguageExperiment, asks: dict[str, Ask]) -> None:
    """Where a cluster is named, see that it can give what is asked.

    Raises:
        UserError: it cannot, or nobody listens there.
    """
    if experiment.ray.address is None:
        return
    try:
        with ray_session(experiment.ray, needed_cpus(experiment)):
            expect_room(asks)
    except ConnectionError as error:
        raise UserError(str(error)) from None


def table_of(asks: Mapping[str, Ask], most: Mapping[str, int], memory_mb: Mapping[str, float]) -> Table:
    """What each role asks for: to begin with, and where there may be more of it, up to how many."""
    table = Table("role", "processes", "CPU each", "GPU each", "memory each", "where", title="resources")
    for role, ask in asks.items():
        memory = memory_mb.get(PART_OF.get(role, ""))
        where = ", ".join(f"{key}={value}" for key, value in ask.labels.items())
        others = {name: amount for name, amount in ask.bundle.items() if name not in ("CPU", "GPU", "memory")}
        where = ", ".join([*([where] if where else []), *(f"{name} {amount:g}" for name, amount in others.items())])
        table.add_row(
            role,
            str(ask.count) if most.get(role, 0) <= ask.count else f"{ask.count} to {most[role]}",
            f"{ask.bundle.get('CPU', 0):g}",
            f"{ask.bundle.get('GPU', 0):g}",
            "not known" if memory is None else f"{memory:,.0f} MB",
            where or ("the driver's node" if role == "replay" else "anywhere"),
        )
    return table


def needs(experiment: Experiment, asks: Mapping[str, Ask], rates: Rates | None, steps: int) -> list[str]:
    """In words: processors, memory, disk, what the judge is asked and what that costs."""
    total = {name: sum(ask.count * ask.bundle.get(name, 0.0) for ask in asks.values()) for name in ("CPU", "GPU")}
    store = experiment.ray.object_store_mb
    lines = [
        f"{total['CPU']:g} CPUs, {total['GPU']:g} GPUs, {store:,} MB of object store on each node that Guerdon starts"
    ]
    if rates is None:
        return lines
    costs = rates.costs
    memory = sum(ask.count * rates.memory_mb.get(PART_OF.get(role, ""), 0.0) for role, ask in asks.items())
    memory += rates.memory_mb.get("driver", 0.0) + rates.memory_mb.get("ray", 0.0)
    waiting = (experiment.max_staleness + 1) * experiment.batch_fragments * _frames(experiment) * costs.row
    disk = experiment.record_mb * MIB + waiting + experiment.checkpoint.keep * ADAM * costs.weights
    lines.append(f"memory about {memory * MIB / GIB:,.1f} GiB, disk about {disk / GIB:,.2f} GiB at a time")
    if experiment.judged:
        questions = costs.questions * steps
        tokens = questions * costs.judge_tokens
        money = experiment.prices.cost(round(questions), round(tokens))
        lines.append(
            f"judge: at most {questions:,.0f} questions and {tokens:,.0f} tokens, {money:,.2f} by prices.*; fewer, "
            "because captions come again"
        )
    return lines


def limits_table(rates: Rates, layout: Layout) -> Table:
    """Where it would stop, the first bottleneck first."""
    table = Table("what holds the run up", "frames/s", "moved by", title="bottlenecks, the first one first")
    for limit in limits(rates.costs, layout):
        if math.isfinite(limit.frames_per_s):
            late = " (verdicts come late, nothing waits)" if limit.part.startswith("judge") else ""
            table.add_row(limit.part + late, f"{limit.frames_per_s:,.0f}", limit.moved_by)
    table.columns[1].justify = "right"
    return table


def _frames(experiment: Experiment) -> int:
    return experiment.actors.environments * experiment.actors.unroll_length


def _time(seconds: float) -> str:
    if not math.isfinite(seconds) or seconds < 0:
        raise UserError(f"got a rate that makes {seconds} s; measure it anew with measure=true")
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"
