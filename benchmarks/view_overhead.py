"""`view-overhead`: what a reward view costs beside a learner step, and how fast each of its parts is on one core.

    python -m benchmarks.view_overhead
    python -m benchmarks.view_overhead recipes=[rlvr] updates=8 parts=[clip,conditional] results=docs/results

Recipes run by the local runner, one thread; each learner step is timed as it happens, and in it the view. The view of a
recipe is short, so others are computed beside it for the layout of the same batch: one of six parts, one more than the
longest that is shipped; one of twelve, from every stage; and one of every part there is, each with columns of its own.
The recipe's judge is replaced by the rule book, which changes nothing that is timed.

Rates of parts are measured on a million steps or tokens, in two layouts: long episodes, and short answers in groups;
the slower one counts. Beside each part its columns, in and out, are copied: a part cannot be faster than that. Layout
and state are new each time, as in a batch.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.apparatus.learner_steps import learn, learner_step
from pipelines.errors import UserError
from pipelines.language.roles import LearnerRole
from pipelines.overrides import parse
from pipelines.results import Cell, Figure, Result, figure, write_result
from rewards.columns import Column
from rewards.views.layout import LEVELS, Layout, Level
from rewards.views.part import Part, Table
from rewards.views.parts import NAMES, part_of
from rewards.views.view import Config, RewardView

NAME = "view-overhead"
RECIPES: Mapping[str, Mapping[str, str | int]] = {
    "nethack-score": {"judge.kind": "rules"},
    "rlvr": {"evaluate_every": 0},
}
KEYS: Mapping[str, Any] = {
    "recipes": list(RECIPES),
    "parts": list(NAMES),
    "updates": 20,
    "size": 2**20,
    "repetitions": 5,
    "results": "docs/results",
}
MOST, STEPS, TOKENS = 0.02, 5e6, 2e6
"""What is claimed: share of a learner step at most, steps/s and tokens/s at least."""
BOUND = 0.5
"""At half the speed of a copy of the same columns, a part is bound by memory."""
SHARE = "share of the learner step"
WARM_UP = 2
SHIPPED = ("clip", "gate", "reduce", "weighted_sum", "returns", "group_relative")
"""Parts of a view as long as the longest shipped one, and one more."""
LONG = (
    "clip",
    "normalise",
    "anneal",
    "length_penalty",
    "gate",
    "potential",
    "reduce",
    "weighted_sum",
    "redistribute",
    "returns",
    "group_relative",
    "entropy_modulated",
)
"""Parts of the long view: shaping, aggregation, credit and advantage."""
VIEWS: Mapping[str, Sequence[str]] = {"ample": SHIPPED, "long": LONG, "every": tuple(NAMES)}
LAYOUTS: Mapping[str, tuple[int, int, int]] = {"episodes": (32, 1, 8), "answers": (1, 16, 8)}
"""By name: steps of an episode, tokens of a step, episodes of a group."""


def layout_like(name: str, size: int) -> Layout:
    """A layout with about `size` things of its finest level."""
    steps, tokens, group = LAYOUTS[name]
    episodes = max(1, size // (steps * tokens * group)) * group
    return Layout.of(
        steps=np.full(episodes, steps), group=np.arange(episodes) // group, tokens=np.full(episodes * steps, tokens)
    )


def columns_of(part: Part, layout: Layout, random: np.random.Generator) -> dict[str, Column]:
    """What a part reads: values between 0 and 1, one in twenty NULL; names (of nodes, modes) are whole numbers."""
    found = {}
    for name in part.inputs:
        size = layout.size(part.levels.get(name.rpartition("/")[2], "step"))
        values = random.random(size, np.float32)
        if name.rpartition("/")[2] in ("node", "mode", "task"):
            values = np.rint(3 * values) if "task" not in name else np.rint(values)
        found[name] = Column(values, random.random(size, np.float32) > 0.05)
    return found


def levels_of(part: Part) -> dict[str, Level]:
    """Level of each column that a part of its example reads."""
    return {name: part.levels.get(name.rpartition("/")[2], "step") for name in part.inputs}


def finest(part: Part) -> Level:
    """The finest level that a part reads or writes: what it is counted in."""
    levels = levels_of(part)
    return min([*levels.values(), part.level(levels)], key=LEVELS.index)


def rate(name: str, layout_name: str, size: int, repetitions: int) -> dict[str, Cell]:
    """How fast one part is in one layout, beside a copy of what it reads and writes."""
    part = part_of({"part": name, **NAMES[name].example})
    random = np.random.default_rng(0)
    columns, level = columns_of(part, layout_like(layout_name, size), random), finest(part)
    count, took, copied = 0, list[float](), list[float]()
    for repetition in range(repetitions + 1):
        layout = layout_like(layout_name, size)
        table = Table(columns, layout, levels_of(part))
        count = layout.size(level)
        began = time.perf_counter()
        made = part.apply(table, part.update(table, part.initial_state()))
        spent = time.perf_counter() - began
        arrays = [array for column in (*columns.values(), made) for array in (column.values, column.valid)]
        targets = [np.empty_like(array) for array in arrays]
        for array, target in zip(arrays, targets, strict=True):  # first touch: pages are given out here
            np.copyto(target, array)
        began = time.perf_counter()
        for array, target in zip(arrays, targets, strict=True):
            np.copyto(target, array)
        if repetition:  # the first one warms up
            took.append(spent)
            copied.append(time.perf_counter() - began)
    median = float(np.median(took))
    return {
        "part": name,
        "layout": layout_name,
        "unit": "tokens" if level == "token" else "steps",
        "of each": level,
        "count": count,
        "million per second": count / median / 1e6,
        "slowest": count / max(took) / 1e6,
        "fastest": count / min(took) / 1e6,
        "of the speed of a copy": float(np.median(copied)) / median,
    }


def fast_enough(row: Mapping[str, Cell]) -> bool:
    """Whether a part has the speed that is claimed, or is bound by memory."""
    least = TOKENS if row["unit"] == "tokens" else STEPS
    return float(row["million per second"] or 0) * 1e6 >= least or float(row["of the speed of a copy"] or 0) >= BOUND


def renamed(part: Part) -> dict[str, Any]:
    """Settings of a part that reads and writes columns of its own, `PART/NAME`."""

    def turn(value: Any) -> Any:
        if isinstance(value, str):
            return f"{part.part}/{value}" if value in part.inputs else value
        if isinstance(value, Mapping):
            return {turn(key): turn(one) for key, one in value.items()}
        return tuple(map(turn, value)) if isinstance(value, list | tuple) else value

    settings = {key: turn(value) for key, value in part.model_dump().items() if key != "part"}
    return {**settings, "part": part.part, "to": f"{part.part}/made"}


def view_of(names: Sequence[str], layout: Layout, random: np.random.Generator) -> tuple[RewardView, dict[str, Column]]:
    """A view of these parts, each on columns of its own, and those; parts on tokens where the layout has some."""
    parts, components, columns = list[Any](), dict[str, Level](), dict[str, Column]()
    for name in names:
        example = part_of({"part": name, **NAMES[name].example})
        if "token" in levels_of(example).values() and not layout.size("token"):
            continue
        part = part_of(renamed(example))
        parts.append(part)
        columns |= columns_of(part, layout, random)
        components |= levels_of(part)
    parts.append({"part": "weighted_sum", "coefficients": {"weighted_sum/made": 1.0}, "to": "reward"})
    config = Config.model_validate({"name": f"{len(names)} parts", "components": components, "parts": parts})
    return RewardView(config), columns


@dataclass
class Timed:
    """What learner steps took, and views in them.

    Attributes:
        steps: seconds of each step, without what is computed beside it.
        own: seconds of the recipe's own view in each.
        beside: seconds of other views, for the same batch, by name.
        parts: of each view, how many it has.
    """

    steps: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    beside: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in VIEWS})
    parts: dict[str, int] = field(default_factory=dict)


@contextmanager
def timed(owner: type, method: str) -> Iterator[Timed]:
    """Time each call of a learner's step, and the views that are computed in it, while the body runs."""
    found, random = Timed(), np.random.default_rng(0)
    views: dict[tuple[Any, ...], tuple[RewardView, dict[str, Column]]] = {}
    step: Callable[..., Any] = getattr(owner, method)
    compute = RewardView.apply
    beside, inside = 0.0, False

    def compute_twice(view: RewardView, columns: Any, layout: Layout | None = None, **rest: Any) -> Any:
        nonlocal beside
        began = time.perf_counter()
        result = compute(view, columns, layout, **rest)
        own = time.perf_counter() - began
        if layout is not None and inside:
            found.own[-1] += own
            found.parts["own"] = len(view.config.parts)
            began_beside = time.perf_counter()
            for name, parts in VIEWS.items():
                same = with_tokens(layout) if owner is LearnerRole else replace(layout)  # what it knows, it finds anew
                key = (name, *(same.size(level) for level in LEVELS))
                if key not in views:
                    views[key] = view_of(parts, same, random)
                other, filled = views[key]
                began = time.perf_counter()
                compute(other, filled, same)
                found.beside[name][-1] += time.perf_counter() - began
                found.parts[name] = len(other.config.parts) - 1
            beside += time.perf_counter() - began_beside
        return result

    def timed_step(*arguments: Any, **rest: Any) -> Any:
        nonlocal beside, inside
        found.own.append(0.0)
        for seconds in found.beside.values():
            seconds.append(0.0)
        beside, inside, began = 0.0, True, time.perf_counter()
        result = step(*arguments, **rest)
        inside = False
        found.steps.append(time.perf_counter() - began - beside)
        return result

    RewardView.apply = compute_twice  # type: ignore[method-assign,assignment]
    setattr(owner, method, timed_step)
    try:
        yield found
    finally:
        RewardView.apply = compute  # type: ignore[method-assign]
        setattr(owner, method, step)


