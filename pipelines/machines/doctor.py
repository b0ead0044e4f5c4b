"""`guerdon doctor`: looks at this machine and says what is missing and how to get it.

Every check gives a `Finding` with what was got, what was expected and the remedy. What could crash or hang (native
libraries) is tried in a process of its own, with a deadline.
"""

from __future__ import annotations

import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.machines.machine import GIB, Machine
from pipelines.results import LIBRARIES

CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"
INSTALL = "install the tested versions: make train, or pip install -c constraints.txt -e ."
PROBE_TIMEOUT_S = 120.0

NETHACK = "import gymnasium, nle; e = gymnasium.make('NetHackScore-v0'); e.reset(); e.step(0); e.close()"
MINIHACK = "import gymnasium, minihack; e = gymnasium.make('MiniHack-Room-5x5-v0'); e.reset(); e.step(0); e.close()"
MLFLOW = "import mlflow"


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: what was looked at.
        ok: whether it is as expected.
        got: what is there.
        expected: what should be.
        remedy: what to do where it is not.
        required: whether nothing works without it; otherwise it is advice.
    """

    name: str
    ok: bool
    got: str
    expected: str
    remedy: str
    required: bool = True


def diagnose(runs: Path = Path("runs"), constraints: Path = CONSTRAINTS) -> list[Finding]:
    """Look at everything.

    Args:
        runs: folder in which runs are written; need not exist yet.
        constraints: the file of tested versions.

    Returns:
        All findings, good and bad, in the order in which a person would mend them.
    """
    native = {
        "NetHack": (
            NETHACK,
            "pip install nle; it has wheels for Linux and macOS, elsewhere it needs cmake, bison and flex",
        ),
        "MiniHack": (MINIHACK, "pip install minihack 'setuptools<82'; it reads its data with pkg_resources"),
        "MLflow": (MLFLOW, INSTALL),
    }
    with ThreadPoolExecutor(max_workers=2) as pool:  # the probes are processes and import for seconds
        probes = [pool.submit(probe, name, code, remedy) for name, (code, remedy) in native.items()]
        return [
            python(),
            *machine(),
            disk("disk for temporary files", Path(tempfile.gettempdir()), "set TMPDIR to a folder with more room"),
            disk("disk for runs", runs, "free some space, or start where there is more"),
            writable(runs),
            logs(runs),
            shared_memory(),
            open_files(),
            loopback(),
            *libraries(constraints),
            *ray(),
            torch(),
            builtin_judge(),
            *(found.result() for found in probes),
        ]


def print_findings(findings: Sequence[Finding], console: Console | None = None) -> int:
    """Print findings as a table, and below it what to do.

    Args:
        findings: what `diagnose` found.
        console: where to print; standard output if None.

    Returns:
        The exit code: 1 where something required is missing, else 0.
    """
    console = console or Console()
    table = Table(box=None, pad_edge=False)
    for name in ("", "check", "got", "expected"):
        table.add_column(name, overflow="fold")  # of an address or a path no end is cut off
    for finding in findings:
        sign = "[green]ok[/]" if finding.ok else "[red]missing[/]" if finding.required else "[yellow]advice[/]"
        table.add_row(sign, *map(escape, (finding.name, finding.got, finding.expected)))
    console.print(table)
    for finding in findings:
        if not finding.ok:
            console.print(f"{finding.name}: {finding.remedy}", markup=False, highlight=False)
    missing = sum(finding.required and not finding.ok for finding in findings)
    advice = sum(not finding.required and not finding.ok for finding in findings)
    console.print(f"{len(findings)} checks, {missing} missing, {advice} advised.")
    return 1 if missing else 0


def python() -> Finding:
    """The interpreter and the system."""
    got = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    ok = sys.version_info >= (3, 10) and platform.system() in ("Linux", "Darwin")
    return Finding("Python", ok, got, "3.10 or later on Linux or macOS", "install Python 3.10 or later")


def machine() -> list[Finding]:
    """Cores and memory."""
    here = Machine.here()
    slow = "fewer cores work, more slowly: lower the number of env actors"
    small = "close other programs, or lower the number of env actors and the object store"
    return [
        Finding("cores", here.cores >= 2, f"{here.cores} ({here.cpu})", "2 or more", slow, required=False),
        Finding("memory", here.memory_gib >= 4, f"{here.memory_gib} GiB", "4 GiB or more", small, required=False),
    ]


def disk(name: str, folder: Path, remedy: str, needed_gib: float = 2.0) -> Finding:
    """Free space where `folder` is or would be."""
    free = shutil.disk_usage(existing(folder)).free / GIB
    return Finding(name, free >= needed_gib, f"{free:.1f} GiB free", f"{needed_gib:g} GiB or more", remedy)


def writable(runs: Path) -> Finding:
    """Whether runs can be written."""
    place = existing(runs)
    remedy = f"make {place} writable, or start in a folder that is"
    try:
        with tempfile.TemporaryFile(dir=place):
            return Finding("folder of runs", True, f"{runs} is writable", "writable", remedy)
    except OSError as error:
        return Finding("folder of runs", False, f"{runs}: {error.strerror or error}", "writable", remedy)


def logs(runs: Path) -> Finding:
    """Where to read what processes said, of the newest run and of Ray itself; nothing is wrong where there is none."""
    found = sorted(runs.glob("*/logs"), key=lambda path: path.stat().st_mtime)
    own = str(found[-1]) if found else f"{runs}/RUN/logs"
    sessions = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray" / "session_latest" / "logs"
    theirs = f"; Ray's: {sessions}" if sessions.is_dir() else ""
    return Finding(
        "logs", True, f"{own}/ROLE.jsonl{theirs}", "JSON lines, a file a role", "see docs/operations.md", required=False
    )


def shared_memory(place: Path = Path("/dev/shm"), needed_gib: float = 1.0) -> Finding:
    """Room for Ray's object store; macOS has no such folder and Ray uses files there."""
    remedy = "containers get 64 MB by default: start them with --shm-size=2g; Ray falls back to slower files"
    if not place.is_dir():
        return Finding(
            "shared memory", True, "none on this system", "where there is some, 1 GiB", remedy, required=False
        )
    free = shutil.disk_usage(place).free / GIB
    got, expected = f"{free:.1f} GiB free", f"{needed_gib:g} GiB or more"
    return Finding("shared memory", free >= needed_gib, got, expected, remedy, required=False)


