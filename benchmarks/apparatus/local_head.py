"""`LocalHead`: a Ray head with its jobs server on loopback, in its own folder, that can be killed and started anew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path

import psutil

from benchmarks.apparatus.free_port import free_port
from benchmarks.apparatus.marked import marked
from benchmarks.apparatus.training import CHECKOUT

MARK = "GUERDON_LOCAL_HEAD"
START_S, KILL_S = 180.0, 120.0
STARTS = 3


class LocalHead:
    """One head at a time; every process that it starts carries a mark."""

    def __init__(self, place: Path, cpus: int = 6, mode: str = "token") -> None:
        """Refer to a head below `place`, with a token of its own; nothing is started yet."""
        place.mkdir(parents=True, exist_ok=True)
        self.place, self.cpus, self._mark = place, cpus, uuid.uuid4().hex
        self.token = place / "token"
        self.token.write_text(uuid.uuid4().hex + uuid.uuid4().hex)
        self.token.chmod(0o600)
        self.mode, self.address = mode, ""
        self._sockets = ""  # Ray's folder: its name is short, as those of sockets must be, wherever `place` is
        self.started: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Of processes that may talk to it."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}  # another Ray's
        kept |= {"RAY_AUTH_MODE": self.mode, "RAY_AUTH_TOKEN_PATH": str(self.token), "RAY_USAGE_STATS_ENABLED": "0"}
        return {
            **kept,
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONUNBUFFERED": "1",
            "PATH": f"{Path(sys.executable).parent}:{kept['PATH']}",
        }

    def start(self) -> None:
        """Start it on free ports, on others where somebody took one meanwhile; wait until the jobs server answers.

        Raises:
            RuntimeError: it does not start.
        """
        for _ in range(STARTS):
            if self._started():
                return
            self.kill()
        raise RuntimeError(f"the head did not start:\n{(self.place / 'head.log').read_text()[-3000:]}")

    def _started(self) -> bool:
        port, dashboard = free_port(), free_port()
        self.address = f"http://127.0.0.1:{dashboard}"
        self._sockets = tempfile.mkdtemp(prefix="h")
        with (self.place / "head.log").open("ab") as log:
            self.started = subprocess.Popen(
                [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block",
                 "--node-ip-address=127.0.0.1",
                 f"--port={port}", "--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}",
                 f"--dashboard-agent-listen-port={free_port()}", f"--dashboard-agent-grpc-port={free_port()}",
                 f"--runtime-env-agent-port={free_port()}", f"--metrics-export-port={free_port()}",
                 f"--ray-client-server-port={free_port()}", f"--num-cpus={self.cpus}",
                 f"--object-store-memory={150 * 2**20}",
                 "--disable-usage-stats", f"--temp-dir={self._sockets}"],
                env={**self.environment, MARK: self._mark, "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
                cwd=self.place, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + START_S
        while not self._answers():
            if self.started.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True

    def _answers(self) -> bool:
        import httpx

        try:
            headers = {"Authorization": f"Bearer {self.token.read_text()}"} if self.mode == "token" else {}
            return httpx.get(f"{self.address}/api/jobs/", headers=headers, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self) -> list[psutil.Process]:
        """Everything that runs because of it, its jobs included."""
        return marked(MARK, self._mark)

    def kill(self) -> int:
        """SIGKILL to all of it at once, as when its machine is lost; gives how many processes that were."""
        count, left = None, self.processes()
        deadline = time.monotonic() + KILL_S
        while left and time.monotonic() < deadline:
            for process in left:
                with suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            psutil.wait_procs(left, timeout=30)
            count, left = len(left) if count is None else count, self.processes()  # those that were being started
        if self.started is not None:
            self.started.wait(timeout=30)
        if self._sockets:
            shutil.rmtree(self._sockets, ignore_errors=True)
        return count or 0
