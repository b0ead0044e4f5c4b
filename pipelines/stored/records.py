"""`Records`: the small files that a run leaves behind, and the facts that they tell.

Nothing here raises for a run that was cut short or is still going on: what is not there is named in `missing`, and
numbers that are not known are shown as a dash, never as 0.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipelines.run_directory import RunDirectory

NOT_KNOWN = "–"
MOST_LINES = 4000  # of metrics that are read: more than any drawing shows
GROUPS = ("begun", "stored", "under_way", "given_up")
"""What became of the groups of a language run, in its ledger."""


@dataclass(frozen=True)
class Records:
    """A run's small files, as far as they can be read.

    Attributes:
        directory: where they are.
        config: the experiment as plain data.
        rows: metrics by line, oldest first; what a resumed run did anew is there once.
        events: deaths, recoveries and notes.
        ledger: the accounts.
        evaluation: what `guerdon evaluate` found, if it was run.
        missing: for people: what is not there.
        every: each how many-th line of the metrics was read; 1: all.
    """

    directory: RunDirectory
    config: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]
    events: Sequence[Mapping[str, Any]]
    ledger: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    missing: Sequence[str]
    every: int = 1

    @property
    def name(self) -> str:
        """The directory's name."""
        return self.directory.root.resolve().name

    @property
    def language(self) -> bool:
        """Whether a language model was trained."""
        return self.config.get("kind") == "language"

    @property
    def unit(self) -> str:
        """What experience is measured in."""
        return "tokens" if self.language else "frames"

    @property
    def source(self) -> str:
        """Where the intrinsic reward comes from; of a language model, the method by which it learns."""
        if self.language:
            pairs = at(self.config, "preferences", "into") == "policy"
            return str(at(self.config, "preferences", "policy", "loss") if pairs else self.config.get("method"))
        return str(at(self.config, "reward", "source") or NOT_KNOWN)

    @property
    def judged(self) -> bool:
        """Whether a judge had anything to say; where the config is lost, whether it said anything."""
        if self.source == NOT_KNOWN:
            return bool(self.latest("judge/asked"))
        return self.source in ("retrieval", "classification", "ranking")

    def latest(self, key: str) -> float | None:
        """The last value of a metric."""
        return next((row[key] for row in reversed(self.rows) if key in row), None)


def read_records(directory: RunDirectory) -> Records:
    """Read the small files of a run; what is not there, or not readable, is named and left out."""
    missing: list[str] = []

    def read(path: Path, parse: Callable[[str], Any], lacking: str) -> dict[str, Any]:
        try:
            value = parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            value = None
        except (OSError, ValueError, yaml.YAMLError) as error:
            missing.append(f"{path.name} cannot be read: {str(error).splitlines()[0]}")
            return {}
        if isinstance(value, dict):
            return value
        if lacking:
            missing.append(f"{path.name}: {lacking}")
        return {}

    def lines(path: Path) -> list[dict[str, Any]]:
        try:
            return [line for line in directory.lines(path) if isinstance(line, dict)]
        except (OSError, ValueError) as error:
            missing.append(f"{path.name} cannot be read: {error}")
            return []

    try:
        metrics, every = thinned_lines(directory.metrics)
    except (OSError, ValueError) as error:
        missing.append(f"{directory.metrics.name} cannot be read: {error}")
        metrics, every = [], 1
    rows: list[dict[str, float]] = []
    for line in metrics:
        row = {k: float(v) for k, v in line.items() if isinstance(v, (int, float)) and math.isfinite(v)}
        if "learnt_frames" not in row:
            continue
        while rows and rows[-1]["learnt_frames"] > row["learnt_frames"]:
            rows.pop()  # a resumed run went back to its checkpoint and did this part again
        rows.append(row)
    if not rows:
        missing.append("metrics.jsonl: no line yet; the run ended before its first report, or has just begun")
    evaluation = directory.root / "evaluation.json"
    return Records(
        directory,
        read(directory.config, yaml.safe_load, "not there; task and settings are not known"),
        rows,
        lines(directory.events),
        read(directory.ledger, json.loads, "not there; it is written at the first checkpoint and at the end"),
        read(evaluation, json.loads, ""),
        missing,
        every,
    )


