"""A Ray session: joined by address, or started on this machine and stopped again.

A session that Guerdon starts asks for Ray's token where Ray does (2.59 and later: by default), listens on loopback
alone, and leaves no process behind.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

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


# Ray's switch, made for the firewalls of desktop systems: whether nodes are to be reached from other machines. Where
# they are not, its processes keep the loopback address that they are given, and listen on no other.
REACHABLE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"


# Ray's switch: how often a process that joins asks for the control store. It would ask twenty times, a quarter of an
# hour, where something else listens.
ASKS, TRY_S = "RAY_gcs_server_port_wait_time_s", 45.0


# What Serve does by the clock, whatever is asked of it. It takes processor time from everybody else on the machine.
SERVE = {
    # Its controller looks ten times a second whether anything has changed, and each look asks the control store three
    # times. Once a second costs a run half a second more when its judge starts and one or two when it stops, and a
    # replica that has died is missed up to a second later; what queues is looked at over 12 s in any case.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "1.0",
    # Replicas and callers note ten times a second how many calls they have; Ray exports such numbers every ten seconds.
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "5000",
}

# What Ray gathers by the clock for people who are not there: the state of every process, for a dashboard, and the names
# of files that a driver's workers print to. It took a hundredth of two cores, and more with each process. The names are
# looked for as seldom as said only where there are more of them than the threshold.
UNREAD = {
    "REPORTER_UPDATE_INTERVAL_MS": "60000",
    "LOG_NAME_UPDATE_INTERVAL_S": "60",
    "RAY_LOG_MONITOR_MANY_FILES_THRESHOLD": "0",
}


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
    # Ray prints what it tries again by itself; what fails for good is raised where it was called, and is told. Serve's
    # controller is called with tries without end, and ends itself: each run ended with what looked like two errors.
    os.environ.setdefault("RAY_enable_output_error_log_if_still_retry", "0")
    for name, value in SERVE.items():
        os.environ.setdefault(name, value)
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
                for name, value in UNREAD.items():
                    os.environ.setdefault(name, value)
                with _loopback():
                    context = ray.init(
                        address="local",
                        num_cpus=max(config.cpus or 0, needed_cpus),
                        object_store_memory=config.object_store_mb * 2**20,
                        include_dashboard=False,
                        log_to_driver=False,
                        configure_logging=True,
                        logging_level=logging.ERROR,
                        _node_ip_address="127.0.0.1",
                        # A worker for each CPU, started in advance, is one that no role takes: theirs have settings.
                        # The account of the last 100,000 calls is for a dashboard, and took 250 MB of a fast half hour.
                        _system_config={"prestart_worker_first_driver": False, "task_events_report_interval_ms": 0},
                    )
                _refuse_an_open_bind(str(ray.get_runtime_context().gcs_address))
            else:
                _probe(config.address, config.start_timeout_s)
                here = _loopback() if _keeps_to_loopback(config.address) else nullcontext()
                with here, _tries(max(1, int(config.start_timeout_s // TRY_S))):
                    context = ray.init(address=config.address, log_to_driver=False, logging_level=logging.ERROR)
        except ClusterUnavailable:
            ray.shutdown()
            raise
        except Exception as error:
            ray.shutdown()  # what of it has begun would live as long as this process
            where = f"join Ray at {config.address!r}" if config.address else "start Ray on this machine"
            raise ClusterUnavailable(
                f"could not {where}: {str(error).splitlines()[0] if str(error) else type(error).__name__}. "
                "Check the address, the token (RAY_AUTH_MODE, RAY_AUTH_TOKEN) and free memory; `guerdon doctor` helps"
            ) from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, on_sigterm)  # ray.init puts one that exits in the place of the caller's
        _dashboard.append(str(getattr(context, "dashboard_url", None) or ""))
        try:
            yield str(ray.get_runtime_context().gcs_address)
        finally:
            _dashboard.clear()
            ray.shutdown()


_dashboard: list[str] = []  # of the Ray that this process has joined: HOST:PORT, or empty


def dashboard_link() -> str | None:
    """The page about this process's job in Ray's dashboard; None where there is no dashboard, or no Ray."""
    import ray

    if not _dashboard or not _dashboard[0] or not ray.is_initialized():
        return None
    address = _dashboard[0] if "://" in _dashboard[0] else f"http://{_dashboard[0]}"
    return f"{address}/#/jobs/{ray.get_runtime_context().get_job_id()}"


@contextmanager
def _loopback() -> Iterator[None]:
    """Let a Ray that is started within keep to loopback; what is started elsewhere is none of its business."""
    from ray._private import ray_constants

    before, constant = os.environ.get(REACHABLE), ray_constants.ENABLE_RAY_CLUSTER
    # The processes that Ray starts read the variable; this one has read it, if Ray was imported before.
    os.environ[REACHABLE], ray_constants.ENABLE_RAY_CLUSTER = "0", False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = constant
        os.environ.pop(REACHABLE)
        if before is not None:
            os.environ[REACHABLE] = before


@contextmanager
def _tries(count: int) -> Iterator[None]:
    """Let Ray ask for a control store so often, where nobody has said how often it may."""
    if ASKS in os.environ:
        yield
        return
    os.environ[ASKS] = str(count)
    try:
        yield
    finally:
        del os.environ[ASKS]


def is_loopback(host: str) -> bool:
    """Whether a host can be reached from this machine alone: `localhost`, 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104."""
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def token_is_asked() -> bool:
    """Whether Ray's processes ask for the token: by default they do, from 2.59 on, where Guerdon starts them."""
    return os.environ.get("RAY_AUTH_MODE", "").lower() in ("", "token")


def _refuse_an_open_bind(gcs_address: str) -> None:
    """A Ray that others reach, and that asks for no token, runs code for whoever comes.

    Raises:
        ClusterUnavailable: this one is of that kind.
    """
    if not is_loopback(gcs_address.rpartition(":")[0]) and not token_is_asked():
        raise ClusterUnavailable(
            f"Ray listens at {gcs_address}, which others reach, and RAY_AUTH_MODE={os.environ['RAY_AUTH_MODE']} asks "
            "for no token; expected a token or a loopback address: unset RAY_AUTH_MODE"
        )


def _keeps_to_loopback(address: str) -> bool:
    """Whether a cluster at a loopback address listens there alone: Ray would look for it at the machine's own."""
    import ray

    host, _, port = address.rpartition(":")
    if not port.isdigit() or not is_loopback(host):
        return False
    own = ray.util.get_node_ip_address()
    try:
        with socket.create_connection((own, int(port)), timeout=5.0):
            return False
    except OSError:
        return True


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
