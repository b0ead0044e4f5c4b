"""`RunDirectory`: what a run leaves on disk, and who may write there.

```
RUN/
  config.yaml        the resolved experiment
  metrics.jsonl      one line a report interval
  events.jsonl       deaths, recoveries, degradations, checkpoints
  logs/              what each role said, JSON lines, see cluster/logs.py
  alarms.jsonl       what the hacking monitors found, see pipelines/trust/watching.py
  ledger.json        the accounts, at the end of the run and at each checkpoint
  report.html        made at the end, or by `guerdon report RUN`
  checkpoints/       see checkpoint.py
  verdicts/          every verdict, see rewards/verdict_store.py
  models/            what a language run began with, see pipelines/language/kept_models.py
  quarantine/        judges that failed their canaries, see pipelines/judging/quarantine.py
  storage.json       of which mirror this is a copy, see pipelines/mirror/
  .mirror/           snapshots on their way there
  replay/0/          a share of the experience: rows/ and decisions/, see learners/replay/
```
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.errors import UserError
from pipelines.experiment import Experiment
from pipelines.overrides import explain

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
MIN_FREE_MB = 200
LOGS, MODELS = "logs", "models"


def expanded(text: str) -> Path:
    """A path of which `~` and `~NAME` are somebody's home.

    Raises:
        UserError: there is nobody of that name.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UserError(f"got {text}; there is no user whose home that is: write the path out") from None


def expect_run_name(name: str) -> None:
    """Refuse what could not be the name of a run.

    Raises:
        UserError: it would be no single folder, or one that shells and stores take for something else.
    """
    if not NAME.fullmatch(name):
        raise UserError(
            f"got run name {name!r}; expected letters, digits, '.', '_' and '-', the first of them a letter or digit"
        )


class RunBusy(UserError):
    """Another process writes to a run."""


