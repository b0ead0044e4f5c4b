"""`Told`: one line for each trial that has ended. Tune keeps it with its state, so it holds nothing but a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray import tune

from pipelines.sweeps.trial import trial_name


def directory_of(trial: Any) -> str:
    """Name of the folder of a trial in Tune's state: that of its run."""
    return trial_name(trial.trial_id)


def status_of(metrics: Mapping[str, Any]) -> str:
    """What became of a trial that did not fail, by its last metrics: Tune marks those that it has stopped as done."""
    if metrics.get("finished"):
        return "finished"
    return "pruned" if metrics.get("done") else "interrupted"


class Told(tune.Callback):
    """Says what became of a trial."""

    def __init__(self, metric: str) -> None:
        """Say this number."""
        self._metric = metric

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that it has finished, or was pruned."""
        last = trial.last_result
        how = status_of(last)
        print(f"{directory_of(trial)} {how}: {self._metric} {last.get(self._metric)}", flush=True)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Say that it has failed."""
        print(f"{directory_of(trial)} failed", flush=True)
