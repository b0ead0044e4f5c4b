"""`lm-learning`: what reinforcement learning makes of a small language model, in minutes on one core.

    python -m benchmarks.lm_learning
    python -m benchmarks.lm_learning seeds=5 minutes=15 work=runs/lm-learning

For each seed: the recipe `rlvr` (random arithmetic) from the level that its model was taught to, by GRPO, and beside
it SFT
alone, gone on with for the same seconds on the same core; the recipe `agent` (a tool in several turns); and the recipe
`rlhf`, of which the curve is told: the learned reward that PPO follows, the gold reward that nobody shows it, and the
distance from the policy that it began with. Success is pass@1 on prompts that were never trained on.
Other keys: recipes=[rlvr,agent,rlhf], episodes, results.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.models import causal_model, engine_for, ensure_model, tokenizer_of
from pipelines.language.success import Success, success_of
from pipelines.language.tasks import task_of
from pipelines.language.tiny_model import batches, teach
from pipelines.language.train import train
from pipelines.overrides import apply, parse
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.results import Cell, Figure, figure, write_result
from pipelines.run_directory import RunDirectory

NAME = "lm-learning"
COMMAND = "python -m benchmarks.lm_learning"
KEYS: Mapping[str, Any] = {
    "seeds": 5,
    "minutes": 15.0,
    "episodes": 1000,
    "recipes": ["rlvr", "agent", "rlhf"],
    "work": "runs/lm-learning",
    "results": "docs/results",
}


def look(experiment: LanguageExperiment, model: str, weights: Mapping[str, Any] | None, episodes: int) -> Success:
    """How often a model succeeds on the test split."""
    engine, chats = engine_for(experiment, model)
    if weights is not None:
        engine.load_weights(weights, 1)
    return success_of(experiment, task_of(experiment), engine, chats, "test", episodes, seed=7)


def reinforced(experiment: LanguageExperiment, work: Path, episodes: int) -> tuple[RunDirectory, Success, float]:
    """A run to its end: where it is, how its policy succeeds, and the seconds that it took."""
    from pipelines.language.policy import policy_of

    directory = train(experiment, work, say=lambda text: print(text, flush=True))
    _, _, engine, chats = policy_of(directory)
    found = success_of(experiment, task_of(experiment), engine, chats, "test", episodes, seed=7)
    metrics = list(directory.lines(directory.metrics))
    return directory, found, float(metrics[-1]["elapsed_s"])


def taught(experiment: LanguageExperiment, model: str, seconds: float, episodes: int) -> tuple[Success, int]:
    """SFT alone, gone on with from the same start for so many seconds; how it succeeds, and its steps."""
    task, policy = task_of(experiment), causal_model(model, "cpu")
    config = experiment.tiny.model_copy(update={"steps": 10**6, "seed": experiment.seed + 1})
    lessons = batches(task, task.load("train", experiment.seed), tokenizer_of(model), config)
    began, steps = time.monotonic(), 0
    for step in teach(policy, lessons, config):
        steps = step
        if time.monotonic() - began >= seconds:
            break
    return look(experiment, model, dict(policy.named_parameters()), episodes), steps


def curve(directory: RunDirectory, seed: int, recipe: str) -> list[dict[str, Cell]]:
    """What a run said of itself over time."""
    names = {
        "reward": "learner/reward",
        "gold": "learner/reward_gold",
        "judge": "learner/reward_judge",
        "kl": "learner/kl",
        "entropy": "learner/entropy",
        "success": "success_rate",
    }
    rows: list[dict[str, Cell]] = []
    for line in directory.lines(directory.metrics):
        row: dict[str, Cell] = {"recipe": recipe, "method": "curve", "seed": seed, "updates": int(line["updates"])}
        rows.append(row | {name: line.get(key) for name, key in names.items()})
    return rows


def measure(values: Mapping[str, Any]) -> tuple[list[dict[str, Cell]], dict[str, dict[str, list[float]]]]:
    """All seeds of all recipes: rows of the table, and per recipe the numbers by name."""
    rows: list[dict[str, Cell]] = []
    numbers: dict[str, dict[str, list[float]]] = {}
    for recipe in values["recipes"]:
        own = numbers.setdefault(recipe, {"start": [], "end": [], "sft": [], "seconds": []})
        for seed in range(values["seeds"]):
            experiment = apply(
                LANGUAGE_RECIPES[recipe](),
                {"seed": seed, "minutes": values["minutes"], "tracking.enabled": False, "report_every_s": 2.0},
            )
            model = ensure_model(experiment, task_of(experiment), lambda fraction, text: print(text, flush=True))
            start = look(experiment, model, None, values["episodes"])
            directory, end, seconds = reinforced(experiment, Path(values["work"]), values["episodes"])
            own["start"].append(start.share)
            own["end"].append(end.share)
            own["seconds"].append(seconds)
            found = {"start": start.share, recipe: end.share}
            if recipe == "rlvr":
                alone, steps = taught(experiment, model, seconds, values["episodes"])
                own["sft"].append(alone.share)
                found["sft"] = alone.share
                print(f"SFT alone for {seconds:.0f} s ({steps} steps): {alone.share:.1%}", flush=True)
            for method, share in found.items():
                rows.append({"recipe": recipe, "method": method, "seed": seed, "success": share, "seconds": seconds})
            rows += curve(directory, seed, recipe)
            print(json.dumps({"recipe": recipe, "seed": seed, **found, "seconds": round(seconds, 1)}), flush=True)
    return rows, numbers


def over_optimised(rows: list[dict[str, Cell]], seed: int) -> dict[str, float]:
    """Of an rlhf curve: gold and learned reward at its start, where gold is best, and at its end."""
    told = [r for r in rows if r["recipe"] == "rlhf" and r["method"] == "curve" and r["seed"] == seed]
    lines = [(float(r["gold"]), float(r["judge"])) for r in told if r["gold"] is not None and r["judge"] is not None]
    best = max(lines)
    return {
        "gold_start": lines[0][0],
        "gold_best": best[0],
        "gold_end": lines[-1][0],
        "learned_start": lines[0][1],
        "learned_best": best[1],
        "learned_end": lines[-1][1],
    }


def main() -> None:
    """Measure, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    rows, numbers = measure(values)
    figures: dict[str, Figure] = {}
    holds = True
    for recipe, own in numbers.items():
        figures |= {
            f"{recipe}: success at the start": figure(own["start"], "share"),
            f"{recipe}: success at the end": figure(own["end"], "share"),
            f"{recipe}: seconds": figure(own["seconds"], "s"),
        }
        if own["sft"]:
            figures[f"{recipe}: SFT alone, as long"] = figure(own["sft"], "share")
        if recipe == "rlvr":
            holds &= min(own["end"]) >= 0.9
        if recipe == "agent":
            holds &= sum(own["end"]) >= 2 * sum(own["start"])
        if recipe == "rlhf":
            ends = [over_optimised(rows, seed) for seed in range(values["seeds"])]
            for name in ends[0]:
                figures[f"rlhf: {name.replace('_', ' reward, ')}"] = figure([end[name] for end in ends], "reward")
            holds &= all(
                end["learned_end"] > end["learned_start"] and end["gold_best"] > end["gold_start"] for end in ends
            )
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "On one core and within 15 minutes a seed, GRPO brings a tiny model from about 30 % to at least 90 % "
        "pass@1 on random "
        "arithmetic, and an agent with tools to at least twice its success; in RLHF the gold reward rises with "
        "the learned one.",
        holds,
        COMMAND,
        figures,
        rows,
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"lm-learning: {error}")
    except KeyboardInterrupt:
        sys.exit("lm-learning: interrupted; what was run stands in work=")