def with_tokens(layout: Layout, tokens: int = 4) -> Layout:
    """The layout of a batch of answers with tokens in it, as many as the recipe writes at most."""
    return Layout.of(layout.steps, layout.group, np.full(layout.size("step"), tokens), layout.ended)


def measured(recipe: str, updates: int) -> Timed:
    """The steps of a recipe's learner, in a run of so many updates."""
    torch.set_num_threads(1)
    with timed(*learner_step(recipe)) as found:
        learn(recipe, updates, RECIPES[recipe])
    return found


def shares(recipe: str, found: Timed) -> tuple[dict[str, Figure], list[dict[str, Cell]]]:
    """Figures and rows of one recipe; the first steps warm up."""
    steps, own = np.array(found.steps[WARM_UP:]), np.array(found.own[WARM_UP:])
    figures = {f"{recipe}: own view of {found.parts['own']} parts": figure((own / steps).tolist(), SHARE)}
    for name, all_of_it in found.beside.items():  # as if it stood in the place of the recipe's own
        seconds = np.array(all_of_it[WARM_UP:])
        share = seconds / (steps - own + seconds)
        figures[f"{recipe}: {name} view of {found.parts[name]} parts"] = figure(share.tolist(), SHARE)
    figures[f"{recipe}: learner step"] = figure(steps.tolist(), "s")
    rows: list[dict[str, Cell]] = [
        {
            "recipe": recipe,
            "update": k,
            "step_s": found.steps[k],
            "own_view_s": found.own[k],
            **{f"{name}_view_s": seconds[k] for name, seconds in found.beside.items()},
        }
        for k in range(WARM_UP, len(found.steps))
    ]
    return figures, rows


