"""A real Serve: back-pressure, draining, scaling, and a replica that hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

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


async def outcomes(service: Service, calls: int, seconds: float) -> list[object]:
    return await asyncio.gather(*(service.ask(seconds) for _ in range(calls)), return_exceptions=True)


@pytest.mark.cluster
def test_too_many_calls_are_refused_at_once_and_the_others_answered(ray: None) -> None:
    with serving("sleeper", Sleeper, "answer", Config(max_ongoing=2, max_queued=3, cpus=0.1)) as service:
        found = asyncio.run(outcomes(service, 12, 0.5))
    refused = [one for one in found if isinstance(one, ServiceOverloaded)]
    assert refused and "wait already" in str(refused[0])
    assert len(refused) + sum(isinstance(one, int) for one in found) == 12
    assert isinstance(refused[0], ServiceUnavailable)


@pytest.mark.cluster
def test_calls_under_way_are_finished_before_a_replica_stops(ray: None, tmp_path: Path) -> None:
    began = tmp_path / "began"

    async def go() -> object:
        with serving("told", Told, "answer", Config(drain_s=60.0, cpus=0.1)) as service:
            call = asyncio.create_task(service.ask(str(began)))
            while not began.exists() and not call.done():
                await asyncio.sleep(0.01)
            # Leaving the block deletes the application, in this thread, while the call runs in the replica.
        return await call

    assert isinstance(asyncio.run(go()), int)


@pytest.mark.cluster
def test_replicas_are_added_while_calls_queue(ray: None) -> None:
    config = Config(max_replicas=2, target_ongoing=1.0, upscale_delay_s=0.5, max_ongoing=2, cpus=0.1)

    async def go() -> set[object]:
        seen: set[object] = set()
        deadline = time.monotonic() + PATIENCE_S
        while len(seen) < 2 and time.monotonic() < deadline:
            seen.update(await outcomes(service, 6, 0.2))
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
        raise AssertionError("nobody answers")

    async def go() -> None:
        first = await somebody()
        os.kill(first, signal.SIGSTOP)
        # On a busy machine the first may answer once more before the signal reaches all of its threads.
        await somebody(but=first)

    with serving("sleeper", Sleeper, "answer", config) as service:
        asyncio.run(go())