def open_files(needed: int = 1024) -> Finding:
    """The limit of open files: Ray holds a few per process."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    endless = soft == resource.RLIM_INFINITY
    got = "no limit" if endless else str(soft)
    remedy = f"in the shell that starts Guerdon: ulimit -n {4 * needed}"
    return Finding("open files", endless or soft >= needed, got, f"{needed} or more", remedy, required=False)


def loopback() -> Finding:
    """Whether processes of this machine can talk to each other."""
    remedy = "allow connections to 127.0.0.1: a firewall or a sandbox forbids them"
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), timeout=5),
        ):
            return Finding("loopback", True, "connects", "connects", remedy)
    except OSError as error:
        return Finding("loopback", False, str(error), "connects", remedy)


def libraries(constraints: Path = CONSTRAINTS) -> list[Finding]:
    """Each library that Guerdon asks for, against what it needs and what was tested."""
    tested = pins(constraints)
    return [library(requirement, tested.get(canonical(requirement.name))) for requirement in requirements()]


def library(requirement: Requirement, tested: str | None) -> Finding:
    """One library: missing or too old is required, another version than the tested one is advice."""
    expected = f"{tested} (tested)" if tested else str(requirement.specifier) or "any version"
    try:
        installed = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Finding(requirement.name, False, "not installed", expected, INSTALL)
    public = Version(installed).public
    if not requirement.specifier.contains(public, prereleases=True):
        return Finding(requirement.name, False, installed, str(requirement.specifier), INSTALL)
    ok = tested is None or public == tested
    return Finding(requirement.name, ok, installed, expected, f"another version than tested; {INSTALL}", required=False)


def requirements() -> list[Requirement]:
    """What Guerdon asks for, by its installed metadata; from a bare checkout, the libraries that matter most."""
    try:
        declared = [Requirement(text) for text in metadata.requires("guerdon") or ()]
    except metadata.PackageNotFoundError:
        declared = [Requirement(name) for name in LIBRARIES]
    return [requirement for requirement in declared if requirement.marker is None or requirement.marker.evaluate()]


def pins(constraints: Path) -> dict[str, str]:
    """Tested versions by canonical name, for this Python; none where the file is not there."""
    if not constraints.is_file():
        return {}
    lines = (line.partition("#")[0].strip() for line in constraints.read_text(encoding="utf-8").splitlines())
    found = [Requirement(line) for line in lines if line]
    return {
        canonical(pin.name): str(pin.specifier).removeprefix("==")
        for pin in found
        if pin.marker is None or pin.marker.evaluate()
    }


def ray() -> list[Finding]:
    """Ray's version and whether it asks for its token."""
    floor = "2.59"
    remedy = f"pip install -c constraints.txt 'ray[serve,train,tune]>={floor}'"
    try:
        installed = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return [Finding("Ray's security", False, "not installed", f"{floor} or later", remedy)]
    mode = os.environ.get("RAY_AUTH_MODE", "")
    return [
        Finding("Ray's security", Version(installed) >= Version(floor), installed, f"{floor} or later", remedy),
        Finding(
            "Ray's token",
            mode.lower() in ("", "token"),
            f"RAY_AUTH_MODE={mode}" if mode else "token (RAY_AUTH_MODE is not set)",
            "token",
            "unset RAY_AUTH_MODE: without a token, whoever reaches Ray's ports runs code as you",
            required=False,
        ),
    ]


