"""What a call through Ray costs beside what is done in it: of an actor, with rows or weights, and through Ray Serve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from cluster.hosts import start_host
from cluster.serving import Config as ServingConfig
from cluster.serving import serving
from cluster.session import Config as RayConfig
from cluster.session import ray_session
from pipelines.results import Cell

BLOB, ROLLOUT = 4 * 2**20, 2**18


class Echo:
    """Does nothing, in a process of its own."""

    def nothing(self) -> None:
        """Answer."""

    def rollout(self, size: int) -> tuple[None, pa.RecordBatch]:
        """Answer, with rows behind a reference."""
        return None, pa.record_batch({"x": np.zeros(size // 8)})

    def take(self, blob: Any) -> None:
        """Take an argument."""

    async def answer(self, payload: Any) -> None:
        """Answer through Serve."""


def timed(what: Callable[[], Any], calls: int) -> list[float]:
    """Seconds of each call, after a tenth that does not count."""
    found = []
    for _ in range(calls + calls // 10):
        began = time.perf_counter()
        what()
        found.append(time.perf_counter() - began)
    return found[calls // 10 :]


def hops(calls: int) -> list[dict[str, Cell]]:
    """What a call through Ray costs, beside what is done in it."""
    import ray

    rows: list[dict[str, Cell]] = []

    def note(name: str, what: Callable[[], Any], share: int = 1) -> None:
        seconds = sorted(timed(what, max(10, calls // share)))
        rows.append(
            {
                "part": "hop",
                "name": name,
                "calls": len(seconds),
                "median_s": float(np.median(seconds)),
                "p95_s": seconds[int(0.95 * len(seconds))],
            }
        )

    with ray_session(RayConfig(), 4):
        host = start_host(Echo, "echo", {"num_cpus": 1})
        ray.get(host.whereabouts.remote(), timeout=60)
        note("actor call", lambda: ray.get(host.call.remote("nothing"), timeout=60))

        def rollout() -> None:
            first, rows_ = host.call.options(num_returns=2).remote("rollout", ROLLOUT)
            ray.get(first, timeout=60)
            ray.get(host.call.remote("take", rows_), timeout=60)

        note("rollout of 256 KiB to the next actor", rollout, 2)
        blob = bytes(BLOB)
        note("weights of 4 MiB to an actor", lambda: ray.get(host.call.remote("take", ray.put(blob)), timeout=60), 5)
        ray.kill(host)
        with serving("echo", Echo, "answer", ServingConfig()) as service:
            loop = asyncio.new_event_loop()
            try:
                note("Ray Serve call", lambda: loop.run_until_complete(service.ask(None)), 2)
            finally:
                loop.close()
    return rows
