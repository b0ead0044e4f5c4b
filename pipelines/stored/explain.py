"""`guerdon explain`: of every step of one stored row, which component and which part of the view paid what.

The terms sum to the reward exactly. They are computed by the view and the reward model of the newest checkpoint, which
may know more than the learner did when it drew the row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from envs.trajectory import unragged
from pipelines.errors import UserError
from pipelines.reward_stage import layout_of
from pipelines.run_directory import RunDirectory
from pipelines.stored.evidence import gather, printable
from pipelines.stored.stored_experience import one_line, stored_rows
from rewards.views.view import REWARD

NAMED = 6  # rows named where one is not found


def explain_row(directory: RunDirectory, row: str) -> Iterator[str]:
    """One row as a table: a line for each step, a column for each term, and the sum.

    Args:
        directory: the run.
        row: its id or the beginning of it, its number, counted from 0 in the order of storing, or `last`.

    Raises:
        UserError: there is no such row, or no checkpoint to compute rewards with.
    """
    piece = find_row(directory, row)
    evidence = gather(directory)
    for text in evidence.missing:
        yield printable(f"missing: {text}")
    if evidence.stage is None:
        raise UserError(f"{directory.root} has no checkpoint that can be read: what paid a row is not known without")
    view, columns, layout = evidence.stage.view, evidence.stage.columns(piece), layout_of(piece)
    result, terms = view.apply(columns, layout, learn=False), view.attribute(columns, layout)[REWARD]
    first, episode = piece.column("first_step")[0].as_py(), piece.column("episode_id")[0].as_py()
    yield f"row {piece.column('row_id')[0].as_py()}   episode {episode}, from step {first}"
    yield f"{view.formula()}   (as of the checkpoint at {evidence.frames or 0:,} frames)"
    yield view.picture()
    captions = unragged(piece.column("caption_id"))
    texts = [printable(evidence.captions.get(int(ident), "")) if ident else "" for ident in captions]
    yield from table(first, terms, result.reward, result.weight, texts)


def find_row(directory: RunDirectory, row: str) -> pa.RecordBatch:
    """The row, as a batch of one.

    Raises:
        UserError: there is none, or several begin so.
    """
    try:
        batches = list(stored_rows(directory))
    except (OSError, ValueError) as error:
        raise UserError(f"{directory.root}: its experience cannot be read: {one_line(error)}") from None
    total = sum(batch.num_rows for batch in batches)
    ids = pa.chunked_array([batch.column("row_id") for batch in batches], pa.string())
    if row == "last" and total:
        found = [total - 1]
    elif row.isdigit() and int(row) < total:
        found = [int(row)]
    else:
        exact = np.flatnonzero(pc.equal(ids, row).to_numpy())
        found = (exact if len(exact) else np.flatnonzero(pc.starts_with(ids, row).to_numpy())).tolist()
    if len(found) != 1:
        shown = ", ".join(ids.slice(max(0, total - NAMED)).to_pylist())
        raise UserError(
            f"got row {row!r}, which {len(found)} rows of {directory.root} match; expected the id of one of its "
            f"{total:,} rows, the beginning of one, or a number, such as {shown}"
        )
    at = found[0]
    for batch in batches:
        if at < batch.num_rows:
            return batch.slice(at, 1)
        at -= batch.num_rows
    raise AssertionError("a row that was found is in a batch")


def table(
    first: int,
    terms: dict[str, NDArray[np.float64]],
    reward: NDArray[np.float32],
    weight: NDArray[np.float32],
    texts: Sequence[str],
) -> Iterator[str]:
    """Lines of steps, and of their sums; terms that are 0 everywhere are left out."""
    shown = {name: values for name, values in terms.items() if np.any(values)}
    yield "  ".join([f"{'step':>7}", *(f"{name[:12]:>12}" for name in shown), f"{REWARD:>12}", "caption"])
    for t, text in enumerate(texts):
        paid = f"{reward[t]:12.5g}" if weight[t] else f"{'NULL':>12}"
        yield "  ".join(
            [f"{first + t:7}", *(f"{values[t]:12.5g}" for values in shown.values()), paid, text[:70]]
        ).rstrip()
    counts = weight > 0
    sums = [f"{values[counts].sum():12.5g}" for values in shown.values()]
    yield "  ".join([f"{'sum':>7}", *sums, f"{reward[counts].sum(dtype=np.float64):12.5g}"])