def torch() -> Finding:
    """Which device torch would use. A CPU is enough."""
    try:
        import torch as library
    except (ImportError, OSError) as error:
        return Finding("device", False, str(error), "imports", INSTALL)
    device = "CUDA" if library.cuda.is_available() else "MPS" if library.backends.mps.is_available() else "CPU"
    return Finding("device", True, f"torch {library.__version__}, {device}", "imports", INSTALL)


def builtin_judge() -> Finding:
    """Whether the built-in judge is there, or can be kept once it is built."""
    from rewards.judges.builtin.build import model_directory
    from rewards.judges.builtin.train import Config

    expected, remedy = "built, or can be", "set GUERDON_CACHE to a folder that you may write"
    place = model_directory(Config())
    if place.is_dir():
        return Finding("built-in judge", True, "built", expected, remedy, required=False)
    if writable(place.parent).ok:
        return Finding("built-in judge", True, "not yet: the first run builds it", expected, remedy, required=False)
    got = f"not built, and {place.parent} cannot be written"
    return Finding("built-in judge", False, got, expected, remedy, required=False)


def probe(name: str, code: str, remedy: str, timeout_s: float = PROBE_TIMEOUT_S) -> Finding:
    """Run `code` in a Python of its own: native libraries may crash, and that must not end the doctor."""
    try:
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired:
        return Finding(name, False, f"no answer in {timeout_s:g} s", "works", remedy)
    if answer.returncode == 0:
        return Finding(name, True, "works", "works", remedy)
    lines = answer.stderr.strip().splitlines()
    return Finding(name, False, lines[-1] if lines else f"ended with code {answer.returncode}", "works", remedy)


def existing(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.is_dir())


def canonical(name: str) -> str:
    """A distribution's name in the form in which names are compared."""
    return name.lower().replace("_", "-").replace(".", "-")
