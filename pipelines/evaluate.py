"""`guerdon evaluate`: seeded episodes with a run's newest policy; returns and success with 95 % intervals."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from actors.evaluate import play
from actors.policy import RecurrentPolicy
from envs.contract import ContractViolation
from envs.specs import EnvSpec
from envs.trajectory import EpisodeEnd
from envs.vector import VectorEnvironment
from pipelines import checkpoint
from pipelines.environment.roles import PolicyLearner, policy_for, task_of
from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored.records import number_text, percent_text
from rewards.shares import wilson

RESAMPLES = 5_000


class Figure(BaseModel):
    """A number with its 95 % interval; one episode alone has none."""

    model_config = ConfigDict(frozen=True)

    value: float
    low: float | None
    high: float | None


def evaluate_run(directory: RunDirectory, episodes: int, seed: int, greedy: bool, environments: int) -> str:
    """Play, write `evaluation.json` into the run, and show a table.

    Args:
        directory: the run.
        episodes: how many to play.
        seed: of episodes and actions; the same seed gives the same result.
        greedy: take the most likely actions instead of samples.
        environments: played side by side; which episodes there are depends on it.

    Raises:
        UserError: there is no checkpoint, the task cannot be made, or a number is out of range.
    """
    for name, value, least in (("episodes", episodes, 1), ("environments", environments, 1), ("seed", seed, 0)):
        if value < least:
            raise UserError(f"{name}: got {value}; expected at least {least}")
    experiment = stored_experiment(directory)
    if not checkpoint.numbers(directory.checkpoints):
        raise UserError(
            f"{directory.root} has no checkpoint, so there is no policy to play: a run writes its first one after "
            f"checkpoint.every_s ({experiment.checkpoint.every_s:g} s) or when it ends"
        )
    frames, tree, _ = checkpoint.load(directory.checkpoints)
    began = time.monotonic()
    ends = _play(experiment, tree, episodes, seed, greedy, min(environments, episodes))
    figures = figures_of(ends)
    directory.write_json(
        directory.root / "evaluation.json",
        {
            "checkpoint_frames": frames,
            "task": experiment.task,
            "episodes": episodes,
            "seed": seed,
            "greedy": greedy,
            "environments": min(environments, episodes),
            "figures": {name: figure.model_dump() for name, figure in figures.items()},
            "returns": [end.env_return for end in ends],
            "lengths": [end.length_steps for end in ends],
            "successes": [end.success for end in ends],
            "truncated": [end.truncated for end in ends],
        },
    )
    head = (
        f"{directory.root.name}: {experiment.task}, policy after {frames:,} frames, {episodes} episodes "
        f"(seed {seed}, {'greedy' if greedy else 'sampled'} actions), {time.monotonic() - began:.1f} s"
    )
    return f"{head}\n{table_of(figures)}\nwritten to {directory.root / 'evaluation.json'}"


def _play(
    experiment: Experiment, tree: dict[str, Any], episodes: int, seed: int, greedy: bool, environments: int
) -> list[EpisodeEnd]:
    """Play with the policy of a checkpoint."""
    try:
        vector = VectorEnvironment(task_of(experiment), environments, seed)
    except (ValueError, TypeError, ImportError) as error:
        raise UserError(f"task {experiment.task}: {error}") from None
    try:
        here = experiment.model_copy(update={"learner_device": "cpu"})  # where the environments are
        policy = _policy(here, vector.spec, tree["roles"])
    except KeyError as error:
        vector.close()
        raise UserError(f"the checkpoint lacks {error}; it was written by another version") from None
    except (ValueError, RuntimeError) as error:
        vector.close()
        reason = " ".join(str(error).split())
        raise UserError(
            f"the checkpoint does not fit this version of the code, config.yaml or the task: {reason[:300]}"
        ) from None
    try:
        return play(vector, policy, episodes, seed, greedy, _progress(episodes))
    except ContractViolation as error:
        raise UserError(str(error)) from None
    finally:
        vector.close()


def _policy(experiment: Experiment, spec: EnvSpec, roles: Mapping[str, Any]) -> RecurrentPolicy:
    """The policy of a checkpoint, whichever engine trained it."""
    if experiment.rllib is None:
        return PolicyLearner(experiment, spec, roles["learner"]).policy
    weights = roles["rllib"]["rl_module"]["default_policy"]
    policy = policy_for(spec, experiment)
    own = {k.removeprefix("policy."): torch.as_tensor(v) for k, v in weights.items() if k.startswith("policy.")}
    policy.load_state_dict(own)
    return policy


def _progress(episodes: int) -> Callable[[int], None]:
    """Says on a terminal how far it is."""

    def show(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{done} of {episodes} episodes", end="\n" if done == episodes else "", file=sys.stderr, flush=True)

    return show


def figures_of(ends: Sequence[EpisodeEnd]) -> dict[str, Figure]:
    """What is said of a set of episodes; success is left out where the task does not say."""
    returns = np.array([end.env_return for end in ends])
    lengths = np.array([end.length_steps for end in ends], np.float64)
    figures = {
        "mean return": bootstrap(returns, lambda sample: sample.mean(-1)),
        "median return": bootstrap(returns, lambda sample: np.median(sample, -1)),
        "IQM return": bootstrap(returns, interquartile_mean),
    }
    told = [end.success for end in ends if end.success is not None]
    if told:
        low, high = wilson(sum(told), len(told))
        figures["success rate"] = Figure(value=sum(told) / len(told), low=low, high=high)
    figures["episode length"] = bootstrap(lengths, lambda sample: sample.mean(-1))
    return figures


def bootstrap(values: NDArray[np.float64], statistic: Callable[[NDArray[np.float64]], Any]) -> Figure:
    """A statistic with its 95 % percentile-bootstrap interval over episodes, drawn with a fixed seed.

    Args:
        values: `[N]`, one number an episode.
        statistic: of the last axis.
    """
    value = float(statistic(values))
    if len(values) < 2:
        return Figure(value=value, low=None, high=None)
    drawn = statistic(values[np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Figure(value=value, low=float(low), high=float(high))


def interquartile_mean(sample: NDArray[np.float64]) -> Any:
    """Mean of the middle half along the last axis: the lowest and the highest quarter (rounded down) are left out."""
    n = sample.shape[-1]
    cut = n // 4
    return np.sort(sample, -1)[..., cut : n - cut].mean(-1)


def table_of(figures: dict[str, Figure]) -> str:
    """The figures as a table for the terminal."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("95 % interval", justify="right")
    for name, figure in figures.items():
        show = percent_text if name == "success rate" else number_text
        interval = "–" if figure.low is None else f"{show(figure.low)} to {show(figure.high)}"
        table.add_row(name, show(figure.value), interval)
    console = Console(width=80, no_color=True, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())
