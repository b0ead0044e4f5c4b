"""`lm-learning`: what reinforcement learning makes of a small language model, in minutes on one core.

    python -m benchmarks.lm_learning
    python -m benchmarks.lm_learning recipes=[agent] fewer=[1] work=runs/lm-learning    one seed of one recipe

For each seed, with a model of its own: the recipe `rlvr` (random arithmetic, taught by demonstrations of which a share
has a wrong digit) by GRPO from the level that its model was taught to, and beside it SFT alone, gone on with for the
same seconds of the processor and the same kind of demonstrations; the recipe `agent` (tools in several turns); the
recipe `rlhf`, of which the curve is told: the learned reward that PPO follows, the gold reward that nobody shows it,
and the distance from the policy that it began with; and the recipe `dpo`. Success is pass@1 at temperature 1, and
greedy beside it, on prompts of the test split that no run has looked at. Seconds are those of the processor, in one
process with one thread: what else the machine does changes nothing. Each seed of each recipe is kept when it is done,
and not run again.
`seeds` are those of `rlvr`, `fewer` those of the others. Other keys: prompts, results.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from actors.engines.chat_tokenizer import ChatTokenizer
from actors.language.generation import GenerationEngine
from benchmarks.lm_learning_picture import draw, smoothed
from pipelines.errors import UserError
from pipelines.language.experiment import LanguageExperiment
from pipelines.language.models import causal_model, engine_for, ensure_model, tokenizer_of
from pipelines.language.policy import policy_of
from pipelines.language.success import success_of
from pipelines.language.tasks import task_of
from pipelines.language.tiny_model import batches, teach
from pipelines.language.train import train
from pipelines.overrides import apply, parse
from pipelines.recipes.language import LANGUAGE_RECIPES
from pipelines.results import Cell, Figure, figure, write_result
from pipelines.run_directory import RunDirectory

NAME = "lm-learning"
KEYS: Mapping[str, Any] = {
    "seeds": [0, 1, 2, 3, 4],
    "fewer": [0, 1, 2],
    "prompts": 1000,
    "recipes": ["rlvr", "agent", "rlhf", "dpo"],
    "work": "runs/lm-learning",
    "results": "docs/results",
}
CLAIMS = {
    "rlvr": "GRPO brings a tiny model from about 30 % to at least 90 % pass@1 on random arithmetic, where SFT alone, "
    "as long and on demonstrations with as many slips, does not come",
    "agent": "an agent with tools comes to at least twice its success",
    "rlhf": "the gold reward rises with the learned one, until it falls while the learned one goes on",
    "dpo": "DPO raises the gold reward",
}
CURVE = {
    "reward": "learner/reward",
    "gold": "learner/reward_gold",
    "judge": "learner/reward_judge",
    "kl": "learner/kl",
    "entropy": "learner/entropy",
    "success": "success_rate",
}


def experiment_of(recipe: str, seed: int) -> LanguageExperiment:
    """A recipe with a seed of its own, from the tiny model on."""
    settings = {"seed": seed, "tiny.seed": seed, "tracking.enabled": False, "report_every_s": 2.0}
    return apply(LANGUAGE_RECIPES[recipe](), settings)


def look(
    experiment: LanguageExperiment, engine: GenerationEngine, chats: ChatTokenizer, prompts: int
) -> dict[str, float]:
    """How often a policy succeeds on test prompts that nobody has looked at before, and its reward."""
    task = task_of(experiment)
    seen = task.load("test", experiment.seed)
    known = {seen[i].id for i in range(max(experiment.evaluate_prompts, experiment.tiny.measure_prompts))}
    sampled, greedy = (
        success_of(experiment, task, engine, chats, "test", prompts, greedy, seed=10_000, but=known)
        for greedy in (False, True)
    )
    return {"success": sampled.share, "greedy": greedy.share, "reward": sampled.reward}


def taught(experiment: LanguageExperiment, model: str, seconds: float, prompts: int) -> tuple[dict[str, float], int]:
    """SFT alone, from the same start on, for so many seconds of the processor; how it succeeds, and its steps."""
    task, policy = task_of(experiment), causal_model(model, "cpu")
    config = experiment.tiny.model_copy(update={"steps": 10**6, "seed": experiment.seed + 1000})
    lessons = batches(task, task.load("train", experiment.seed + 1000), tokenizer_of(model), config)
    began, steps = time.process_time(), 0
    for step in teach(policy, lessons, config):
        steps = step
        if time.process_time() - began >= seconds:
            break
    engine, chats = engine_for(experiment, model)
    engine.load_weights(dict(policy.named_parameters()), 1)
    return look(experiment, engine, chats, prompts), steps


def curve(directory: RunDirectory) -> list[dict[str, Cell]]:
    """What a run said of itself over time."""
    return [
        {"updates": int(line["updates"])} | {name: line.get(key) for name, key in CURVE.items()}
        for line in directory.lines(directory.metrics)
    ]


def whole(updates: int, experiment: LanguageExperiment) -> int:
    """The updates of a run that came to its end.

    Raises:
        UserError: it did not: a signal or a monitor has stopped it, and what it came to is no result.
    """
    if updates < experiment.updates:
        raise UserError(
            f"{experiment.name}, seed {experiment.seed}: the run was stopped after {updates} of {experiment.updates} "
            "updates, and is not kept; start again, what was finished is not run again"
        )
    return updates


def measured(recipe: str, seed: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """One seed of one recipe: what it began with, what it came to, and how.

    Raises:
        UserError: the run was stopped before its end.
    """
    began = time.process_time()
    torch.set_num_threads(1)
    experiment = experiment_of(recipe, seed)
    model = ensure_model(experiment, task_of(experiment), lambda fraction, text: print(text, flush=True))
    found: dict[str, Any] = {"recipe": recipe, "seed": seed}
    found["start"] = look(experiment, *engine_for(experiment, model), values["prompts"])
    started = time.process_time()
    directory = train(experiment, Path(values["work"]), say=lambda text: print(text, flush=True))
    found["seconds"] = time.process_time() - started
    _, updates, engine, chats = policy_of(directory)
    found["updates"] = whole(updates, experiment)
    found["end"] = look(experiment, engine, chats, values["prompts"])
    found["curve"] = curve(directory)
    if recipe == "rlvr":
        found["sft"], found["sft_steps"] = taught(experiment, model, found["seconds"], values["prompts"])
    return found | {"in_all_s": time.process_time() - began}


def kept(recipe: str, seed: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """The same, measured now unless the same settings were measured already, to the end.

    Raises:
        UserError: the run was stopped before its end.
    """
    experiment = experiment_of(recipe, seed)
    settings = f"{experiment.identity()} {experiment.updates} {experiment.evaluate_every} {values['prompts']}"
    name = f"{recipe}-seed-{seed}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}.json"
    path = Path(values["work"]) / "measured" / name
    if not path.is_file() or json.loads(path.read_text())["updates"] < experiment.updates:
        text = json.dumps(measured(recipe, seed, values))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".draft").write_text(text)
        path.with_suffix(".draft").rename(path)
    found: dict[str, Any] = json.loads(path.read_text())
    print({name: value for name, value in found.items() if name != "curve"}, flush=True)
    return found


def over_optimised(lines: list[dict[str, Any]]) -> dict[str, float]:
    """Of a smoothed rlhf curve: gold and learned reward at start, where gold is best, and at its end; and the KL."""
    told = [dict(line) for line in lines if all(line[name] is not None for name in ("gold", "judge", "kl"))]
    for name in ("gold", "judge", "kl"):  # of a hundred answers each: the best of many would be the luckiest
        for line, value in zip(told, smoothed([float(line[name]) for line in told]), strict=True):
            line[name] = value
    moments = {"at the start": told[0], "where gold is best": max(told, key=lambda line: line["gold"])}
    moments["at the end"] = told[-1]
    names = {"gold": "gold reward", "judge": "learned reward", "kl": "KL"}
    return {f"{title} {moment}": line[name] for moment, line in moments.items() for name, title in names.items()}


def figures_of(recipe: str, found: list[dict[str, Any]]) -> dict[str, Figure]:
    """The figures of a recipe over its seeds."""
    whose = {"start": "at the start", "end": "at the end", "sft": "of SFT alone, as long"}
    figures: dict[str, Figure] = {}
    for key, title in whose.items():
        if key in found[0]:
            figures[f"{recipe}: pass@1 {title}"] = figure([one[key]["success"] for one in found], "share")
            figures[f"{recipe}: greedy success {title}"] = figure([one[key]["greedy"] for one in found], "share")
    if recipe in ("rlhf", "dpo"):
        for key in ("start", "end"):
            title = f"{recipe}: mean gold reward on test prompts {whose[key]}"
            figures[title] = figure([one[key]["reward"] for one in found], "reward")
    if recipe == "rlhf":
        ends = [over_optimised(one["curve"]) for one in found]
        for name in ends[0]:
            figures[f"rlhf: {name}"] = figure([end[name] for end in ends], "nats" if "KL" in name else "reward")
    figures[f"{recipe}: processor seconds of training"] = figure([one["seconds"] for one in found], "s")
    return figures


def holds(recipe: str, found: list[dict[str, Any]]) -> bool:
    """Whether the recipe does what it claims, in every seed; the agent's success in the mean."""
    if recipe == "rlvr":
        return all(one["end"]["success"] >= 0.9 > one["sft"]["success"] for one in found)
    if recipe == "agent":
        return bool(sum(one["end"]["success"] for one in found) >= 2 * sum(one["start"]["success"] for one in found))
    if recipe == "dpo":
        return all(one["end"]["reward"] > one["start"]["reward"] for one in found)
    ends = [over_optimised(one["curve"]) for one in found]
    return all(
        end["learned reward at the end"] > end["learned reward where gold is best"] > end["learned reward at the start"]
        and end["gold reward where gold is best"] > end["gold reward at the start"]
        and end["gold reward where gold is best"] > end["gold reward at the end"]
        for end in ends
    )


