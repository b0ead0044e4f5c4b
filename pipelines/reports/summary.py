"""What a run came to, in a dozen lines for the terminal; of a run that was cut short, what is missing."""

from __future__ import annotations

from pipelines.reports.places import log_lines, shown_path
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import printable
from pipelines.stored.records import (
    NOT_KNOWN,
    Records,
    at,
    balance_text,
    branch,
    clock_text,
    count_text,
    deaths_by_role,
    facts,
    failures_by_status,
    judge_lines,
    lag_text,
    most_common,
    number_text,
    percent_text,
    plural,
    read_records,
    speed,
    state,
    untrained_text,
)


def summary(directory: RunDirectory) -> str:
    """A run in a dozen lines, and what to do next; it never fails, since it comes after hours of work."""
    try:
        lines = _lines(read_records(directory))
    except Exception as error:
        lines = [("run", f"{directory.root}: its records cannot be told: {type(error).__name__}: {error}")]
    width = max(10, *(len(label) + 2 for label, _ in lines))
    return "\n".join(f"{label:<{width}}{printable(text)}" for label, text in lines)


def _lines(run: Records) -> list[tuple[str, str]]:
    """The summary as labels and texts."""
    latest, books, experience = run.latest, branch(run.ledger, "verdicts"), branch(run.ledger, "experience")
    if run.language:
        return [("run", run.name), *facts(run), *_endings(run)]
    lines = [
        ("run", f"{run.name}: {at(run.config, 'task') or 'task not known'}, {run.source}, {state(run)}"),
        (
            "frames",
            f"{count_text(latest('learnt_frames'))} in {clock_text(latest('elapsed_s'))}, "
            f"{count_text(speed(run))} frames/s",
        ),
        (
            "episodes",
            f"{count_text(latest('episodes'))}, return {number_text(latest('episode_return'))}, "
            f"success {percent_text(latest('success_rate'))} (last 100)",
        ),
    ]
    if run.judged:
        failures = ", ".join(f"{status} {n}" for status, n in failures_by_status(run).items()) or "none"
        causes = branch(books, "causes")
        if causes:
            failures += "; failed tries: " + ", ".join(f"{cause} ×{n}" for cause, n in most_common(causes, 3))
        asked = f", {books['asked']:,} questions on {count_text(latest('frames'))} frames" if books.get("asked") else ""
        lines += [
            ("annotated", f"{percent_text(latest('annotated_share'))} of captioned steps"),
            ("judge", f"{count_text(books.get('batches'))} requests, {count_text(books.get('ok'))} verdicts{asked}"),
            ("failures", failures if books else NOT_KNOWN),
            ("label lag", lag_text(run)),
        ]
        lines += [("judges", line) for line in judge_lines(run.ledger)]
        if untrained := untrained_text(run):
            lines.append(("attention", untrained))
    deaths = deaths_by_role(run)
    lost = at(run.ledger, "lost_rollouts")
    lines.append(
        (
            "deaths",
            (", ".join(f"{role} ×{n}" for role, n in sorted(deaths.items())) or "none")
            + (f", {plural(lost, 'rollout')} lost" if lost else ""),
        )
    )
    balance = balance_text(run)
    accepted, sampled = at(experience, "accepted", "frames"), at(experience, "sampled", "frames")
    if accepted is not None and sampled is not None:
        dropped = sum(part.get("frames", 0) for part in branch(experience, "dropped").values())
        balance += (
            f": {accepted:,} frames = {sampled:,} learnt + {count_text(at(experience, 'live', 'frames'))} waiting"
            f" + {dropped:,} dropped"
        )
    lines.append(("ledger", balance))
    return [*lines, *_endings(run)]


def _endings(run: Records) -> list[tuple[str, str]]:
    """What is missing, where the report is, and what to do next."""
    directory = run.directory
    lines = [("missing", text) for text in run.missing]
    where = shown_path(directory.root)
    lines.append(("report", f"{shown_path(directory.report)}" if directory.report.is_file() else "not written yet"))
    lines += log_lines(run)
    lines.append(("next", f"guerdon evaluate {where}"))
    lines.append(("", f"guerdon inspect {where}"))
    if state(run) != "finished":
        lines.append(("", f"guerdon train resume={where}"))
    return lines
