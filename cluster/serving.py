"""Ray Serve applications: an object with one batch method, behind replicas that Serve keeps alive.

Serve forgets the requests of a replica that dies; the caller owns retries and the ledger (rewards/annotation.py).
One call carries many questions, because a call costs about the same whatever it carries.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Replicas of a served object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicas: int = Field(default=1, ge=1)
    cpus: float = Field(default=1.0, ge=0, description="logical CPUs a replica")
    gpus: float = Field(default=0.0, ge=0, description="GPUs a replica; fractions allowed")
    threads: int = Field(default=1, ge=1, description="threads of numerical libraries in a replica")
    start_timeout_s: float = Field(default=180.0, gt=0)
    call_timeout_s: float = Field(default=60.0, gt=0)


class ServiceUnavailable(ConnectionError):
    """The service did not start or did not answer; the message says what was tried."""


class Service:
    """A running application: `await service.ask(x)` calls the served object's method on one replica."""

    def __init__(self, handle: Any, config: Config) -> None:
        """Wrap a Serve handle."""
        self._handle, self._config = handle, config

    async def ask(self, payload: Any) -> Any:
        """Send `payload` to a replica and wait for the answer.

        Raises:
            TimeoutError: no answer within `call_timeout_s`.
            ServiceUnavailable: the replica died or refused.
        """
        try:
            return await asyncio.wait_for(self._answer(payload), self._config.call_timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise TimeoutError(f"no answer within {self._config.call_timeout_s:.0f} s") from None
        except ConnectionError:
            raise
        except Exception as error:
            lines = str(error).splitlines() or [type(error).__name__]
            raise ServiceUnavailable(f"{type(error).__name__}: {lines[0][:200]}") from error

    async def _answer(self, payload: Any) -> Any:
        return await self._handle.answer.remote(payload)

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

    def __init__(self, factory: Callable[[], Any], method: str) -> None:
        """Make the object, once per replica."""
        self._answer = getattr(factory(), method)

    async def answer(self, payload: Any) -> Any:
        """Answer one call."""
        return await self._answer(payload)

    async def pid(self) -> int:
        """Process id of this replica."""
        return os.getpid()


@contextmanager
def serving(name: str, factory: Callable[[], Any], method: str, config: Config) -> Iterator[Service]:
    """Run an application for the duration of the block; Serve itself is stopped if this started it.

    Args:
        name: of the application.
        factory: makes the served object, in each replica; must be picklable.
        method: its async batch method.
        config: replicas and their resources.

    Raises:
        ServiceUnavailable: the replicas did not become healthy in time, or the factory failed.
    """
    from ray import serve

    logging.getLogger("ray.serve").setLevel(logging.ERROR)
    threads = {key: str(config.threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    deployment = serve.deployment(
        name="replica",
        num_replicas=config.replicas,
        max_ongoing_requests=16,
        health_check_period_s=2.0,
        health_check_timeout_s=30.0,
        graceful_shutdown_timeout_s=2.0,
        ray_actor_options={
            "num_cpus": config.cpus,
            "num_gpus": config.gpus,
            "runtime_env": {"env_vars": threads},
        },
        logging_config={"log_level": "ERROR", "enable_access_log": False},
    )(Replica)
    serve.start(proxy_location="Disabled", logging_config={"log_level": "ERROR", "enable_access_log": False})
    try:
        try:
            target = serve.RunTarget(deployment.bind(factory, method), name=name, route_prefix=None)
            handle = serve.run_many([target], wait_for_applications_running=False)[0]
            _wait_until_running(name, config.start_timeout_s)
        except Exception as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise ServiceUnavailable(f"the {name} did not start: {lines[-1][:300]}") from error
        yield Service(handle, config)
    finally:
        serve.delete(name, _blocking=True)
        serve.shutdown()


def _wait_until_running(name: str, timeout_s: float) -> None:
    """Wait until the replicas of an application are healthy.

    Raises:
        RuntimeError: Serve has given the application up; the message is the error of its replica.
        TimeoutError: it is still not running after `timeout_s`.
    """
    from ray import serve

    deadline = time.monotonic() + timeout_s
    while True:
        found = serve.status().applications.get(name)
        state = found.status.value if found else "not known to Serve"
        if found and state == "RUNNING":
            return
        if found and state in ("DEPLOY_FAILED", "UNHEALTHY"):
            messages = [found.message, *(replica.message for replica in found.deployments.values())]
            raise RuntimeError(next((text for text in reversed(messages) if text.strip()), state))
        if time.monotonic() > deadline:
            raise TimeoutError(
                f"it is {state} after {timeout_s:.0f} s; free CPUs (serving.cpus), or raise serving.start_timeout_s"
            )
        time.sleep(0.1)