def rows_of(found: Mapping[str, Any]) -> list[dict[str, Cell]]:
    """One seed as rows of the table: a row for each policy, and the curve."""
    head: dict[str, Cell] = {"recipe": found["recipe"], "seed": found["seed"]}
    rows = [head | {"what": key} | found[key] for key in ("start", "end", "sft") if key in found]
    return rows + [head | {"what": "curve"} | line for line in found["curve"]]


def _told(values: Mapping[str, Any]) -> list[str]:
    """The keys that decide what is measured, where they are not as they stand."""
    keys = [key for key in ("recipes", "seeds", "fewer", "prompts") if values[key] != KEYS[key]]
    return [f"{key}={json.dumps(values[key], separators=(',', ':')).replace(chr(34), '')}" for key in keys]


def main() -> None:
    """Measure, and write the result."""
    values = {**KEYS, **parse(sys.argv[1:])}
    if unknown := sorted(set(values) - set(KEYS)):
        raise SystemExit(f"got {', '.join(unknown)}; expected keys {', '.join(KEYS)}")
    figures: dict[str, Figure] = {}
    rows: list[dict[str, Cell]] = []
    verdict, total_s = True, 0.0
    for recipe in values["recipes"]:
        found = [kept(recipe, seed, values) for seed in values["seeds" if recipe == "rlvr" else "fewer"]]
        figures |= figures_of(recipe, found)
        rows += [row for one in found for row in rows_of(one)]
        verdict &= holds(recipe, found)
        total_s += sum(one["in_all_s"] for one in found)
    figures["all of it, of one core"] = figure([total_s / 60], "min")
    write_result(
        Path(values["results"]) / f"{NAME}.json",
        NAME,
        "On one core, in minutes for each seed: " + "; ".join(CLAIMS[one] for one in values["recipes"]) + ".",
        verdict,
        " ".join(["python -m benchmarks.lm_learning", *_told(values)]),
        figures,
        rows,
    )
    draw(rows, Path(values["results"]) / f"{NAME}.png")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"lm-learning: {error}")
    except KeyboardInterrupt:
        sys.exit("lm-learning: interrupted; every seed that was finished stands in work=, and is not run again")