def thinned_lines(path: Path, most: int = MOST_LINES) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects of a file of lines, each `every`-th of them where there are more than `most`, and `every`.

    The last line is always among them. Lines that are cut short or no objects are left out; without a file, none.

    Raises:
        OSError, ValueError: it cannot be read, or is no text.
    """
    if not path.is_file():
        return [], 1
    with path.open("rb") as file:
        count = sum(1 for _ in file)
        every = -(-count // most) or 1
        file.seek(0)
        chosen = [line for place, line in enumerate(file) if (count - 1 - place) % every == 0 or place > count - 3]
    found = []
    for line in chosen:
        try:
            value = json.loads(line.decode("utf-8"))
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict):
            found.append(value)
    return found, every


# Numbers and facts -------------------------------------------------------------------------------------------------


def at(tree: Any, *path: str) -> Any:
    """What is at a path in nested mappings, or None."""
    for key in path:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def number_at(tree: Any, *path: str) -> float | None:
    """The number at a path in nested mappings, or None."""
    found = at(tree, *path)
    return found if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def branch(tree: Any, *path: str) -> Mapping[str, Any]:
    """The mapping at a path in nested mappings; empty where there is none."""
    found = at(tree, *path)
    return found if isinstance(found, Mapping) else {}


def count_text(value: float | None) -> str:
    """A whole number."""
    return NOT_KNOWN if value is None else f"{value:,.0f}"


def number_text(value: float | None, unit: str = "") -> str:
    """A number in three digits."""
    if value is None:
        return NOT_KNOWN
    return f"{value:,.0f}{unit}" if abs(value) >= 1000 else f"{value:.3g}{unit}"


def percent_text(value: float | None) -> str:
    """A share as per cent."""
    return NOT_KNOWN if value is None else f"{100 * value:.1f} %"


def clock_text(seconds: float | None) -> str:
    """Seconds as h:mm:ss."""
    if seconds is None:
        return NOT_KNOWN
    whole = max(0, round(seconds))
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def plural(number: float, noun: str) -> str:
    """A count with its noun: 1 row, 2 rows, 3 retries."""
    if number == 1:
        return f"1 {noun}"
    return f"{number:,.0f} {noun[:-1]}ies" if noun.endswith("ry") else f"{number:,.0f} {noun}s"


def speed(run: Records) -> float | None:
    """Frames learnt from a second, over the whole run."""
    frames, seconds = run.latest("learnt_frames"), run.latest("elapsed_s")
    return frames / seconds if frames and seconds else None


def state(run: Records) -> str:
    """How far the run came."""
    counted, known = ("updates", "updates") if run.language else ("frames", "learnt_frames")
    frames, minutes = number_at(run.config, counted), number_at(run.config, "minutes")
    learnt, seconds = run.latest(known) or 0.0, run.latest("elapsed_s") or 0.0
    target, success = number_at(run.config, "target"), run.latest("success_rate")
    stops = [
        event for event in run.events if event.get("role") == "run" and event.get("what") in ("stopped", "resumed")
    ]
    if stops and stops[-1]["what"] == "stopped":
        return f"stopped by {stops[-1].get('cause')}"
    if not frames:
        return NOT_KNOWN
    reached = run.language and target is not None and success is not None and success >= target
    if learnt >= frames or (minutes and seconds >= 60 * minutes) or reached:
        return "finished"
    share = max(learnt / frames, seconds / (60 * minutes) if minutes else 0.0)
    return f"not finished ({100 * share:.0f} %)"


def judge_text(run: Records) -> str:
    """The judge, in a few words."""
    if not run.judged:
        return "none"
    judge = branch(run.config, "judge")
    return " ".join(str(judge[key]) for key in ("kind", "model", "url", "path") if judge.get(key)) or NOT_KNOWN


def balance_text(run: Records) -> str:
    """Whether the ledger balances."""
    balanced = at(run.ledger, "balanced")
    return NOT_KNOWN if balanced is None else "balanced" if balanced else "does not balance"


def deaths_by_role(run: Records) -> dict[str, int]:
    """Deaths by role: of the ledger, or of the events where that is lost."""
    booked = at(run.ledger, "deaths")
    counted = Counter(str(event.get("role")) for event in run.events if event.get("what") == "died")
    return dict(counted) if len(counted) or not isinstance(booked, Mapping) else dict(booked)


def failures_by_status(run: Records) -> dict[str, int]:
    """Questions that ended without a value, by status."""
    return dict(branch(run.ledger, "verdicts", "failures"))


def lag_text(run: Records) -> str:
    """Seconds from asking to verdict."""
    books = branch(run.ledger, "verdicts")
    if not books.get("ok") and not failures_by_status(run):
        return NOT_KNOWN
    return f"{number_text(books.get('lag_median_s'), ' s')} median, {number_text(books.get('lag_p95_s'), ' s')} at 95 %"


def untrained_text(run: Records) -> str:
    """Why the reward model has given no reward yet; empty where it has, or where there is none."""
    if not run.judged or run.latest("reward_model/version") != 0:
        return ""
    needed = number_at(run.config, "reward", run.source, "min_labels")
    of = "" if needed is None else f" of the {needed:,} labels it needs"
    return f"the reward model was not trained: it has {count_text(run.latest('reward_model/labels'))}{of}"


def language_facts(run: Records) -> list[tuple[str, str]]:
    """The same, of a run that trained a language model."""
    books, groups = branch(run.ledger, "verdicts"), branch(run.ledger, "groups")
    failures = ", ".join(f"{n:,} {status}" for status, n in failures_by_status(run).items()) or "none"
    skipped = sum(branch(run.ledger, "skipped_steps").values())
    deaths = ", ".join(f"{role} ×{n}" for role, n in sorted(deaths_by_role(run).items())) or "none"
    lost = at(run.ledger, "lost_rollouts")
    return [
        ("task", str(at(run.config, "task") or NOT_KNOWN)),
        ("method", run.source),
        ("model", str(at(run.config, "model") or NOT_KNOWN)),
        ("seed, runner", f"{at(run.config, 'seed')}, {at(run.config, 'runner')}"),
        ("state", state(run)),
        ("updates", f"{count_text(run.latest('updates'))} of {count_text(number_at(run.config, 'updates'))}"),
        ("tokens", count_text(run.latest("learnt_frames"))),
        ("time", clock_text(run.latest("elapsed_s"))),
        ("tokens/s", count_text(speed(run))),
        ("answers", count_text(run.latest("episodes"))),
        ("reward (last update)", number_text(run.latest("episode_return"))),
        ("pass@1", percent_text(run.latest("success_rate"))),
        ("versions old, at most", count_text(run.latest("learner/staleness_max"))),
        ("groups", ", ".join(f"{count_text(groups.get(k))} {k.replace('_', ' ')}" for k in GROUPS)),
        ("verdicts", f"{count_text(books.get('ok'))} of {count_text(books.get('asked'))}; failures: {failures}"),
        ("skipped steps", count_text(skipped)),
        ("deaths", deaths + (f", {plural(lost, 'group')} lost with them and played again" if lost else "")),
        ("ledger", balance_text(run)),
    ]


def facts(run: Records) -> list[tuple[str, str]]:
    """The head of the report: what was run, and what came of it."""
    if run.language:
        return language_facts(run)
    books = branch(run.ledger, "verdicts")
    deaths = deaths_by_role(run)
    return [
        ("task", str(at(run.config, "task") or NOT_KNOWN)),
        ("reward", run.source),
        ("judge", judge_text(run)),
        ("seed, runner", f"{at(run.config, 'seed')}, {at(run.config, 'runner')}" if run.config else NOT_KNOWN),
        ("state", state(run)),
        ("frames", f"{count_text(run.latest('learnt_frames'))} of {count_text(number_at(run.config, 'frames'))}"),
        ("time", clock_text(run.latest("elapsed_s"))),
        ("frames/s", count_text(speed(run))),
        ("episodes", count_text(run.latest("episodes"))),
        ("episode return (last 100)", number_text(run.latest("episode_return"))),
        ("task success (last 100)", percent_text(run.latest("success_rate"))),
        ("reward model", untrained_text(run) or count_text(run.latest("reward_model/version")) + " versions")
        if run.judged
        else ("reward model", "none"),
        ("annotated share", percent_text(run.latest("annotated_share")) if run.judged else "no judge"),
        (
            "verdicts",
            f"{count_text(books.get('ok'))} of {plural(books.get('asked', 0), 'question')}"
            if run.judged and books
            else NOT_KNOWN,
        ),
        ("label lag", lag_text(run)),
        ("deaths", ", ".join(f"{role} ×{n}" for role, n in sorted(deaths.items())) or "none"),
        ("ledger", balance_text(run)),
    ]


def judge_lines(ledger: Mapping[str, Any]) -> list[str]:
    """How long batches waited for verdicts, who gave them if there are several judges, and how those did on canaries.

    Args:
        ledger: of a run.
    """
    lines = []
    if waited_s := number_at(ledger, "verdict_waits", "seconds"):
        over = count_text(number_at(ledger, "verdict_waits", "went_on_without"))
        lines.append(f"batches waited {number_text(waited_s)} s for verdicts in sum; {over} went on without all")
    values, second = branch(ledger, "verdicts", "judges"), ledger.get("fallback_judges", [])
    if second:
        told = (f"{judge}{' (fallback)' if judge in second else ''} {count_text(n)}" for judge, n in values.items())
        lines.append("values by judge: " + ", ".join(told))
    lines += [f"canaries of {canary_line(judge, told)}" for judge, told in branch(ledger, "canaries").items()]
    lines += [f"in quarantine, not believed: {judge}" for judge in ledger.get("quarantined", [])]
    return lines


def canary_line(judge: str, told: Mapping[str, Any]) -> str:
    """One judge's canaries, as `CanaryWatch.report` tells them."""
    sides = []
    for side, does in (("accept", "rejected"), ("reject", "accepted")):
        tally = branch(told, side)
        judged = tally.get("right", 0) + tally.get("wrong", 0)
        interval = f" [{percent_text(tally.get('error_low'))}, {percent_text(tally.get('error_high'))}]"
        sides.append(f"{does} {tally.get('wrong', 0)} of {count_text(judged)} to {side}{interval if judged else ''}")
    return f"{judge}: {told.get('standing', 'not known')}, wrongly " + ", ".join(sides)


def most_common(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The largest counts, ties by name."""
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
