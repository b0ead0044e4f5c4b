"""Records from JSONL and Parquet files, and the splits that they are in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from envs.language.splits import side_of
from envs.language.task import Prompt, Split

Record = dict[str, Any]

SUFFIXES = (".jsonl", ".parquet")


def read_records(path: str | Path) -> list[Record]:
    """The records of a file.

    Raises:
        ValueError: there is no such file, it is of another kind, it is empty, or a line of it is no JSON object.
    """
    path = Path(path)
    if path.suffix not in SUFFIXES or not path.is_file():
        raise ValueError(f"got the data file {str(path)!r}; expected an existing file that ends in .jsonl or .parquet")
    if path.suffix == ".parquet":
        records: list[Record] = pq.read_table(path).to_pylist()
    else:
        # Not by `splitlines`, for which a line also ends where a text in it has U+2028 or U+0085.
        lines = path.read_text(encoding="utf-8").split("\n")
        records = [_record(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not records:
        raise ValueError(f"{path}: got no records; expected at least one")
    return records


def write_jsonl(path: str | Path, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records, one JSON object a line."""
    text = "".join(json.dumps(dict(record), ensure_ascii=False, allow_nan=False) + "\n" for record in records)
    Path(path).write_text(text, encoding="utf-8")


def column(record: Record, name: str, where: str) -> Any:
    """What a record has under a name; dots lead inside, as in `answer.value`.

    Raises:
        ValueError: it has nothing of that name, or NULL; says what there is.
    """
    found: Any = record
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None:
        raise ValueError(f"{where}: got nothing in column {name!r}; expected a value; there is {', '.join(record)}")
    return found


def belongs(prompts: Sequence[tuple[Prompt, str | None]], split: Split, test_share: float) -> list[Prompt]:
    """The prompts of a split: those that say so, and those that say nothing by the hash of their ids.

    Args:
        prompts: each with the split that its record names, if it does.
        split: which.
        test_share: of those that say nothing.

    Raises:
        ValueError: there are none.
    """
    found = [prompt for prompt, said in prompts if (said or side_of(prompt.id, test_share)) == split]
    if not found:
        raise ValueError(
            f"got no prompts for {split}ing among {len(prompts)} records; expected at least one: add records, or "
            "change test_share"
        )
    return found


def _record(path: Path, number: int, line: str) -> Record:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}; expected a JSON object a line") from None
    if not isinstance(record, dict):
        raise ValueError(f"{path}, line {number}: got {type(record).__name__}; expected a JSON object a line")
    if "\\ud" in line.lower():  # an emoji that was cut in two: no tokenizer reads it, and no record holds it
        try:
            json.dumps(record, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            half = error.object[max(0, error.start - 20) : error.start + 1]
            raise ValueError(
                f"{path}, line {number}: got half of a surrogate pair, at the end of {half!r}; expected whole "
                "characters: take it out"
            ) from None
    return record
