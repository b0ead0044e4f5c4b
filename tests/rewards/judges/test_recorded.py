import asyncio

import pyarrow as pa
import pytest

from rewards.judges.judge import Question
from rewards.judges.recorded import RecordedJudge
from rewards.verdicts import Status, Verdict, to_arrow


def verdict(subject, value, status=Status.OK):
    return Verdict(subject, "caption", "helpful", "v1", value, status, "judge")


def write(path, *verdicts, stream=True):
    batch = to_arrow(verdicts)
    open_it = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(path), "wb") as sink, open_it(sink, batch.schema) as writer:
        writer.write_batch(batch)


def ask(judge, *subjects):
    return asyncio.run(judge.judge([Question(s, "caption", ("text",)) for s in subjects]))


@pytest.mark.parametrize("stream", [True, False])
def test_recorded_values_come_back_and_unknown_subjects_are_null(tmp_path, stream):
    write(tmp_path / "v.arrow", verdict("a", 1.0), verdict("b", 0.25), stream=stream)
    answers = ask(RecordedJudge(tmp_path / "v.arrow"), "b", "new", "a")
    assert [a.value for a in answers] == [0.25, None, 1.0]
    assert answers[1].status is Status.UNPARSEABLE and "not recorded" in answers[1].cause


def test_a_recorded_failure_is_null_unless_a_later_attempt_had_a_value(tmp_path):
    write(tmp_path / "v.arrow", verdict("a", None, Status.TIMEOUT), verdict("b", None, Status.TIMEOUT))
    write(tmp_path / "w.arrows", verdict("a", 1.0))
    assert [a.value for a in ask(RecordedJudge(tmp_path), "a", "b")] == [1.0, None]


def test_a_run_directory_is_read_at_its_verdicts(tmp_path):
    (tmp_path / "verdicts").mkdir()
    write(tmp_path / "verdicts" / "000000.arrows", verdict("a", 1.0))
    (tmp_path / "experience.arrow").write_bytes(b"other things")
    judge = RecordedJudge(tmp_path)
    assert len(judge) == 1 and judge.kinds == {"caption"}


def test_a_segment_that_a_crash_cut_short_counts_up_to_its_last_whole_batch(tmp_path):
    path = tmp_path / "000000.arrows"
    one, two = to_arrow([verdict("a", 1.0)]), to_arrow([verdict("b", 1.0)])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, one.schema) as writer:
        writer.write_batch(one)
        writer.write_batch(two)
    path.write_bytes(path.read_bytes()[:-200])
    (tmp_path / "000001.arrows").touch()
    assert [a.value for a in ask(RecordedJudge(tmp_path), "a", "b")] == [1.0, None]


def test_the_fingerprint_is_of_the_values_and_not_of_their_files(tmp_path):
    write(tmp_path / "a.arrow", verdict("a", 1.0), verdict("b", 0.0))
    write(tmp_path / "b.arrow", verdict("b", 0.0), verdict("a", 1.0), stream=False)
    write(tmp_path / "c.arrow", verdict("b", 0.0), verdict("a", 0.0))
    same, other, changed = (RecordedJudge(tmp_path / f"{n}.arrow").fingerprint for n in "abc")
    assert same == other != changed


def test_a_path_without_verdicts_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "missing.arrow"):
        with pytest.raises(FileNotFoundError, match="finished run"):
            RecordedJudge(path)


def test_a_file_of_other_things_is_refused(tmp_path):
    (tmp_path / "x.arrow").write_bytes(b"not arrow at all, but long enough to be read")
    with pytest.raises(ValueError, match="no verdicts that can be read"):
        RecordedJudge(tmp_path / "x.arrow")
    table = pa.record_batch({"x": [1]})
    with pa.OSFile(str(tmp_path / "x.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_batch(table)
    with pytest.raises(ValueError, match="no verdicts that can be read"):
        RecordedJudge(tmp_path / "x.arrow")
