"""A Ray session: joined by address, or started on this machine and stopped again.

A session that Guerdon starts asks for Ray's token where Ray does (2.59 and later: by default) and leaves no process
behind. It asks for loopback, but Ray puts the machine's own address in its place and listens there: the token is what
keeps others out.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import BaseModel, ConfigDict, Field


class Config(BaseModel):
    """Where Ray runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    address: str | None = Field(
        default=None, description="address of a running cluster, or 'auto'; None starts Ray on this machine"
    )
    cpus: int | None = Field(default=None, ge=1, description="logical CPUs of a started Ray; None: as many as needed")
    object_store_mb: int = Field(default=400, ge=80, description="object store of a started Ray, MB")
    start_timeout_s: float = Field(default=90.0, gt=0)


class ClusterUnavailable(ConnectionError):
    """Ray could not be started or joined; the message names the remedy."""


@contextmanager
def ray_session(config: Config, needed_cpus: int) -> Iterator[str]:
    """Join or start Ray for the duration of the block; gives the address.

    Args:
        config: where.
        needed_cpus: logical CPUs that the run will ask for; a started Ray offers at least these, because its roles
            share the machine's cores by design.

    Raises:
        ClusterUnavailable: nobody listens at the address, or Ray does not start in time.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "1")
    # Ray reads these once, at import: telemetry off; this process's own log handlers are left alone.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    with warnings.catch_warnings():
        # Ray's own start-up opens files and sockets that it leaves to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        warnings.simplefilter("ignore", FutureWarning)
        if ray.is_initialized():
            yield ray.get_runtime_context().gcs_address
            return
        on_sigterm = signal.getsignal(signal.SIGTERM)
        try:
            if config.address is None:
                ray.init(
                    address="local",
                    num_cpus=max(config.cpus or 0, needed_cpus),
                    object_store_memory=config.object_store_mb * 2**20,
                    include_dashboard=False,
                    log_to_driver=False,
                    configure_logging=True,
                    logging_level=logging.ERROR,
                    _node_ip_address="127.0.0.1",
                )
            else:
                _probe(config.address, config.start_timeout_s)
                ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
        except ClusterUnavailable:
            raise
        except Exception as error:
            where = f"join Ray at {config.address!r}" if config.address else "start Ray on this machine"
            raise ClusterUnavailable(
                f"could not {where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}. "
                "Check the address, the token (RAY_AUTH_MODE, RAY_AUTH_TOKEN) and free memory; `guerdon doctor` helps"
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # ray.init puts one that exits in the place of the caller's
        try:
            yield str(ray.get_runtime_context().gcs_address)
        finally:
            ray.shutdown()


def _probe(address: str, timeout_s: float) -> None:
    """Fail within seconds where nobody listens, instead of Ray's minutes of retries."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        return  # 'auto' and named addresses are resolved by Ray
    try:
        with socket.create_connection((host, int(port)), timeout=min(timeout_s, 5.0)):
            return
    except OSError as error:
        raise ClusterUnavailable(
            f"nobody listens at {address!r} ({error}); start Ray there (`ray start --head`) or leave the address out"
        ) from error
