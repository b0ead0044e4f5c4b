"""Lists that only grow: each row is packed once, and all of them come back, also from a checkpoint."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import checkpoint
from pipelines.growing import Growing, Packed, pairs
from rewards.annotation.state import packed_verdict
from rewards.verdicts import Status, Verdict, to_arrow


def verdict(number: int) -> Verdict:
    ok = number % 2 == 0
    return Verdict(
        subject=str(number),
        subject_kind="caption",
        component="judge",
        reward_version="v1",
        value=number / 8 if ok else None,
        status=Status.OK if ok else Status.TIMEOUT,
        judge_fingerprint="rules",
        cause="" if ok else "no answer",
        text=f"caption {number} ☃",
        scores=(0.5, None) if ok else (),
    )


@given(st.lists(st.lists(st.tuples(st.integers(-(2**63), 2**63 - 1), st.text()), max_size=4), max_size=6))
def test_pairs_come_back_however_they_came(pieces):
    growing, rows = Growing(pairs), []
    for piece in pieces:
        rows += [(key, text.encode(errors="replace").decode()) for key, text in piece]
        assert growing.packed(rows).rows() == [list(row) for row in rows]


def test_verdicts_come_back_from_a_checkpoint_as_a_ledger_saves_them(tmp_path):
    growing, known = Growing(to_arrow), {}
    for number in range(5):
        known[str(number)] = verdict(number)
        checkpoint.save(tmp_path, number, {"verdicts": growing.packed(known.values())})
    assert checkpoint.load(tmp_path)[1]["verdicts"] == [packed_verdict(one) for one in known.values()]


def test_what_was_packed_is_not_packed_again():
    asked = []

    def pack(rows):
        asked.append(list(rows))
        return pairs(rows)

    growing, rows = Growing(pack), [(1, "a"), (2, "b")]
    first = growing.packed(rows)
    rows.append((3, "c"))
    second, third = growing.packed(rows), growing.packed(rows)
    assert asked == [[(1, "a"), (2, "b")], [(3, "c")]]
    assert second == third and second.blob.startswith(first.blob) and first.rows() == [[1, "a"], [2, "b"]]


def test_a_list_that_has_become_shorter_is_another_list():
    growing = Growing(pairs)
    growing.packed([(1, "a"), (2, "b")])
    with pytest.raises(ValueError, match="got 1 rows; expected the 2 that are packed"):
        growing.packed([(1, "a")])


def test_books_that_have_been_saved_pack_what_they_are_given_to_go_on_from(small, books, tmp_path):
    experiment = small({"reward.source": "classification"})
    one, other = (books(experiment, tmp_path / name).verdicts for name in ("one", "other"))
    one.caption_log += [(1, "a key"), (2, "a door")]
    other.caption_log += [(3, "a wall"), (4, "a lamp"), (5, "a rock")]
    saved = other.state_dict()
    one.state_dict()
    one.load_state_dict(saved)
    assert one.state_dict()["captions"].rows() == [[3, "a wall"], [4, "a lamp"], [5, "a rock"]]


def test_nothing_is_nothing_and_extension_types_are_refused():
    assert Growing(pairs).packed([]).rows() == []
    sink = pa.BufferOutputStream()
    strange = pa.record_batch([pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16], pa.binary(16)))], ["id"])
    with pa.ipc.new_stream(sink, strange.schema) as stream:
        stream.write_batch(strange)
    with pytest.raises(ValueError, match="extension"):
        Packed(sink.getvalue().to_pybytes()).rows()
