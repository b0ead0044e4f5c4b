"""`Raylets`: a Ray of several nodes on this machine, whose nodes come, drain and go while a run uses them.

Each node is a raylet of its own, with its own object store; the files below them are shared, as on NFS. `Elastic` is
the same with Ray's autoscaler (v2), which starts and stops such nodes by what is asked for. Both end only processes
that they started themselves.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from benchmarks.apparatus.free_port import free_port
from pipelines.errors import UserError

STORE_MB = 100
DRAIN_TIMEOUT_S = 20.0
START_TIMEOUT_S = 180.0
STARTS = 3
TOO_SLOW = ("timed out during startup", "Timed out waiting for file")  # what Ray says of a raylet, of a control store
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0", "PYTHONWARNINGS": "ignore"}
# Runs that join inherit both. Ray reads the token once in a process: nobody may change it afterwards.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
PROVIDER = "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider"  # starts raylets here
HEAD_ID = "fffffffffffffffffffffffffffffffffffffffffffffffffff00000"  # the provider's name for it


class Raylets:
    """A head node, and nodes that are added, drained and removed at will."""

    def __init__(self, head_cpus: float, store_mb: int = STORE_MB, system: Mapping[str, Any] | None = None) -> None:
        """Start the head.

        Args:
            head_cpus: logical CPUs of it.
            store_mb: object store of each node, MB.
            system: Ray's own settings, by name.
        """
        os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
        from ray.cluster_utils import Cluster

        self._store = store_mb * 2**20
        head: dict[str, Any] = {"num_cpus": head_cpus, "object_store_memory": self._store, "include_dashboard": False}
        head["_system_config"] = {"prestart_worker_first_driver": False, **(system or {})}
        self._cluster = _patiently(lambda: Cluster(head_node_args=dict(head), initialize_head=True))
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        """Where a run joins."""
        return str(self._cluster.gcs_address)

    @property
    def head_id(self) -> str:
        """Id of the head node."""
        return str(self._cluster.head_node.node_id)

    @property
    def store_cpu_s(self) -> float:
        """Seconds of a core that the head's control store has used so far."""
        from ray._private.ray_constants import PROCESS_TYPE_GCS_SERVER

        (store,) = self._cluster.head_node.all_processes[PROCESS_TYPE_GCS_SERVER]
        used = psutil.Process(store.process.pid).cpu_times()
        return float(used.user + used.system)

    def add(self, cpus: float, **resources: float) -> Any:
        """Another node."""
        node = _patiently(
            lambda: self._cluster.add_node(num_cpus=cpus, object_store_memory=self._store, resources=resources)
        )
        self.nodes.append(node)
        return node

    def drain(self, node: Any, within_s: float) -> None:
        """Tell the cluster that a node will go, as a cloud does before it takes a spot machine back.

        Raises:
            UserError: Ray does not accept it.
        """
        from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, as what is generated below
        from ray.core.generated.autoscaler_pb2 import DrainNodeReason  # type: ignore[attr-defined]

        deadline_ms = int(1000 * (time.time() + within_s))
        preemption = DrainNodeReason.Value("DRAIN_NODE_REASON_PREEMPTION")
        client = GcsClient(address=self.address)
        accepted, why = client.drain_node(node.node_id, preemption, "taken back", deadline_ms, timeout=DRAIN_TIMEOUT_S)
        if not accepted:
            raise UserError(f"Ray does not drain node {node.node_id}: {why}")

    def remove(self, node: Any) -> None:
        """Kill a node with all of its processes, as a machine that goes dark."""
        self.nodes.remove(node)
        self._cluster.remove_node(node, allow_graceful=False)

    def kill_head(self) -> None:
        """Kill the head's control store, as when its machine goes dark."""
        self._cluster.head_node.kill_gcs_server(check_alive=False)

    def shutdown(self) -> None:
        """End every node."""
        self._cluster.shutdown()


class Elastic:
    """A head node with Ray's autoscaler, which adds and removes nodes of one kind."""

    def __init__(self, place: Path, head_cpus: int, cpus: int, most: int, idle_s: float = 15.0) -> None:
        """Start it.

        Args:
            place: directory for its configuration and log.
            head_cpus: logical CPUs of the head.
            cpus: of each node that the autoscaler may add.
            most: how many it may add.
            idle_s: how long a node is left idle before it is taken away.

        Raises:
            UserError: it does not start.
        """
        import ray

        port = free_port()
        self.address = f"{ray.util.get_node_ip_address()}:{port}"
        # By its class: the settings that Ray reads for it by its short name are not in the wheel.
        settings = {
            "cluster_name": "raylets",
            "max_workers": most,
            "upscaling_speed": 10.0,
            "idle_timeout_minutes": idle_s / 60,
            "provider": {
                "type": "external",
                "module": PROVIDER,
                "launch_multiple": True,
                "gcs_address": self.address,
                "head_node_id": HEAD_ID,
            },
            "auth": {},
            "available_node_types": {
                "ray.head.default": {"resources": {"CPU": head_cpus}, "node_config": {}, "max_workers": 0},
                "worker": {"resources": {"CPU": cpus}, "node_config": {}, "min_workers": 0, "max_workers": most},
            },
            "head_node_type": "ray.head.default",
            "file_mounts": {},
            "cluster_synced_files": [],
            "file_mounts_sync_continuously": False,
            "initialization_commands": [],
            "setup_commands": [],
            "head_setup_commands": [],
            "worker_setup_commands": [],
            "head_start_ray_commands": [],
            "worker_start_ray_commands": [],
        }
        place.mkdir(parents=True, exist_ok=True)
        (place / "autoscaling.json").write_text(json.dumps(settings))
        self._log = place / "ray.log"
        self.environment = {
            **os.environ,
            **QUIET,
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": "1",
            "RAY_CLOUD_INSTANCE_ID": HEAD_ID,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD_ID,
        }
        command = [str(Path(sys.executable).parent / "ray"), "start", "--head", "--block", f"--port={port}"]
        command += [f"--autoscaling-config={place / 'autoscaling.json'}", f"--num-cpus={head_cpus}"]
        command += [f"--object-store-memory={STORE_MB * 2**20}", "--include-dashboard=false"]
        command += [f"--ray-client-server-port={free_port()}", "--dashboard-agent-listen-port=0"]
        with self._log.open("wb") as log:
            self._process = psutil.Popen(command, env=self.environment, stdout=log, stderr=subprocess.STDOUT)
        self._started()

    def _started(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            said = self._log.read_text(errors="replace")
            if "Ray runtime started" in said:
                return
            if self._process.poll() is not None:
                raise UserError(f"Ray with an autoscaler does not start: {said[-500:]}")
            time.sleep(0.2)
        self.shutdown()
        raise UserError(f"Ray with an autoscaler did not start within {START_TIMEOUT_S:.0f} s; see {self._log}")

    def shutdown(self) -> None:
        """End it, and every process that it started."""
        started = [self._process]
        with suppress(psutil.NoSuchProcess):
            started += self._process.children(recursive=True)
            self._process.send_signal(signal.SIGTERM)
        psutil.wait_procs([self._process], timeout=20.0)
        for one in started:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(started, timeout=20.0)


def _patiently(start: Callable[[], Any]) -> Any:
    """Start a node, again where a busy machine makes Ray's own half minute too short."""
    for left in reversed(range(STARTS)):
        try:
            return start()
        except Exception as error:
            if not left or not any(text in str(error) for text in TOO_SLOW):
                raise
    raise AssertionError("not reached")