def slowest(rows: Sequence[Mapping[str, Cell]]) -> list[Mapping[str, Cell]]:
    """Of each part, the row of its slower layout."""
    found: dict[str, Mapping[str, Cell]] = {}
    for row in rows:
        best = found.get(str(row["part"]))
        if best is None or float(row["million per second"] or 0) < float(best["million per second"] or 0):
            found[str(row["part"])] = row
    return list(found.values())


def report(recipes: Mapping[str, Timed], rates: Sequence[dict[str, Cell]], results: Path, command: str) -> Result:
    """Write the result."""
    figures, rows = dict[str, Figure](), list[dict[str, Cell]]()
    for recipe, found in recipes.items():
        some, lines = shares(recipe, found)
        figures |= some
        rows += lines
    claimed = [one for name, one in figures.items() if one.unit == SHARE and (": own" in name or ": ample" in name)]
    small = all(one.high is not None and one.high < MOST for one in claimed)
    least = slowest(rates)
    for row in least:
        figures[f"{row['part']}"] = Figure(
            value=float(row["million per second"] or 0), unit=f"million {row['unit']}/s", low=None, high=None, n=1
        )
    return write_result(
        results / f"{NAME}.json",
        NAME,
        f"In learner steps of {' and '.join(recipes) or 'no recipe'} a view of {len(SHIPPED)} parts, one more than "
        f"the longest that is shipped, takes less than {MOST:.0%} of the time, also at the upper end of the 95 % "
        f"interval; each of {len(least)} parts makes at least {STEPS / 1e6:g} million steps/s or "
        f"{TOKENS / 1e6:g} million tokens/s on one core, in the slower of two layouts.",
        bool(small and least and recipes and all(fast_enough(row) for row in least)),
        command,
        figures,
        [*rows, *rates],
    )


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the result."""
    given = parse(arguments)
    values = {**KEYS, **given}
    if unknown := sorted(set(values) - set(KEYS)):
        raise UserError(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    for key, table in (("recipes", RECIPES), ("parts", NAMES)):
        if wrong := sorted(set(values[key]) - set(table)):
            raise UserError(f"{key}: got {', '.join(wrong)}; expected some of {', '.join(table)}")
    if values["updates"] < WARM_UP + 2:
        raise UserError(f"updates: got {values['updates']}; expected at least {WARM_UP + 2}")
    rates = [
        rate(name, layout, values["size"], values["repetitions"]) for name in values["parts"] for layout in LAYOUTS
    ]
    for row in slowest(rates):
        print(
            f"{row['part']:24} {row['layout']:9} {float(row['million per second'] or 0):8.2f} million {row['unit']}/s  "
            f"{float(row['of the speed of a copy'] or 0):6.1%} of a copy  {'' if fast_enough(row) else 'TOO SLOW'}",
            flush=True,
        )
    found = {recipe: measured(recipe, values["updates"]) for recipe in values["recipes"]}
    told = [f"{key}={value}" for key, value in given.items() if key != "results"]
    command = " ".join([f"python -m benchmarks.{NAME.replace('-', '_')}", *told]).replace("'", "").replace(", ", ",")
    result = report(found, rates, Path(str(values["results"])), command)
    for name, one in result.figures.items():
        if one.n > 1:
            print(f"{name:40} {one.value:.4g} [{one.low:.4g}, {one.high:.4g}] {one.unit}, n={one.n}")
    print(f"{values['results']}/{NAME}.json: holds {result.holds}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (UserError, ValueError) as error:
        sys.exit(f"{NAME}: {error}")
