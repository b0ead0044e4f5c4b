"""Ray actors that host plain objects: the only actor class of the house.

The hosted object knows nothing of Ray. A host that died is started again by whoever owns it (see supervision.py),
from a factory that carries the state to begin with; Ray itself would restart it empty.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from typing import Any

import ray

from cluster.logs import LogPlace, open_log, place_of_logs
from cluster.time_slices import take_long_turns

LOG = logging.getLogger(__name__)


class Host:
    """Holds one object and calls its methods."""

    def __init__(self, factory: Callable[[], Any], role: str = "", logs: LogPlace | None = None) -> None:
        """Make the object; it lives as long as the actor.

        Args:
            factory: makes it.
            role: as which it logs.
            logs: where to; None: nowhere.
        """
        take_long_turns()
        open_log(logs, role)
        LOG.info("begins")
        try:
            self._hosted = factory()
        except Exception:
            LOG.exception("could not begin")
            raise

    def call(self, method: str, *args: Any) -> Any:
        """Call a method of the hosted object; object references among `args` arrive as their values."""
        try:
            return getattr(self._hosted, method)(*args)
        except Exception:
            LOG.exception("%s failed", method)
            raise

    def whereabouts(self) -> tuple[int, str]:
        """Process id, for chaos tests and for people, and the id of the node that it stands on."""
        return os.getpid(), str(ray.get_runtime_context().get_node_id())


def start_host(
    factory: Callable[[], Any], name: str, options: Mapping[str, Any], threads: int = 1, concurrency: int = 1
) -> Any:
    """Start a host.

    Args:
        factory: makes the hosted object, on the host; must be picklable.
        name: shown by Ray's tools; as which it logs, where this process does.
        options: of the Ray actor: what is reserved for it, and where it stands (see reservations.py).
        threads: threads that numerical libraries may use there.
        concurrency: calls at the same time, each in a thread of its own.

    Returns:
        The actor's handle.
    """
    environment = {key: str(threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    actor = ray.remote(max_restarts=0, runtime_env={"env_vars": environment}, **options)(Host)
    named = actor.options(name=f"{name}-{os.urandom(4).hex()}", max_concurrency=concurrency)
    return named.remote(factory, name, place_of_logs())
