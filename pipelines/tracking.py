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
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from cluster.manifests.deployment import SECRET_URL
from cluster.secrecy import redacted
from pipelines.errors import UserError

PARENT_RUN = "GUERDON_MLFLOW_PARENT"  # environment variable: the MLflow run below which a new one is shown
CONTINUES = "guerdon.continues"  # tag: the MLflow run, in another store, with which this one goes on
AT_ONCE = 1000  # metrics that MLflow takes in one call
SECRET = re.compile(r"key|token|secret|password", re.IGNORECASE)

History = Callable[[], Iterable[tuple[float, int, Mapping[str, Any]]]]  # time, step, numbers


def is_secret(name: str, value: Any) -> bool:
    """Whether a setting smells of a secret: by its name, unless it is a number of something, or by a URL's password."""
    named = SECRET.search(name) is not None and not isinstance(value, int | float | None)
    return named or SECRET_URL.search(str(value)) is not None


class Config(BaseModel):
    """Where MLflow keeps what it is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    uri: str | None = Field(default=None, description="tracking URI; None: an SQLite file beside the runs")
    experiment: str = "guerdon"
    system_metrics: bool = Field(
        default=False, description="whether processor, memory, disk and GPU of the driver's machine are tracked too"
    )


class Tracker:
    """One MLflow run."""

    def __init__(
        self,
        config: Config,
        runs: Path,
        name: str,
        parameters: Mapping[str, Any],
        resume: str | None,
        history: History = tuple,
    ) -> None:
        """Start or reopen an MLflow run.

        Args:
            config: where.
            runs: directory of the runs, for the default SQLite file.
            name: of the run.
            parameters: flat parameters; values that smell of secrets are left out.
            resume: id of an MLflow run to go on with; where the store has none of it, another one is begun.
            history: what that one is told first.

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
            before: str | None = None
            if resume is not None and not self._is_there(resume):
                before, resume = resume, None  # a run that goes on on another machine, which has a store of its own
            if resume is None:
                parent = os.environ.get(PARENT_RUN)
                tags = {"mlflow.parentRunId": parent} if parent else {}
                if before is not None:
                    tags[CONTINUES] = before
                self.run_id = self._client.create_run(ident, run_name=name, tags=tags).info.run_id
                params = [Param(k, str(v)[:500]) for k, v in parameters.items() if not is_secret(k, v)]
                for start in range(0, len(params), 100):
                    self._client.log_batch(self.run_id, params=params[start : start + 100])
            else:
                self.run_id = resume
                self._client.update_run(resume, status="RUNNING")
            self._tag = RunTag
        except Exception as error:  # MLflow's own, its database's, or the network's
            first = redacted((str(error).splitlines() or [type(error).__name__])[0][:200])
            raise UserError(
                f"the MLflow store at {redacted(self.uri)} does not answer: {first}; mend tracking.uri "
                "or set tracking.enabled=false"
            ) from None
        self._queue: queue.Queue[tuple[str, Any] | None] = queue.Queue(maxsize=256)
        if before is not None:
            self._put("history", list(history()))  # now: what comes later is told as it comes
        self._thread = threading.Thread(target=self._send, name="mlflow", daemon=True)
        self._thread.start()
        self._system: Any = None
        if config.system_metrics:
            from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

            logging.getLogger("mlflow.system_metrics").setLevel(logging.ERROR)  # it warns where there is no GPU
            self._system = SystemMetricsMonitor(self.run_id, resume_logging=True, tracking_uri=self.uri)
            self._system.start()

    def _is_there(self, run: str) -> bool:
        """Whether the store knows a run.

        Raises:
            MlflowException: it does not say.
        """
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return False
            raise
        return True

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log numbers at a step (env frames); NaN and infinity are left out."""
        self._put("metrics", self._batch(time.time(), step, values))

    def _batch(self, at: float, step: int, values: Mapping[str, Any]) -> list[Any]:
        return [
            self._metric(k, float(v), int(at * 1000), step)
            for k, v in values.items()
            if isinstance(v, (int, float)) and abs(v) != float("inf") and v == v
        ]

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
                elif kind == "history":
                    self._tell(value)
                else:
                    self._client.log_batch(self.run_id, **{kind: value})
            except Exception:  # a tracking store must never end a run; the count is shown
                self.failures += 1

    def _tell(self, lines: Sequence[tuple[float, int, Mapping[str, Any]]]) -> None:
        batch: list[Any] = []
        for number, line in enumerate(lines, 1):
            batch += self._batch(*line)
            while len(batch) >= AT_ONCE or (batch and number == len(lines)):
                self._client.log_batch(self.run_id, metrics=batch[:AT_ONCE])
                batch = batch[AT_ONCE:]

    def finish(self, status: str) -> None:
        """Send what waits (for at most 30 s) and end the run as FINISHED, FAILED or KILLED."""
        try:
            if self._system is not None:
                self._system.finish()
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
    config: Config,
    runs: Path,
    name: str,
    parameters: Mapping[str, Any],
    resume: str | None,
    history: History = tuple,
) -> Tracker | NoTracker:
    """A tracker, or one that does nothing where tracking is off."""
    return Tracker(config, runs, name, parameters, resume, history) if config.enabled else NoTracker()


class CallTracer:
    """Calls of a reward as MLflow traces: what was asked, what came back, and how long it took.

    On request only: traces hold the texts that were judged. They go out from a thread of their own; what could not be
    sent, or came while 256 others waited, is counted and lost.
    """

    def __init__(self, config: Config, runs: Path, name: str) -> None:
        """Trace into the experiment of `config`.

        Args:
            config: where.
            runs: directory of the runs, for the default SQLite file.
            name: of the traces.

        Raises:
            UserError: the tracking store does not answer.
        """
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        # The exporter writes within `end_trace`, in our thread, so that a trace that is counted as sent is there.
        os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
        import mlflow
        from mlflow.tracking import MlflowClient

        for library in ("alembic", "mlflow"):
            logging.getLogger(library).setLevel(logging.ERROR)
        self.failures, self._name = 0, name
        self.uri = config.uri or f"sqlite:///{(runs / 'mlflow.db').resolve()}"
        try:
            if config.uri is None:
                runs.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(self.uri)  # the exporter knows no other than the process's own
            self._client = MlflowClient(tracking_uri=self.uri)
            found = self._client.get_experiment_by_name(config.experiment)
            self._experiment = found.experiment_id if found else self._client.create_experiment(config.experiment)
        except Exception as error:  # MLflow's own, its database's, or the network's
            first = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise UserError(f"the MLflow store at {self.uri} does not answer: {first}; set trace=false") from None
        self._queue: queue.Queue[tuple[Any, Any, int, int] | None] = queue.Queue(maxsize=256)
        self._thread = threading.Thread(target=self._send, name="mlflow-traces", daemon=True)
        self._thread.start()

    def trace(self, asked: Any, answered: Any, latency_s: float) -> None:
        """Hand over one call that has just ended; JSON-able data."""
        now = time.time_ns()
        try:
            self._queue.put_nowait((asked, answered, now - int(latency_s * 1e9), now))
        except queue.Full:
            self.failures += 1

    def finish(self) -> None:
        """Send what waits, for at most 10 s."""
        try:
            self._queue.put(None, timeout=1.0)
        except queue.Full:
            self.failures += self._queue.qsize()
            return
        self._thread.join(timeout=10.0)

    def _send(self) -> None:
        while (call := self._queue.get()) is not None:
            asked, answered, began_ns, ended_ns = call
            try:
                span = self._client.start_trace(
                    self._name, inputs=asked, experiment_id=self._experiment, start_time_ns=began_ns
                )
                self._client.end_trace(span.trace_id, outputs=answered, end_time_ns=ended_ns)
            except Exception:  # a tracking store must never cost a reward
                self.failures += 1
