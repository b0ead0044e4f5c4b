"""A real Serve: back-pressure, draining, scaling, and a replica that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError
from ray import get, get_actor
from ray.exceptions import RayActorError
from ray.serve._private.constants import SERVE_CONTROLLER_NAME, SERVE_NAMESPACE

import cluster.serving
from cluster.serving import Config, Replica, Service, ServiceOverloaded, ServiceUnavailable, serving
from cluster.session import Config as RayConfig
from cluster.session import ray_session

PATIENCE_S = 300.0


class Sleeper:
    """Answers with its process after so many seconds."""

    async def answer(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return os.getpid()


class Told:
    """Answers after a second, and leaves a file behind when it begins."""

    async def answer(self, path: str) -> int:
        Path(path).touch()
        await asyncio.sleep(1.0)
        return os.getpid()


class Held:
    """Answers once a file is there."""

    async def answer(self, path: str) -> int:
        while not Path(path).exists():
            await asyncio.sleep(0.02)
        return os.getpid()


def test_fewer_replicas_at_most_than_at_least_are_refused() -> None:
    with pytest.raises(ValidationError, match="expected at least replicas"):
        Config(replicas=2, max_replicas=1)


def test_a_replica_is_unhealthy_when_its_oldest_call_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("cluster.serving.time", SimpleNamespace(monotonic=lambda: now[0]))

    async def go() -> None:
        replica = Replica(Sleeper, "answer", hang_s=9.0)
        replica.check_health()
        stuck, quick = asyncio.create_task(replica.answer(60.0)), asyncio.create_task(replica.answer(0.0))
        await quick
        now[0] = 9.0
        replica.check_health()
        now[0] = 9.1
        with pytest.raises(RuntimeError, match="has not ended for"):
            replica.check_health()
        stuck.cancel()
        await asyncio.gather(stuck, return_exceptions=True)
        replica.check_health()

    asyncio.run(go())


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    with ray_session(RayConfig(object_store_mb=100), 8):
        yield


async def outcomes(service: Service, calls: int, payload: object) -> list[object]:
    return await asyncio.gather(*(service.ask(payload) for _ in range(calls)), return_exceptions=True)


@pytest.mark.cluster
def test_too_many_calls_are_refused_at_once_and_the_others_answered(ray: None, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"

    async def go() -> list[object]:
        calls = [asyncio.create_task(service.ask(str(go_on))) for _ in range(12)]
        await asyncio.wait(calls, timeout=PATIENCE_S, return_when=asyncio.FIRST_EXCEPTION)
        go_on.touch()  # until then nobody was answered, so that those who waited were too many
        return await asyncio.gather(*calls, return_exceptions=True)

    config = Config(max_ongoing=2, max_queued=3, call_timeout_s=2 * PATIENCE_S, cpus=0.1)
    with serving("held", Held, "answer", config) as service:
        found = asyncio.run(go())
    refused = [one for one in found if isinstance(one, ServiceOverloaded)]
    assert refused and "wait already" in str(refused[0])
    assert len(refused) + sum(isinstance(one, int) for one in found) == 12
    assert isinstance(refused[0], ServiceUnavailable)


@pytest.mark.cluster
def test_an_application_begins_although_another_run_stops_serve_meanwhile(
    ray: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, seen = cluster.serving._wait_until_running, []

    def stopped_meanwhile(name: str, timeout_s: float) -> None:
        seen.append(name)
        if len(seen) == 1:  # by its controller alone, as from another process: this one hears nothing of it
            controller = get_actor(SERVE_CONTROLLER_NAME, namespace=SERVE_NAMESPACE)
            with suppress(RayActorError):
                get(controller.graceful_shutdown.remote(), timeout=PATIENCE_S)
        wait(name, timeout_s)

    monkeypatch.setattr("cluster.serving._wait_until_running", stopped_meanwhile)
    with serving("sleeper", Sleeper, "answer", Config(cpus=0.1)) as service:
        assert isinstance(asyncio.run(service.ask(0.0)), int)
    assert len(seen) == 2 and seen[0] == seen[1]


@pytest.mark.cluster
def test_calls_under_way_are_finished_before_a_replica_stops(ray: None, tmp_path: Path) -> None:
    began = tmp_path / "began"

    async def go() -> object:
        config = Config(drain_s=PATIENCE_S, call_timeout_s=2 * PATIENCE_S, cpus=0.1)
        with serving("told", Told, "answer", config) as service:
            call = asyncio.create_task(service.ask(str(began)))
            while not began.exists() and not call.done():
                await asyncio.sleep(0.01)
            # Leaving the block deletes the application, in this thread, while the call runs in the replica.
        return await call

    assert isinstance(asyncio.run(go()), int)


@pytest.mark.cluster
def test_replicas_are_added_while_calls_queue(ray: None) -> None:
    config = Config(max_replicas=2, target_ongoing=1.0, upscale_delay_s=0.5, max_ongoing=2, cpus=0.1)

    async def go() -> set[int]:
        seen: set[int] = set()
        deadline = time.monotonic() + PATIENCE_S
        while len(seen) < 2 and time.monotonic() < deadline:
            # What is no process is a call that failed on a busy machine.
            seen.update(one for one in await outcomes(service, 6, 0.2) if isinstance(one, int))
        return seen

    with serving("sleeper", Sleeper, "answer", config) as service:
        assert len(asyncio.run(go())) == 2


@pytest.mark.cluster
@pytest.mark.chaos
def test_a_replica_that_is_stopped_is_replaced(ray: None) -> None:
    config = Config(health_period_s=0.5, health_timeout_s=1.0, call_timeout_s=2.0, cpus=0.1)

    async def somebody(but: int = 0) -> int:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            (found,) = await outcomes(service, 1, 0.0)
            if isinstance(found, int) and found != but:
                return found
            await asyncio.sleep(0.05)
        raise AssertionError("nobody answers")

    async def go() -> None:
        first = await somebody()
        with suppress(ProcessLookupError):  # a busy machine may have been too slow for it: then it is gone already
            os.kill(first, signal.SIGSTOP)
        # On a busy machine the first may answer once more before the signal reaches all of its threads.
        await somebody(but=first)

    with serving("sleeper", Sleeper, "answer", config) as service:
        asyncio.run(go())
