"""MLflow tracking: parameters, metrics, artifacts, and which reward model taught which policy.

Metrics go out in batches from a thread of their own, so that a slow or dead tracking server never holds up the run;
what could not be sent is counted and said at the end. The only file that imports mlflow.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from pipelines.errors import UserError

SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)


class Config(BaseModel):
    """Where MLflow keeps what it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    uri: str | None = Field(default=None, description="tracking URI; None: an SQLite file beside the runs")
    experiment: str = "guerdon"


class Tracker:
    """One MLflow run."""

    def __init__(
        self, config: Config, runs: Path, name: str, parameters: Mapping[str, Any], resume: str | None
    ) -> None:
        """Start or reopen an MLflow run.

        Args:
            config: where.
            runs: directory of the runs, for the default SQLite file.
            name: of the run.
            parameters: flat parameters; values of names that smell of secrets are left out.
            resume: id of an MLflow run to go on with.

        Raises:
            UserError: the tracking store does not answer.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        from mlflow.entities import Metric, Param, RunTag
        from mlflow.tracking import MlflowClient

        for library in ("alembic", "mlflow"):  # after the import, which sets levels of its own
            logging.getLogger(library).setLevel(logging.ERROR)
        self._metric = Metric
        self.failures = 0
        self.uri = config.uri or f"sqlite:///{(runs / 'mlflow.db').resolve()}"
        try:
            self._client = MlflowClient(tracking_uri=self.uri)
            found = self._client.get_experiment_by_name(config.experiment)
            if found is None:
                artifacts = None if config.uri else (runs / "mlartifacts").resolve().as_uri()
                ident = self._client.create_experiment(config.experiment, artifact_location=artifacts)
            else:
                ident = found.experiment_id
            if resume is None:
                self.run_id = self._client.create_run(ident, run_name=name).info.run_id
                params = [Param(k, str(v)[:500]) for k, v in parameters.items() if not SECRET.search(k)]
                for start in range(0, len(params), 100):
                    self._client.log_batch(self.run_id, params=params[start : start + 100])
            else:
                self.run_id = resume
                self._client.update_run(resume, status="RUNNING")
            self._tag = RunTag
        except Exception as error:  # MLflow's own, its database's, or the network's
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise UserError(
                f"the MLflow store at {self.uri} does not answer: {first}; mend tracking.uri "
                "or set tracking.enabled=false"
            ) from None
        self._queue: queue.Queue[tuple[str, Any] | None] = queue.Queue(maxsize=256)
        self._thread = threading.Thread(target=self._send, name="mlflow", daemon=True)
        self._thread.start()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at a step (env frames); NaN and infinity are left out."""
        now = int(time.time() * 1000)
        batch = [
            self._metric(k, float(v), now, step)
            for k, v in values.items()
            if isinstance(v, (int, float)) and abs(v) != float("inf") and v == v
        ]
        self._put("metrics", batch)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags, such as the lineage of the reward model."""
        self._put("tags", [self._tag(k, str(v)[:500]) for k, v in values.items()])

    def artifact(self, path: Path) -> None:
        """Keep a copy of a file."""
        self._put("artifact", path)

    def _put(self, kind: str, value: Any) -> None:
        try:
            self._queue.put_nowait((kind, value))
        except queue.Full:
            self.failures += 1

    def _send(self) -> None:
        while (item := self._queue.get()) is not None:
            kind, value = item
            try:
                if kind == "artifact":
                    self._client.log_artifact(self.run_id, str(value))
                else:
                    self._client.log_batch(self.run_id, **{kind: value})
            except Exception:  # a tracking store must never end a run; the count is shown
                self.failures += 1

    def finish(self, status: str) -> None:
        """Send what waits (for at most 30 s) and end the run as FINISHED, FAILED or KILLED."""
        try:
            self._queue.put(None, timeout=5.0)
            self._thread.join(timeout=30.0)
            self._client.set_terminated(self.run_id, status=status)
        except Exception:  # as above
            self.failures += 1


class NoTracker:
    """Tracks nothing."""

    run_id = ""
    uri = ""
    failures = 0

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Do nothing."""

    def tags(self, values: Mapping[str, str]) -> None:
        """Do nothing."""

    def artifact(self, path: Path) -> None:
        """Do nothing."""

    def finish(self, status: str) -> None:
        """Do nothing."""


def start_tracker(
    config: Config, runs: Path, name: str, parameters: Mapping[str, Any], resume: str | None
) -> Tracker | NoTracker:
    """A tracker, or one that does nothing where tracking is off."""
    return Tracker(config, runs, name, parameters, resume) if config.enabled else NoTracker()
