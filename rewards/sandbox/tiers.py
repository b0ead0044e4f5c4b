"""How strong the wall around code under test is: three tiers, chosen by config, never by what happens to be there.

| tier | its wall |
|---|---|
| `gvisor` | a kernel of its own in user space (runsc): system calls of the code never reach the host's kernel |
| `bubblewrap` | namespaces, made by bwrap; the host's kernel, behind the filter of seccomp.py |
| `process` | namespaces, made by namespaces.py with nothing installed; the host's kernel, behind the same filter |

A tier that is not there is an error with its remedy, `TierAbsent`. There is no fallback: a weaker wall than the one
asked for would be a hole that nobody sees.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import platform
import random
import secrets
import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rewards.sandbox.jail import SECCOMP_FILE, Order

Tier = Literal["process", "bubblewrap", "gvisor"]

USERS = range(1 << 30, (1 << 30) + (1 << 20))
"""Nobody's user numbers; where we are root, each sandbox draws one, so that they are strangers to each other."""


OVERHEAD: dict[Tier, int] = {"process": 0, "bubblewrap": 2, "gvisor": 8}
"""Processes that the tier itself brings along."""


class TierAbsent(RuntimeError):
    """The tier that was asked for cannot be had on this machine; the message names the remedy."""


class Limits(BaseModel):
    """What one sandbox may use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wall_s: float = Field(10.0, gt=0)
    """From start to end, waiting included."""
    memory_mb: int = Field(512, ge=32)
    """Address space of one process, and resident memory of all together."""
    processes: int = Field(16, ge=1)
    """Processes and threads together."""
    open_files: int = Field(64, ge=16)
    disk_mb: int = Field(32, ge=1)
    """The private /tmp, which lies in memory; also the largest file."""
    disk_files: int = Field(1024, ge=16)
    output_kb: int = Field(8192, ge=1)
    """All that it may write to standard output and error together."""
    start_s: float = Field(10.0, gt=0)
    """How long the sandbox itself may take to be there; failing that is our fault, not the code's."""


class Config(BaseModel):
    """Which wall, which interpreter, which limits."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tier: Tier = "process"
    interpreter: str = ""
    """Python for the code under test, without its installed packages. Empty: the one that runs us."""
    packages: tuple[str, ...] = ()
    """Folders that the code may import from, read-only."""
    limits: Limits = Limits()

    @property
    def fingerprint(self) -> str:
        """The tier, and a hash of all that can change what code does in this sandbox."""
        text = json.dumps([self.model_dump(), self.python, platform.machine()], sort_keys=True)
        return f"{self.tier}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def python(self) -> str:
        """The interpreter's real place."""
        return os.path.realpath(self.interpreter or sys.executable)


def order(config: Config, boot: str) -> Order:
    """What the supervisor is told, for a sandbox of this tier.

    Args:
        config: tier and limits.
        boot: Python that the process begins with.

    Raises:
        TierAbsent: the tier cannot be had here.
    """
    if sys.platform != "linux":
        raise TierAbsent(
            f"the sandbox needs Linux, this is {sys.platform}: run in a Linux container or virtual machine"
        )
    limits = config.limits
    user = random.SystemRandom().choice(USERS) if os.geteuid() == 0 else 1000
    visible = _visible(config)
    python = [config.python, "-I", "-S", "-B", "-X", "utf8", "-c", boot]
    make = {"process": _process, "bubblewrap": _bubblewrap, "gvisor": _gvisor}[config.tier]
    return {
        "tier": config.tier,
        "argv": make(config, python, visible),
        "visible": visible,
        "overhead": OVERHEAD[config.tier],
        "user": user,
        "wall_s": limits.wall_s + limits.start_s,
        "memory_bytes": limits.memory_mb << 20,
        "processes": limits.processes,
        "disk_bytes": limits.disk_mb << 20,
        "disk_files": limits.disk_files,
    }


def resource_limits(limits: Limits) -> dict[str, int]:
    """Limits of one process, by the names of the `resource` module."""
    return {
        "RLIMIT_AS": limits.memory_mb << 20,
        "RLIMIT_CPU": int(limits.wall_s) + 1,
        "RLIMIT_FSIZE": limits.disk_mb << 20,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_NPROC": limits.processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_MEMLOCK": 0,
    }


def _visible(config: Config) -> list[str]:
    """What the interpreter needs to run, and nothing else of the host."""
    prefix = Path(config.python).parent.parent
    wanted = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", str(prefix), *config.packages]
    if prefix in (Path("/"), Path("/usr")):
        wanted[wanted.index(str(prefix))] = config.python
    return sorted({path for path in wanted if os.path.exists(path)})


def _process(config: Config, python: list[str], visible: list[str]) -> list[str]:
    return python


def _bubblewrap(config: Config, python: list[str], visible: list[str]) -> list[str]:
    program = _find("bwrap", "bubblewrap", "install the package bubblewrap")
    binds = [text for path in visible for text in ("--ro-bind", path, path)]
    return [
        program,
        *("--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox"),
        *("--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--seccomp", str(SECCOMP_FILE)),
        *binds,
        *("--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/zero", "/dev/zero"),
        *("--dev-bind", "/dev/urandom", "/dev/urandom"),
        *("--size", str(config.limits.disk_mb << 20), "--tmpfs", "/tmp", "--chdir", "/tmp", "--"),
        *python,
    ]


def _gvisor(config: Config, python: list[str], visible: list[str]) -> list[str]:
    program = _find("runsc", "gvisor", "install gVisor (its package is called runsc)")
    place = _bundle(os.getpid(), config, tuple(python), tuple(visible))
    name = f"guerdon-{os.getpid()}-{secrets.token_hex(8)}"
    # Its own cgroups are left out: what it uses is bounded by the supervisor, also where cgroups are not ours to make.
    common = [program, f"--root={place}/state", "--network=none", "--ignore-cgroups", "--log=/dev/null"]
    return [*common, *(["--rootless"] if os.geteuid() else []), "run", f"--bundle={place}", name]


@lru_cache
def _bundle(owner: int, config: Config, python: tuple[str, ...], visible: tuple[str, ...]) -> str:
    """A folder that tells runsc what to run, the same for all sandboxes of one config; it goes when we do."""
    folder = tempfile.mkdtemp(prefix="guerdon-gvisor-")
    atexit.register(_remove, folder, owner)
    for name in ("rootfs", "state"):
        Path(folder, name).mkdir()
    binds = [{"destination": p, "source": p, "type": "bind", "options": ["rbind", "ro"]} for p in visible]
    size = f"size={config.limits.disk_mb << 20}"
    box = {"destination": "/tmp", "source": "tmpfs", "type": "tmpfs", "options": [size, "mode=1777", "nosuid", "nodev"]}
    namespaces = [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]
    specification = {
        "ociVersion": "1.0.0",
        "process": {
            "user": {"uid": 1000, "gid": 1000},
            "args": list(python),
            "env": [],
            "cwd": "/tmp",
            "capabilities": {},
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "sandbox",
        "mounts": [*binds, box],
        "linux": {"namespaces": namespaces},
    }
    Path(folder, "config.json").write_text(json.dumps(specification), encoding="utf-8")
    return folder


def _remove(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # our forks leave it alone
        shutil.rmtree(folder, ignore_errors=True)


def _find(program: str, tier: str, remedy: str) -> str:
    found = shutil.which(program)
    if not found:
        raise TierAbsent(
            f"the sandbox tier {tier} needs {program}, which is not on the path: {remedy}, or choose another tier"
        )
    return found
