"""`submit`: a recipe becomes a job: checked here, packed, sent, followed to its exit code.

The command that runs on the cluster is `guerdon train RECIPE … run=NAME runs=DIRECTORY`: it makes the run, or goes on
with it where it is there. So submitting again, after whatever happened, is how a job is resumed.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shlex
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cluster.jobs import ADDRESS, ENDED, Jobs
from cluster.manifests.deployment import holds_secret
from cluster.secrecy import PlainLines
from cluster.session import ClusterUnavailable
from pipelines.errors import UserError
from pipelines.house import CHECKOUT, JOB
from pipelines.jobs.packing import MAX_MB, chosen, stage
from pipelines.machines.doctor import canonical, pins, requirements
from pipelines.overrides import parse
from pipelines.run_directory import NAME

ENVIRONMENTS = ("pip", "uv", "cluster")
STOPPED, DETACHED = 143, 130  # exit codes: by SIGTERM, by Ctrl-C
IDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,150}")
POLL_S = 1.0
SILENT_S = 60.0  # after so long without a word it is asked whether the job is still there
LONGEST_LINE = 100_000  # characters of a job's line
END_S = 120.0  # how long a job may take from its last line to its status


@dataclass(frozen=True)
class Order:
    """What is submitted, again if need be.

    Attributes:
        words: recipe and overrides.
        run: name of the run: the same name is the same run.
        runs: where it lies on the cluster.
        environment: where its libraries come from.
        max_mb: largest checkout to send.
    """

    words: tuple[str, ...]
    run: str
    runs: str
    environment: str = "pip"
    max_mb: float = MAX_MB

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UserError: a name, folder or word is not as it should be.
        """
        if not NAME.fullmatch(self.run):
            raise UserError(f"got run={self.run!r}; expected letters, digits, '.', '_' and '-'")
        if not self.runs.startswith(("/", "~/")):
            raise UserError(
                f"got runs={self.runs}; expected a folder of the cluster that outlives the job, such as /shared/runs: "
                "a relative one would lie in the job's working directory and be deleted with it"
            )
        if self.environment not in ENVIRONMENTS:
            raise UserError(f"got environment={self.environment}; expected one of {', '.join(ENVIRONMENTS)}")
        for word in self.words:
            key, _, value = word.partition("=")
            if key == "storage" and not ("://" in value or "::" in value or value.startswith(("/", "~/"))):
                raise UserError(
                    f"got {word}; expected a URI, such as s3://bucket/runs, or a folder of the cluster that outlives "
                    "the job: a relative one would lie in the job's working directory and be deleted with it"
                )
            if holds_secret(word):
                raise UserError(
                    f"{word.partition('=')[0]} holds a secret, and a job's command can be read by all who see "
                    "the cluster's dashboard; give it to the cluster's nodes instead (docs/jobs.md)"
                )

    def command(self) -> str:
        """The line that runs on the cluster."""
        places = [f"run={self.run}", f"runs={self.runs}", "ray.address=auto"]
        return shlex.join(["python", "-m", "pipelines.cli", "train", *self.words, *places])


def runtime_environment(kind: str) -> dict[str, Any]:
    """The libraries of a job: this project's own, at the versions of constraints.txt; Ray is the cluster's.

    Args:
        kind: `pip` or `uv`, which install them on the cluster, or `cluster`: what is there already.
    """
    if kind == "cluster":
        return {}
    tested = pins(CHECKOUT / "constraints.txt")
    names = {canonical(one.name): one for one in requirements()}
    packages = [
        f"{name}=={tested[name]}" if name in tested else str(one)
        for name, one in sorted(names.items())
        if name not in ("ray", "guerdon")
    ]
    if kind == "uv":
        return {"uv": {"packages": packages}}
    return {"pip": {"packages": packages, "pip_check": False}}


def submit(order: Order, jobs: Jobs, records: Path, say: Callable[[str], None] = print) -> str:
    """Pack and send; gives the job's id.

    Raises:
        UserError, ClusterUnavailable: the checkout must not go, or the cluster does not take it.
    """
    packed = chosen(CHECKOUT, order.max_mb)
    ident = f"{order.run}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
    if jobs.in_clear:
        say(f"{jobs.address} has no TLS: whoever is on the way reads the token; a tunnel or https:// is safer")
    with tempfile.TemporaryDirectory(prefix="guerdon-job-") as folder:
        stage(CHECKOUT, packed, Path(folder))
        metadata = {"guerdon": json.dumps(asdict(order))}
        libraries = runtime_environment(order.environment)
        jobs.submit(order.command(), ident, Path(folder), libraries, {JOB: "1"}, metadata)
    say(f"job {ident}: {len(packed.files)} files, {packed.size_bytes / 2**20:.1f} MB, run {order.run} in {order.runs}")
    try:
        keep(ident, order, records)
    except OSError as error:  # the job runs: that its record could not be written must not hide it
        say(
            f"{records} cannot be written ({error.strerror}): this machine will not remember the job; if the cluster "
            f"forgets it too, submit it again with run={order.run} runs={order.runs}"
        )
    return ident


def keep(ident: str, order: Order, records: Path) -> None:
    """Remember here what was submitted: a head that dies forgets its jobs."""
    records.mkdir(parents=True, exist_ok=True)
    path = records / f"{ident}.json"
    path.with_suffix(".tmp").write_text(json.dumps(asdict(order)))
    os.replace(path.with_suffix(".tmp"), path)


