"""The record log: readable while it is written, and after it was cut short anywhere."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipelines.record_log import RecordLog, read_log, segments


def batch(first, rows=2):
    numbers = list(range(first, first + rows))
    return pa.record_batch({"n": pa.array(numbers, pa.int8())})


def numbers(directory):
    return [n for b in read_log(directory) for n in b.column("n").to_pylist()]


def test_what_was_appended_is_read_at_once_in_order(tmp_path):
    log = RecordLog(tmp_path)
    for k in range(3):
        log.append(batch(2 * k))
        assert numbers(tmp_path) == list(range(2 * k + 2))
    log.close()
    assert list(read_log(tmp_path)) == [batch(0), batch(2), batch(4)]


def test_a_log_cut_short_anywhere_gives_its_whole_batches(tmp_path):
    log, ends = RecordLog(tmp_path), []
    for k in range(3):
        log.append(batch(2 * k))
        ends.append(segments(tmp_path)[0].stat().st_size)
    log.close()
    path = segments(tmp_path)[0]
    whole = path.read_bytes()
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        complete = sum(end >= at for at in ends)
        # The last bytes of a batch are padding: without them it may be read already, but never another's rows.
        assert numbers(tmp_path) in (list(range(2 * complete)), list(range(2 * complete + 2)))


def test_rubbish_behind_whole_batches_does_no_harm(tmp_path):
    log = RecordLog(tmp_path)
    log.append(batch(0))
    path = segments(tmp_path)[0]
    with path.open("ab") as file:
        file.write(b"\xff\xff\xff\xff" + b"rubbish" * 9)
    assert numbers(tmp_path) == [0, 1]


def test_reopening_begins_a_segment_of_its_own(tmp_path):
    for k in range(3):
        log = RecordLog(tmp_path)
        log.append(batch(2 * k))
        if k != 1:  # the second one is left as a killed process leaves it
            log.close()
    assert [p.name for p in segments(tmp_path)] == ["000000.arrows", "000001.arrows", "000002.arrows"]
    assert numbers(tmp_path) == [0, 1, 2, 3, 4, 5]


def test_the_oldest_segments_go_where_a_bound_is_set(tmp_path):
    log = RecordLog(tmp_path, segment_bytes=1, keep_bytes=3 * segment_size(tmp_path / "one"))
    for k in range(6):
        log.append(batch(2 * k))
    assert numbers(tmp_path) == [6, 7, 8, 9, 10, 11]


def segment_size(directory):
    log = RecordLog(directory, segment_bytes=1)
    log.append(batch(2))
    return segments(directory)[0].stat().st_size


def test_the_newest_segment_stays_even_if_it_is_too_large(tmp_path):
    log = RecordLog(tmp_path, segment_bytes=1, keep_bytes=0)
    for k in range(2):
        log.append(batch(2 * k))
    assert numbers(tmp_path) == [2, 3]


def test_nothing_goes_where_no_bound_is_set(tmp_path):
    log = RecordLog(tmp_path, segment_bytes=1)
    for k in range(20):
        log.append(batch(2 * k))
    assert numbers(tmp_path) == list(range(40))


def test_a_batch_without_rows_leaves_no_trace(tmp_path):
    log = RecordLog(tmp_path / "log")
    log.append(batch(0, rows=0))
    log.close()
    assert segments(tmp_path / "log") == [] and numbers(tmp_path / "log") == []


def test_other_files_are_passed_over(tmp_path):
    (tmp_path / "notes.arrows").write_text("x")
    (tmp_path / "000009.txt").write_text("x")
    (tmp_path / "000003.arrows").touch()
    assert numbers(tmp_path) == []
    log = RecordLog(tmp_path)
    log.append(batch(0))
    log.close()
    assert segments(tmp_path)[-1].name == "000004.arrows"


def test_batches_outlive_the_reader(tmp_path):
    log = RecordLog(tmp_path)
    log.append(batch(0))
    log.close()
    (found,) = list(read_log(tmp_path))
    segments(tmp_path)[0].unlink()
    assert found == batch(0)


def test_a_log_that_does_not_exist_is_empty(tmp_path):
    assert list(read_log(tmp_path / "nowhere")) == []


def test_a_full_disk_raises_and_keeps_what_was_written(tmp_path, monkeypatch):
    log = RecordLog(tmp_path)
    log.append(batch(0))
    with pytest.raises((OSError, pa.ArrowInvalid)):
        log._sink.close()
        log.append(batch(2))
    assert numbers(tmp_path) == [0, 1]