class RunDirectory:
    """One run on disk."""

    def __init__(self, root: Path) -> None:
        """Refer to a run at `root`, which need not exist yet."""
        self.root = root
        self._lock: int | None = None

    @property
    def config(self) -> Path:
        """The resolved experiment."""
        return self.root / "config.yaml"

    @property
    def metrics(self) -> Path:
        """Metrics over time, JSON lines."""
        return self.root / "metrics.jsonl"

    @property
    def events(self) -> Path:
        """Events, JSON lines."""
        return self.root / "events.jsonl"

    @property
    def alarms(self) -> Path:
        """Alarms of the monitors, JSON lines."""
        return self.root / "alarms.jsonl"

    @property
    def ledger(self) -> Path:
        """The accounts."""
        return self.root / "ledger.json"

    @property
    def report(self) -> Path:
        """The report as one page."""
        return self.root / "report.html"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints by number."""
        return self.root / "checkpoints"

    @property
    def verdicts(self) -> Path:
        """Every verdict."""
        return self.root / "verdicts"

    @property
    def logs(self) -> Path:
        """What each role said, see cluster/logs.py."""
        return self.root / LOGS

    @property
    def quarantine(self) -> Path:
        """Judges that are not believed."""
        return self.root / "quarantine"

    @property
    def experience(self) -> Path:
        """Stored rows; of the first share, where there are several."""
        return self.shard(0) / "rows"

    def shard(self, number: int) -> Path:
        """A share of the replay."""
        return self.root / "replay" / str(number)

    def shards(self) -> list[Path]:
        """The rows of each share that there is, in order."""
        found = [path for path in (self.root / "replay").glob("*/rows") if path.parent.name.isdigit()]
        return sorted(found, key=lambda path: int(path.parent.name))

    @classmethod
    def create(cls, runs: Path, name: str, exactly: str | None = None) -> RunDirectory:
        """Make a new directory `runs/NAME-TIME` and lock it.

        Args:
            runs: where.
            name: what its name begins with.
            exactly: its name, instead.

        Raises:
            UserError: it cannot be written, or the disk is nearly full.
        """
        expect_run_name(exactly or name)
        stamp = time.strftime("%Y%m%d-%H%M%S")
        try:
            runs.mkdir(parents=True, exist_ok=True)
            for attempt in range(1000):
                root = runs / (exactly or f"{name}-{stamp}" + (f"-{attempt}" if attempt else ""))
                try:
                    root.mkdir()
                    break
                except FileExistsError:
                    if exactly is not None:
                        raise UserError(f"{root} is there already; go on with resume={root}") from None
        except OSError as error:
            raise UserError(f"cannot make a run directory below {runs}: {error.strerror}; set runs=DIRECTORY") from None
        run = cls(root)
        run.lock()
        try:
            run.check_space()
        except UserError:
            run.leave()
            raise
        return run

    @classmethod
    def existing(cls, text: str, runs: Path) -> RunDirectory:
        """Find a run by path, by name below `runs`, or 'last'.

        Raises:
            UserError: there is none, or it is not a run.
        """
        if text == "last":
            found = sorted(  # a hidden one is on its way here from its mirror
                (p for p in runs.glob("[!.]*") if (p / "config.yaml").is_file()), key=lambda p: p.stat().st_mtime
            )
            if not found:
                raise UserError(
                    f"there is no run below {runs.resolve()}; go to where you began one, name its folder by runs=, or "
                    "start one with `guerdon train`"
                )
            return cls(found[-1])
        for path in (Path(text), runs / text):
            if (path / "config.yaml").is_file():
                return cls(path)
        raise UserError(f"got run {text!r}; expected a directory with a config.yaml, a name below {runs}, or 'last'")

    def lock(self) -> None:
        """Keep other runs out until this process ends.

        Raises:
            RunBusy: another process writes here.
            UserError: the disk cannot keep others out.
        """
        descriptor = os.open(self.root / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise RunBusy(
                f"another process is writing to {self.root}; wait for it, stop it, or start a new run"
            ) from None
        except OSError as error:  # some mounts of buckets and of the network know no locks
            os.close(descriptor)
            raise UserError(
                f"{self.root} is where files cannot be locked ({error.strerror}); set runs=DIRECTORY to a disk of this "
                "machine or an NFS that locks, and keep a copy with storage="
            ) from None
        self._lock = descriptor

    def unlock(self) -> None:
        """Let others in."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def leave(self) -> None:
        """Let others in; where nothing was begun here, nothing is left."""
        self.unlock()
        if [path.name for path in self.root.iterdir()] == [".lock"]:
            (self.root / ".lock").unlink()
            self.root.rmdir()

    def check_space(self) -> None:
        """Refuse to go on where the next checkpoint may not fit.

        Raises:
            UserError: less than `MIN_FREE_MB` is free.
        """
        free = shutil.disk_usage(self.root).free // 2**20
        if free < MIN_FREE_MB:
            raise UserError(
                f"only {free} MB are free below {self.root}; expected {MIN_FREE_MB}: make room or set runs=DIRECTORY"
            )

    def append_line(self, path: Path, record: Mapping[str, Any]) -> None:
        """Add one JSON line; behind one that was cut short, by a process that died or a full disk, a new one begins."""
        line = json.dumps(record, allow_nan=False, default=str).encode() + b"\n"
        with path.open("ab+") as file:
            if file.seek(0, os.SEEK_END):
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            file.write(line)

    def lines(self, path: Path) -> Iterator[dict[str, Any]]:
        """The JSON lines of a file; a last line that was cut short is left out."""
        if not path.is_file():
            return
        for line in path.read_text().splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue

    def reports(self, step: str) -> Iterator[tuple[float, int, dict[str, Any]]]:
        """What was told in `metrics`: seconds since 1970, the number that is the step, and all numbers.

        Args:
            step: name of that number; a line without it is left out.
        """
        for line in self.lines(self.metrics):
            at, number = (line.pop("time", None), line.get(step)) if isinstance(line, dict) else (None, None)
            if isinstance(at, (int, float)) and isinstance(number, (int, float)):
                yield at, int(number), line

    def write_json(self, path: Path, value: Any) -> None:
        """Replace a small file at once, never in part."""
        temporary = path.with_suffix(path.suffix + ".tmp")
        temporary.write_text(json.dumps(value, indent=1, default=str))
        os.replace(temporary, path)


def stored_experiment(directory: RunDirectory) -> Experiment:
    """The experiment that a run was started with.

    Raises:
        UserError: its config is not readable, or it trained a language model.
    """
    try:
        tree = yaml.safe_load(directory.config.read_text())
        if isinstance(tree, dict) and tree.get("kind") == "language":
            raise UserError(
                f"{directory.root} trained a language model, and this command is for runs in environments; expected "
                "one of train, evaluate, chat, inspect, explain, report, ledger, replay"
            )
        return Experiment.model_validate(tree)
    except ValidationError as error:
        raise UserError(f"{directory.config}: {explain(error)}; it was written by another version") from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{directory.config} cannot be read: {' '.join(str(error).split())}") from None
