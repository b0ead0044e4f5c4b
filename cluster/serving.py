"""Ray Serve applications: an object with one batch method, behind replicas that Serve keeps alive.

Serve forgets the requests of a replica that dies; the caller owns retries and the ledger (rewards/annotation/).
One call carries many questions, because a call costs about the same whatever it carries.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cluster.logs import LogPlace, open_log, place_of_logs
from cluster.placement import MIB, Place
from cluster.session import SERVE
from cluster.time_slices import take_long_turns

LOG = logging.getLogger(__name__)
STARTS = 3  # tries to start an application, where Serve itself is stopped, or started by another run, meanwhile
AGAIN_S = 2.0  # between them: a controller that was told to stop lives on for about a second, and takes nothing


class Config(BaseModel):
    """Replicas of a served object, and how much they are given.

    Attributes:
        max_replicas: beyond `replicas`, more are started while calls queue, and stopped again when they do not.
        target_ongoing: calls a replica, running and queued, that autoscaling aims at.
        max_ongoing: calls in a replica at once; what comes beyond waits at the caller.
        max_queued: calls that may wait at a caller; beyond it a call is refused at once (`ServiceOverloaded`), for the
            caller to slow down. -1: any number.
        batch_tokens: tokens in one batch of a replica; calls that come together are worked on together.
        hang_s: a replica whose oldest call runs longer than this is replaced.
        drain_s: a replica that is to stop may take so long to finish its calls.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: int = Field(default=1, ge=1)
    max_replicas: int | None = Field(default=None, ge=1)
    target_ongoing: float = Field(default=2.0, gt=0)
    upscale_delay_s: float = Field(default=5.0, ge=0, description="how long calls must queue before one is started")
    downscale_delay_s: float = Field(default=60.0, ge=0, description="how long a replica must be idle to be stopped")
    max_ongoing: int = Field(default=16, ge=1)
    max_queued: int = Field(default=256, ge=-1)
    batch_tokens: int = Field(default=8192, ge=1)
    cpus: float = Field(default=1.0, ge=0, description="logical CPUs a replica")
    gpus: float = Field(default=0.0, ge=0, description="GPUs a replica; fractions allowed")
    threads: int = Field(default=1, ge=1, description="threads of numerical libraries in a replica")
    start_timeout_s: float = Field(default=180.0, gt=0)
    call_timeout_s: float = Field(default=60.0, gt=0)
    health_period_s: float = Field(default=2.0, gt=0)
    health_timeout_s: float = Field(default=30.0, gt=0, description="three checks in a row unanswered: it is replaced")
    hang_s: float = Field(default=300.0, gt=0)
    drain_s: float = Field(default=5.0, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Config:
        if self.max_replicas is not None and self.max_replicas < self.replicas:
            raise ValueError(f"got max_replicas {self.max_replicas}; expected at least replicas ({self.replicas})")
        return self


class ServiceUnavailable(ConnectionError):
    """The service did not start or did not answer; the message says what was tried."""


class ServiceOverloaded(ServiceUnavailable):
    """Too many calls wait already: this one was not begun. Slow down, and ask again."""


class Service:
    """A running application: `await service.ask(x)` calls the served object's method on one replica."""

    def __init__(self, handle: Any, config: Config) -> None:
        """Wrap a Serve handle."""
        # By value: the call goes straight to the replica's own gRPC server (behind Ray's token, as all of Ray is), and
        # not as a task through the object store, which costs both sides twice the time.
        self._handle, self._config = handle.options(_by_reference=False), config

    async def ask(self, payload: Any) -> Any:
        """Send `payload` to a replica and wait for the answer. Who stops waiting has the call cancelled.

        Raises:
            TimeoutError: no answer within `call_timeout_s`.
            ServiceOverloaded: too many calls wait; this one was not begun.
            ServiceUnavailable: the replica died or refused.
        """
        from ray.serve.exceptions import BackPressureError

        try:
            return await asyncio.wait_for(self._answer(payload), self._config.call_timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise TimeoutError(f"no answer within {self._config.call_timeout_s:.0f} s") from None
        except BackPressureError:
            raise ServiceOverloaded(f"{self._config.max_queued} calls wait already") from None
        except ConnectionError:
            raise
        except Exception as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise ServiceUnavailable(f"{type(error).__name__}: {lines[0][:200]}") from error

    async def _answer(self, payload: Any) -> Any:
        response = self._handle.answer.remote(payload)
        try:
            return await response
        except asyncio.CancelledError:
            response.cancel()
            raise

    async def pid(self) -> int:
        """Process id of one replica, for people and for chaos tests.

        Raises:
            TimeoutError: no answer within `call_timeout_s`.
        """
        return int(await asyncio.wait_for(self._pid(), self._config.call_timeout_s))

    async def _pid(self) -> Any:
        return await self._handle.pid.remote()


class Replica:
    """What runs in a replica: the served object and its batch method."""

    def __init__(
        self, factory: Callable[[], Any], method: str, hang_s: float, role: str = "", logs: LogPlace | None = None
    ) -> None:
        """Make the object, once per replica; all replicas log as one role."""
        take_long_turns()
        open_log(logs, role)
        LOG.info("begins")
        self._answer = getattr(factory(), method)
        self._hang_s = hang_s
        self._since: dict[int, float] = {}  # when each call that runs began, the oldest first
        self._count = 0

    async def answer(self, payload: Any) -> Any:
        """Answer one call."""
        self._count += 1
        number = self._count
        self._since[number] = time.monotonic()
        try:
            return await self._answer(payload)
        except Exception:
            LOG.exception("a call failed")
            raise
        finally:
            del self._since[number]

    def check_health(self) -> None:
        """What Serve calls every few seconds; it asks the served object nothing, which may be busy and well.

        Raises:
            RuntimeError: a call has not ended for too long.
        """
        oldest = next(iter(self._since.values()), None)
        if oldest is not None and time.monotonic() - oldest > self._hang_s:
            raise RuntimeError(f"a call has not ended for {self._hang_s:g} s")

    async def pid(self) -> int:
        """Process id of this replica."""
        return os.getpid()


@contextmanager
def serving(
    name: str, factory: Callable[[], Any], method: str, config: Config, place: Place | None = None
) -> Iterator[Service]:
    """Run an application for the duration of the block; Serve itself is stopped with the last application of a cluster.

    Args:
        name: of the application, to which a suffix is added: other runs on the cluster have theirs.
        factory: makes the served object, in each replica; must be picklable.
        method: its async batch method.
        config: replicas and their resources.
        place: labels and further resources that a replica's node must have.

    Raises:
        ServiceUnavailable: the replicas did not become healthy in time, or the factory failed.
    """
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    what, name = name, f"{name}-{os.urandom(4).hex()}"
    environment = {key: str(config.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    # The served object works on Serve's own event loop: a thread between them costs more than a small model does.
    environment["RAY_SERVE_RUN_USER_CODE_IN_SEPARATE_THREAD"] = "0"
    environment.update({name: os.environ[name] for name in SERVE if name in os.environ})  # also on a cluster of others
    scaling: dict[str, Any] = {"num_replicas": config.replicas}
    if config.max_replicas is not None:
        scaling = {
            "autoscaling_config": {
                "min_replicas": config.replicas,
                "max_replicas": config.max_replicas,
                "target_ongoing_requests": config.target_ongoing,
                "upscale_delay_s": config.upscale_delay_s,
                "downscale_delay_s": config.downscale_delay_s,
                "look_back_period_s": 12.0,  # longer than Serve takes between two looks
            }
        }
    deployment = serve.deployment(
        name="replica",
        max_ongoing_requests=config.max_ongoing,
        max_queued_requests=config.max_queued,
        health_check_period_s=config.health_period_s,
        health_check_timeout_s=config.health_timeout_s,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=config.drain_s,
        ray_actor_options={
            "num_cpus": config.cpus,
            "num_gpus": config.gpus,
            "runtime_env": {"env_vars": environment},
            **_where(place or Place()),
        },
        logging_config={"log_level": "ERROR", "enable_access_log": False},
        **scaling,
    )(Replica)
    try:
        try:
            bound = deployment.bind(factory, method, config.hang_s, what, place_of_logs())
            handle = _started(serve.RunTarget(bound, name=name, route_prefix=None), config.start_timeout_s)
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise ServiceUnavailable(f"the {what} did not start: {lines[-1][:300]}") from error
        # A full collection of what this process has imported takes some hundred milliseconds, in which nobody is asked
        # or answered, and verdicts bring one about every few seconds. Serve spares its replicas the same.
        gc.freeze()
        yield Service(handle, config)
    finally:
        gc.unfreeze()
        try:
            serve.delete(name, _blocking=True)
            if not serve.status().applications:
                serve.shutdown()
        except Exception as error:  # Serve waits a minute; a busy machine takes longer, and a lost cluster has none
            LOG.warning("the %s was not seen to end: %s", what, " ".join(str(error).split())[:300])


class _ServeEnded(ConnectionError):
    """Serve was stopped while an application began: it was another run's, whose application was the last till then."""


def _started(target: Any, timeout_s: float) -> Any:
    """Start an application and wait until it is healthy; once more where Serve was stopped meanwhile, by another run.

    Raises:
        RuntimeError, TimeoutError, _ServeEnded: see `_wait_until_running`.
    """
    from ray import serve
    from ray.exceptions import ActorAlreadyExistsError, RayActorError

    for left in reversed(range(STARTS)):
        try:
            serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR", "enable_access_log": False})
            handle = serve.run_many([target], wait_for_applications_running=False)[0]
            _wait_until_running(target.name, timeout_s)
            return handle
        except (_ServeEnded, RayActorError, ActorAlreadyExistsError) as error:
            if not left:
                raise
            LOG.warning("Serve ended while %s began, and is started again: %s", target.name, error)
            time.sleep(AGAIN_S)
    raise AssertionError("not reached")


def _where(place: Place) -> dict[str, Any]:
    """Of a place what Serve does not take from its own settings."""
    options: dict[str, Any] = {"resources": dict(place.resources)} if place.resources else {}
    if place.memory_mb:
        options["memory"] = int(place.memory_mb * MIB)
    return options | ({"label_selector": dict(place.labels)} if place.labels else {})


def _wait_until_running(name: str, timeout_s: float) -> None:
    """Wait until the replicas of an application are healthy.

    Raises:
        RuntimeError: Serve has given the application up; the message is the error of its replica.
        TimeoutError: it is still not running after `timeout_s`.
        _ServeEnded: Serve knows nothing of it.
    """
    from ray import serve

    deadline = time.monotonic() + timeout_s
    while True:
        found = serve.status().applications.get(name)
        if found is None:  # from the moment in which it was told of the application it has known it
            raise _ServeEnded("Serve was stopped, by another run that has ended: start this one again")
        state = found.status.value
        if state == "RUNNING":
            return
        said = [text for text in _messages(found) if text.strip()]
        if state == "DEPLOY_FAILED":
            raise RuntimeError(said[-1] if said else state)
        if time.monotonic() > deadline:
            # One that is unhealthy was well before: Serve replaces its replicas, and a busy machine takes a while.
            raise TimeoutError(
                f"it is {state} after {timeout_s:.0f} s; free CPUs (serving.cpus), or raise serving.start_timeout_s"
                + (f": {said[-1]}" if said and state == "UNHEALTHY" else "")
            )
        time.sleep(0.1)


def _messages(application: Any) -> list[str]:
    """What Serve says of an application and of its parts, the most telling last."""
    return [application.message, *(replica.message for replica in application.deployments.values())]
