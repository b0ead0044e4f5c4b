"""Problems in files: JSONL or Parquet as RewardBench has them, read line by line and written back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import UserError
from pipelines.stored.stored_experience import one_line
from rewards.evaluation.problems import Problem

COLUMNS = ("prompt", "chosen", "rejected")


def read_problems(path: Path, most: int) -> list[Problem]:
    """The first problems of a file.

    Columns: `prompt`, `chosen` and `rejected` (each a text or a list of texts); and where they are there `answer`,
    `subset`, and `reworded` (a list: prompt, chosen, rejected in other words).

    Raises:
        UserError: it cannot be read, or a line lacks a column; names the line.
    """
    try:
        rows = list(islice(_parquet(path) if path.suffix == ".parquet" else _lines(path), most))
    except (OSError, ValueError, RecursionError, pa.ArrowException) as error:
        raise UserError(f"data: {path} cannot be read: {one_line(error)}; expected JSONL or Parquet") from None
    if not rows:
        raise UserError(f"data: {path} is empty; expected lines with {', '.join(COLUMNS)}")
    return [_problem(path, number, row) for number, row in rows]


def write_problems(problems: Sequence[Problem], path: Path) -> None:
    """Write problems as JSONL that `read_problems` reads.

    Raises:
        UserError: it cannot be written.
    """
    rows = [
        {
            "prompt": one.prompt,
            "chosen": list(one.chosen) if len(one.chosen) > 1 else one.chosen[0],
            "rejected": list(one.rejected),
            "answer": one.answer,
            "subset": one.subset,
            "reworded": list(one.reworded),
        }
        for one in problems
    ]
    try:
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    except OSError as error:
        raise UserError(f"write: {path} cannot be written: {one_line(error)}") from None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, json.loads(line)


def _parquet(path: Path) -> Iterator[tuple[int, Any]]:
    """Batch by batch: a file may be far larger than what is read of it."""
    number = 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=256):
            for row in batch.to_pylist():
                number += 1
                yield number, row


def _problem(path: Path, number: int, row: Any) -> Problem:
    there = row if isinstance(row, dict) else {}
    chosen, rejected = (_texts(there.get(name)) for name in ("chosen", "rejected"))
    prompt, reworded = there.get("prompt"), _texts(there.get("reworded") or [])
    if not isinstance(prompt, str) or not chosen or not rejected or reworded is None:
        raise UserError(
            f"data: {path}, line {number}: got {', '.join(sorted(map(str, there))) or type(row).__name__}; expected "
            f"texts {', '.join(COLUMNS)} (chosen, rejected: one or a list)"
        )
    answer, subset = there.get("answer"), there.get("subset")  # 0 is an answer
    try:
        return Problem(
            prompt,
            chosen,
            rejected,
            "" if answer is None else str(answer),
            "" if subset is None else str(subset),
            reworded,
        )
    except ValueError as error:
        raise UserError(f"data: {path}, line {number}: {error}") from None


def _texts(value: Any) -> tuple[str, ...] | None:
    """A text or a list of them; None for anything else."""
    texts = value if isinstance(value, list) else [value]
    return tuple(texts) if all(isinstance(text, str) for text in texts) else None