def remembered(ident: str, jobs: Jobs, records: Path) -> Order:
    """What a job was: as this machine remembers it, or else the cluster.

    Raises:
        UserError: neither does, or what they remember is no order.
    """
    if not IDENT.fullmatch(ident):
        raise UserError(f"got job {ident!r}; expected an id of `guerdon jobs list`")
    path = records / f"{ident}.json"
    try:
        if path.is_file():
            found = json.loads(path.read_text())
        else:
            found = json.loads((jobs.details(ident).metadata or {})["guerdon"])
        return Order(**{**found, "words": tuple(map(str, found["words"]))})
    except ClusterUnavailable:
        raise UserError(
            f"neither {records} nor the cluster remembers job {ident}; submit it again with the same run=NAME"
        ) from None
    except (KeyError, TypeError, ValueError):
        raise UserError(
            f"job {ident} was not submitted by `guerdon submit`; submit its run again with run=NAME"
        ) from None


def follow(ident: str, jobs: Jobs, say: Callable[[str], None] = print) -> int:
    """Show what a job says until it ends; gives its exit code. Ctrl-C detaches: the job goes on.

    Raises:
        ClusterUnavailable: the cluster is gone.
    """
    words = typed(ident, jobs)
    try:
        asyncio.run(_show(ident, jobs, say))
        code = exit_code(ident, jobs)
    except KeyboardInterrupt:
        say(f"detached; the job goes on: guerdon jobs logs {words}, guerdon jobs stop {words}")
        return DETACHED
    # What the job itself says is meant for a shell on the cluster. Code 2 is a mistake: it would only come again.
    if code not in (0, 2):
        what = "was stopped" if code == STOPPED else f"ended with code {code}"
        say(f"job {ident} {what}; to go on with its run from here: guerdon jobs resume {words}")
    return code


def typed(ident: str, jobs: Jobs) -> str:
    """What a command about a job is given from here."""
    return ident if jobs.address == ADDRESS else f"{ident} address={jobs.address}"


async def _heard(ident: str, jobs: Jobs) -> AsyncIterator[str]:
    """What a job says; where it says nothing for long, the cluster is asked whether there is still somebody to hear.

    Raises:
        ClusterUnavailable: there is not.
    """
    said = jobs.follow(ident)
    while True:
        coming = asyncio.ensure_future(said.__anext__())
        while not (await asyncio.wait([coming], timeout=SILENT_S))[0]:
            details = await asyncio.to_thread(jobs.details, ident)
            if details.status.value in ENDED and not (await asyncio.wait([coming], timeout=POLL_S))[0]:
                coming.cancel()  # it has ended, and the connection does not say so
                return
        try:
            yield coming.result()
        except StopAsyncIteration:
            return


async def _show(ident: str, jobs: Jobs, say: Callable[[str], None]) -> None:
    import aiohttp

    rest, plain = "", PlainLines()
    try:
        async for text in _heard(ident, jobs):
            *lines, rest = (rest + text).replace("\r", "\n").split("\n")
            for line in lines:
                say(plain(line))
            if len(rest) > LONGEST_LINE:  # no program's line: it is not waited for, and not kept
                say(plain(rest))
                rest = ""
    except (RuntimeError, OSError, aiohttp.ClientError) as error:
        raise ClusterUnavailable(
            f"the cluster at {jobs.address} was lost while job {ident} ran ({type(error).__name__}); once it is back: "
            f"guerdon jobs resume {typed(ident, jobs)}"
        ) from None
    if rest:
        say(plain(rest))


def exit_code(ident: str, jobs: Jobs) -> int:
    """The exit code of a job that has said its last word.

    Raises:
        ClusterUnavailable: the cluster does not say what became of it.
    """
    deadline = time.monotonic() + END_S
    while (details := jobs.details(ident)).status.value not in ENDED:
        if time.monotonic() > deadline:
            raise ClusterUnavailable(f"job {ident} is {details.status.value}, and says nothing; look at the dashboard")
        time.sleep(POLL_S)
    return code_of(details.status.value, details.driver_exit_code)


def code_of(status: str, driver: int | None) -> int:
    """0 where a job succeeded, 143 where it was stopped, its driver's own where it failed; 1 where that is unknown."""
    if status == "SUCCEEDED":
        return 0
    if status == "STOPPED":
        return STOPPED
    return 1 if not driver else driver if 0 < driver < 256 else 128 + abs(driver)


def order_of(words: Sequence[str], own: dict[str, Any]) -> Order:
    """What the command line asks for: the overrides are seen to fit before anything is sent.

    Raises:
        UserError: recipe, key or value are wrong.
    """
    from pipelines.language.stored import resolve_language
    from pipelines.recipes.table import find_recipe
    from pipelines.train import resolve

    recipe, rest = (words[0], list(words[1:])) if words and "=" not in words[0] else ("main", list(words))
    values = parse(rest)
    for key in ("resume", "from", "settings"):
        if key in values:
            raise UserError(f"got {key}=; a job goes on by its name: submit it again with the same run=NAME")
    if "ray.address" in values:
        raise UserError("got ray.address=; a job runs on the cluster that address= submits it to: leave it out")
    language = resolve_language(recipe, dict(values), Path("runs"), None)
    name = (language or resolve(find_recipe(recipe), dict(values), Path("runs"), None)).name
    return Order(
        words=(recipe, *rest),
        run=str(own["run"]) or f"{name}-{time.strftime('%Y%m%d-%H%M%S')}",
        runs=str(own["runs"]),
        environment=str(own["environment"]),
        max_mb=float(own["max_mb"]),
    )
