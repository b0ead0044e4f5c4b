"""The accounts of a run: ledger, failures by cause, deaths and other events."""

from __future__ import annotations

import time

from pipelines.reports.markup import table, text
from pipelines.stored.records import (
    NOT_KNOWN,
    Records,
    at,
    branch,
    clock_text,
    count_text,
    failures_by_status,
    judge_lines,
    lag_text,
    most_common,
    number_text,
    plural,
)

MAX_EVENTS = 200


def ledger(run: Records) -> str:
    """What became of experience and of questions."""
    experience, books = branch(run.ledger, "experience"), branch(run.ledger, "verdicts")
    parts = []
    if experience:
        outcomes = [("learnt from", experience.get("sampled")), ("waiting", experience.get("live"))]
        outcomes += [(f"dropped: {why}", count) for why, count in branch(experience, "dropped").items()]
        rows = [("gathered", experience.get("accepted")), *outcomes]
        shown = table(
            ("experience", "groups" if run.language else "fragments", "rows", run.unit),
            [
                (label, *(count_text(at(count, unit)) for unit in ("fragments", "rows", "frames")))
                for label, count in rows
            ],
            numbers=(1, 2, 3),
        )
        beside = (
            f"Not accepted: {plural(experience.get('duplicates', 0), 'duplicate')}, "
            f"{count_text(experience.get('fenced'))} from replaced actors. "
            f"{plural(at(run.ledger, 'lost_rollouts') or 0, 'rollout')} lost with their actor."
        )
        parts.append(f"<div>{shown}<p>{text(beside)}</p>{badge(experience.get('balanced'))}</div>")
    if books and run.judged:
        rows = [("asked", books.get("asked")), ("ok", books.get("ok"))]
        rows += [(f"NULL: {status}", n) for status, n in branch(books, "failures").items()]
        rows += [
            (name, books.get(key))
            for name, key in (
                ("shed", "shed"),
                ("pending", "pending"),
                ("with the judge", "in_flight"),
                ("dropped", "dropped"),
            )
        ]
        shown = table(("questions", ""), [(label, count_text(n)) for label, n in rows], numbers=(1,))
        beside = (
            f"{plural(books.get('batches', 0), 'request')}, {plural(books.get('retries', 0), 'retry')}, "
            f"{plural(books.get('duplicates', 0), 'question')} not asked twice, "
            f"{plural(books.get('tokens', 0), 'token')}. "
            f"Label lag: {lag_text(run)}."
        )
        told = "".join(f"<p>{text(line)}</p>" for line in judge_lines(run.ledger))
        parts.append(f"<div>{shown}<p>{text(beside)}</p>{told}{badge(books.get('balanced'))}</div>")
    if not parts:
        return '<p class="none">There is no ledger yet.</p>'
    return f'<div class="pair">{"".join(parts)}</div>'


def badge(balanced: object) -> str:
    """Whether accounts balance."""
    word, kind = ("yes", "good") if balanced is True else ("no", "bad") if balanced is False else ("not known", "none")
    return f'<p><span class="badge {kind}">balanced: {word}</span></p>'


def failures(run: Records) -> str:
    """Tries that failed, by status and cause."""
    if not run.judged:
        return ""
    causes = branch(run.ledger, "verdicts", "causes")
    rows = []
    for cause, tries in most_common(causes, 50):
        status, _, why = cause.partition(": ")
        rows.append((status, why, count_text(tries)))
    final = failures_by_status(run)
    ended = ", ".join(f"{n} {status}" for status, n in final.items()) or "none"
    note = f"Tries that failed, those that were retried included. Questions that ended without a value: {ended}."
    return table(("status", "cause", "tries"), rows, numbers=(2,), note=note if rows or final else "No try failed.")


def events(run: Records) -> str:
    """Deaths, recoveries and what else happened, newest last."""
    begin = next((row["time"] - row.get("elapsed_s", 0.0) for row in run.rows if "time" in row), None)
    died, recovered = (sum(event.get("what") == what for event in run.events) for what in ("died", "recovered"))
    rows = []
    for event in run.events[-MAX_EVENTS:]:
        at, seconds = event.get("time_s"), event.get("recovered_s")
        stamp = after = NOT_KNOWN
        if isinstance(at, (int, float)):
            stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))
            after = NOT_KNOWN if begin is None else clock_text(at - begin)
        rows.append(
            (
                stamp,
                after,
                event.get("role", NOT_KNOWN),
                event.get("what", NOT_KNOWN),
                number_text(seconds) if isinstance(seconds, (int, float)) else "",
                event.get("cause", ""),
            )
        )
    note = f"{plural(died, 'death')}, {plural(recovered, 'recovery').replace('recoverys', 'recoveries')}."
    if len(run.events) > MAX_EVENTS:
        note += f" The latest {MAX_EVENTS} of {len(run.events)} events are shown; all are in events.jsonl."
    return table(
        ("time (UTC)", "since the start", "who", "what", "back after (s)", "cause"),
        rows,
        numbers=(4,),
        note=note if run.events else "Nothing happened: no process died.",
    )
