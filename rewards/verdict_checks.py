"""What verdicts must be before they are stored."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from rewards.verdicts import SCHEMA, Status, status_texts

NAMED = 3  # subjects named in a message

Known = Callable[[str, pa.Array], pa.Array]
"""For a subject kind and subjects `[N]`, which of them exist `[N]`."""


class VerdictRefused(ValueError):
    """Verdicts that break the contract; the message names the first one, and the store is as it was."""


def check_verdicts(verdicts: pa.RecordBatch, known: Known | None = None) -> None:
    """Refuse malformed verdicts.

    Args:
        verdicts: N rows of `rewards.verdicts.SCHEMA`, of one kind, component and reward version.
        known: see `VerdictStore`.

    Raises:
        VerdictRefused: names the first one and what is wrong with it.
    """
    if not isinstance(verdicts, pa.RecordBatch) or not verdicts.schema.equals(SCHEMA):
        got = verdicts.schema if isinstance(verdicts, pa.RecordBatch) else type(verdicts).__name__
        raise VerdictRefused(f"got verdicts of schema\n{got}\nexpected\n{SCHEMA}")
    if verdicts.num_rows == 0:
        return
    subjects = verdicts.column("subject")

    def refuse(bad: pa.Array, problem: str) -> None:
        if (count := pc.sum(bad).as_py()) and count > 0:
            names = ", ".join(map(repr, subjects.filter(bad)[:NAMED].to_pylist()))
            raise VerdictRefused(f"{count} of {len(subjects)} verdicts, such as on {names}: {problem}")

    for field in SCHEMA:
        if not field.nullable and verdicts.column(field.name).null_count:
            refuse(pc.is_null(verdicts.column(field.name)), f"{field.name} is NULL; only a value may be")
    for name in ("subject_kind", "component", "reward_version"):
        texts = verdicts.column(name).unique().to_pylist()
        if len(texts) > 1 or not texts[0]:
            raise VerdictRefused(f"got verdicts of {name} {texts[:NAMED]}; expected one name: put them one at a time")
    refuse(pc.equal(pc.binary_length(subjects), 0), "the subject has no name")
    statuses, values = verdicts.column("status"), verdicts.column("value")
    known_texts = status_texts()
    refuse(pc.invert(pc.is_in(statuses, value_set=known_texts)), f"unknown status; expected {known_texts.to_pylist()}")
    refuse(pc.equal(statuses, Status.PENDING.value), "pending is no verdict; expected a final status")
    ok = pc.equal(statuses, Status.OK.value)
    refuse(pc.not_equal(ok, pc.is_valid(values)), "a value must be there exactly when the status is ok")
    refuse(pc.invert(pc.is_finite(values)).fill_null(False), "got NaN or infinity; expected a finite value")
    for name in ("latency_s", "cost"):
        refuse(pc.invert(pc.is_finite(verdicts.column(name))), f"{name} is not finite")
    scores = verdicts.column("scores").flatten()
    if not pc.all(pc.is_finite(scores).fill_null(True)).as_py() and len(scores):
        raise VerdictRefused("got scores of NaN or infinity; expected finite numbers or NULL")
    if len(subjects.unique()) < len(subjects):
        raise VerdictRefused("a subject comes twice; expected each once in a put")
    if known is not None:
        kind = verdicts.column("subject_kind")[0].as_py()
        refuse(pc.invert(known(kind, subjects)), f"no such {kind} is stored: judge what there is")
