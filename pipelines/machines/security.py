"""`guerdon doctor --security`: what is open on this machine, and which installed versions have known holes.

It looks from inside: at the listening sockets of this machine's Ray and MLflow, at who asks for a token, at who may
read it, and at versions. It sends nothing to anybody, and what it cannot see (other users' processes) it says.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import psutil
from packaging.version import Version

from cluster.session import is_loopback
from pipelines.machines.doctor import INSTALL, Finding


class Hole(NamedTuple):
    """A known weakness of a library.

    Attributes:
        library: distribution.
        fixed: the first version without it, or that closes it by default where it is disputed.
        name: of the record.
        what: in a few words.
    """

    library: str
    fixed: str
    name: str
    what: str


HOLES = (
    Hole("ray", "2.52.0", "CVE-2025-62593", "a web page runs code through the jobs server by DNS rebinding"),
    Hole("ray", "2.55.0", "CVE-2026-41486", "a Parquet file with an extension type is unpickled"),
    Hole("ray", "2.56.0", "CVE-2026-57516", "a WebDataset is unpickled"),
    Hole("ray", "2.59.0", "CVE-2023-48022", "the jobs server asks nobody who they are; a token by default from 2.59"),
    Hole("torch", "2.6.0", "CVE-2025-32434", "torch.load runs code in spite of weights_only"),
    Hole("torch", "2.10.0", "CVE-2026-24747", "torch.load corrupts memory in spite of weights_only"),
    Hole("pyarrow", "14.0.1", "CVE-2023-47248", "an IPC or Parquet file with an extension type is unpickled"),
)
"""What the records say of the libraries through which others' bytes come in."""

ROLES = {
    "gcs_server": "Ray's control plane",
    "raylet": "raylet",
    "dashboard/dashboard.py": "Ray's dashboard and jobs server",
    "ray::dashboardagent": "Ray's dashboard agent",
    "ray.util.client.server": "Ray Client server",
    "ray::": "a Ray worker",
    "mlflow": "MLflow server",
}
"""By what a command line holds, the first that fits."""


@dataclass(frozen=True)
class Socket:
    """A listening socket of a process that matters here."""

    role: str
    host: str
    port: int


def audit(
    sockets: Iterable[Socket] | None = None,
    environment: Mapping[str, str] = os.environ,
    versions: Mapping[str, str] | None = None,
    home: Path | None = None,
) -> list[Finding]:
    """Look at everything.

    Args:
        sockets: that listen; None: this machine's.
        environment: of the processes to come.
        versions: installed versions by distribution; None: this environment's.
        home: where the token lies; None: this user's.
    """
    found = list(listening() if sockets is None else sockets)
    return [
        *holes(installed() if versions is None else versions),
        *tokens(environment, home or Path.home()),
        *exposed(found, environment),
    ]


def holes(versions: Mapping[str, str]) -> list[Finding]:
    """Each known hole, and whether the installed version has it."""
    return [
        Finding(
            hole.name,
            Version(versions[hole.library]) >= Version(hole.fixed),
            f"{hole.library} {versions[hole.library]}",
            f"{hole.fixed} or later",
            f"{hole.what}; {INSTALL}",
        )
        for hole in HOLES
        if hole.library in versions
    ]


def installed() -> dict[str, str]:
    """Versions of the libraries that have had holes."""
    found = {}
    for library in {hole.library for hole in HOLES}:
        try:
            found[library] = Version(metadata.version(library)).public
        except metadata.PackageNotFoundError:
            continue
    return found


def tokens(environment: Mapping[str, str], home: Path) -> list[Finding]:
    """Whether Ray asks for a token, and whether others can read it."""
    mode = environment.get("RAY_AUTH_MODE", "")
    found = [
        Finding(
            "Ray's token",
            mode.lower() in ("", "token"),
            f"RAY_AUTH_MODE={mode}" if mode else "RAY_AUTH_MODE is not set: a Ray that Guerdon starts asks",
            "token",
            "unset RAY_AUTH_MODE, or set it to token: without one, whoever reaches Ray's ports runs code as you",
        )
    ]
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or home / ".ray" / "auth_token")
    if environment.get("RAY_AUTH_TOKEN"):
        got, safe = "in RAY_AUTH_TOKEN, where every child process sees it", True
    elif not path.exists():
        got, safe = "none yet; Ray makes one when it is started", True
    else:
        rights = stat.S_IMODE(path.stat().st_mode)
        got, safe = f"{path} has mode {rights:o}", not rights & 0o077
    found.append(Finding("file of the token", safe, got, "readable for its owner alone", f"chmod 600 {path}"))
    return found


def exposed(sockets: Iterable[Socket], environment: Mapping[str, str]) -> list[Finding]:
    """One finding a role: where it listens, and whether what is open asks for a token."""
    asked = environment.get("RAY_AUTH_MODE", "").lower() in ("", "token")
    places: dict[str, list[Socket]] = {}
    for socket in sockets:
        places.setdefault(socket.role, []).append(socket)
    found = []
    for role, own in sorted(places.items()):
        hosts = ", ".join(sorted({f"{socket.host}:{socket.port}" for socket in own}))
        opened = [socket for socket in own if not is_loopback(socket.host)]
        remedy = (
            "bind it to 127.0.0.1, or put a proxy with TLS and a login before it"
            if role == ROLES["mlflow"]
            else "start it with --node-ip-address=127.0.0.1 and RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0 if no other "
            "machine joins; else close its ports to strangers with a firewall or a network policy: the token "
            "travels in clear"
        )
        # Open ports of a cluster of several machines are no mistake where a token is asked for; MLflow asks for none.
        required = role == ROLES["mlflow"] or not asked
        found.append(Finding(role, not opened, hosts, "loopback", remedy, required=required))
    return found or [Finding("listening Ray or MLflow", True, "none of this user", "loopback", "")]


def listening() -> list[Socket]:
    """Sockets of Ray and MLflow on this machine that listen, of processes whose files this user may see."""
    found = set[tuple[str, str, int]]()
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline()).lower()
            role = next((name for mark, name in ROLES.items() if mark in line), None)
            if role is None:
                continue
            for connection in process.net_connections(kind="tcp"):
                if connection.status == psutil.CONN_LISTEN:
                    found.add((role, connection.laddr.ip, connection.laddr.port))
        except psutil.Error:
            continue  # it has ended, or is another user's
    return [Socket(*one) for one in sorted(found)]
