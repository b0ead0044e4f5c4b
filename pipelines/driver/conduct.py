"""`conduct`: a run from its empty books to its report, whatever it learns and wherever.

What it has done by then is written, reported and copied also where it fails.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from cluster.logs import open_log
from pipelines.driver.books import Books
from pipelines.driver.lifecycle import (
    Restored,
    graceful_stop,
    raise_for_people,
    restored_or_left,
    tell_stop,
    write_config,
)
from pipelines.errors import UserError
from pipelines.mirror.opening import mirror_or_left
from pipelines.observing.logs import log_to
from pipelines.overrides import dotted
from pipelines.run_directory import RunDirectory
from pipelines.tracking import start_tracker


def conduct(
    run: Books,
    work: Callable[[Restored | None], None],
    runs: Path,
    resumed: bool,
    log_level: str,
    say: Callable[[str], None],
) -> RunDirectory:
    """Go on from what was saved, work, and write the report.

    Args:
        run: the books, empty; its directory is locked, and is unlocked at the end.
        work: everything that the run does, on from what was restored.
        runs: directory of runs.
        resumed: whether it goes on.
        log_level: of what it logs.
        say: prints what is said beside the display.

    Raises:
        UserError: something that a person can mend.
        Unfinished: its node went away; it is saved.
    """
    experiment, directory, unit = run.experiment, run.directory, run.subject.unit
    restored = restored_or_left(run) if resumed else None
    if restored is not None and run.done:
        say(f"it had come to its end; {unit}= or minutes= above what it has let it go on")
    status = "FAILED"
    run.mirrored_by(mirror_or_left(experiment.storage, run))
    log_to(directory, log_level)
    try:
        write_config(experiment, directory)
        if restored is not None:
            run.note("resumed", f"at {run.at} {unit}")
        run.tracker = start_tracker(
            experiment.tracking,
            runs,
            directory.root.name,
            dict(dotted(experiment.model_dump(mode="json"))),
            None if restored is None else restored.mlflow_run,
            partial(directory.reports, run.subject.done),
        )
        with graceful_stop(run):
            work(restored)
        status = "KILLED" if run.stopping else "FINISHED"
        if run.stopping:
            run.note("stopped", run.stopping)
    except Exception as error:
        raise_for_people(error, directory)
        raise
    finally:
        _finish(run, status, say)
        open_log(None, "driver")
        directory.unlock()
    tell_stop(run, f"{run.at:,} {unit}", directory, say)
    return directory


def _finish(run: Books, status: str, say: Callable[[str], None]) -> None:
    """Write the ledger and the report, and send the mirror its last, whatever happened and whatever of it fails.

    Raises:
        UserError: of a run that went well, something could not be written. Where it failed, that is what is told.
        Exception: of a run that went well, one of these steps has a fault of ours.
    """
    from pipelines.reports.page import write_report

    def artifacts() -> None:
        for path in (run.directory.report, run.directory.ledger, run.directory.config):
            run.tracker.artifact(path)
        run.tracker.finish(status)

    def mirror() -> None:
        if (problem := run.mirror.close(say=say)) is not None:
            raise UserError(f"{problem}; what is here is whole: go on with resume={run.directory.root} to send it")

    problems: list[str] = []
    faults: list[Exception] = []
    report = partial(write_report, [run.directory], run.directory.report)
    for step in (partial(run.report, force=True), run.close, run.display.close, report, artifacts, mirror):
        try:
            step()
        except (OSError, UserError) as error:
            problems.append(str(error))
        except Exception as error:  # a report that cannot be drawn must not cost the copy of the run
            faults.append(error)
    if status == "FAILED":
        return
    if faults:
        raise faults[0]
    if problems:
        raise UserError("; ".join(problems))
