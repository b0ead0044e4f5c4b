"""What judges cost: verdicts, tokens, money and seconds, by judge, counted in columns."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.reports.data import RunData
from pipelines.reports.markup import table
from pipelines.stored.records import NOT_KNOWN, count_text, number_text, percent_text
from pipelines.stored.stored_experience import one_line
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status

SHOWN = 20
LATENCIES = 100_000  # at most so many of a judge are ranked


def costs(run: RunData) -> str:
    """A line for each judge of a run; empty where nobody was asked.

    Tokens and money are those of the newest verdict on each question: what was asked again since is in the ledger.
    """
    path = run.directory.verdicts
    if not (path / "store.json").is_file():
        return ""
    statuses: dict[str, Counter[str]] = defaultdict(Counter)
    sums: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(3))
    latencies: dict[str, list[np.ndarray]] = defaultdict(list)
    try:
        with VerdictStore(path, read_only=True) as store:
            for batch in store.batches():
                _count(batch, statuses, sums, latencies)
    except (OSError, ValueError, pa.ArrowException) as error:
        return table((), (), note=f"The verdicts cannot be read: {one_line(error)}")
    rows = []
    for name in sorted(statuses, key=lambda one: -statuses[one].total())[:SHOWN]:
        total, ok = statuses[name].total(), statuses[name][Status.OK.value]
        tokens, money, again = sums[name]
        seconds = np.concatenate(latencies[name])[:LATENCIES]
        median, late = np.quantile(seconds, (0.5, 0.95)) if len(seconds) else (None, None)
        rows.append(
            (
                name or NOT_KNOWN,
                count_text(total),
                percent_text((total - ok) / total),
                count_text(tokens),
                number_text(tokens / total),
                number_text(money),
                f"{number_text(median, ' s')}, {number_text(late, ' s')}",
                count_text(again),
            )
        )
    frames = run.records.latest("learnt_frames")
    tokens = sum(one[0] for one in sums.values())
    note = (
        f"{number_text(1000 * tokens / frames)} judge tokens for 1,000 {run.records.unit} learnt from. "
        if frames
        else ""
    )
    note += "Money is in the currency of `prices`; 0 where the judge is local."
    head = ("judge", "verdicts", "NULL", "tokens", "tokens each", "money", "latency median, 95 %", "asked again")
    return table(head, rows, numbers=(1, 2, 3, 4, 5, 6, 7), note=note, label="Cost by judge")


def _count(
    batch: pa.RecordBatch,
    statuses: dict[str, Counter[str]],
    sums: dict[str, np.ndarray],
    latencies: dict[str, list[np.ndarray]],
) -> None:
    """Add one batch of verdicts to the books."""
    judges = pc.dictionary_encode(batch.column("judge_fingerprint"))
    for place, name in enumerate(judges.dictionary.to_pylist()):
        mine = batch.filter(pc.equal(judges.indices, place))
        for one in pc.value_counts(mine.column("status")).to_pylist():
            statuses[name][one["values"]] += one["counts"]
        again = pc.sum(pc.greater(mine.column("attempt"), 1).cast(pa.int64())).as_py() or 0
        paid = [pc.sum(mine.column(column)).as_py() or 0 for column in ("tokens", "cost")]
        sums[name] += np.array([*paid, again], np.float64)
        latencies[name].append(mine.column("latency_s").to_numpy()[:LATENCIES])
