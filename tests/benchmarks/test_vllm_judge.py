import pytest

from benchmarks.vllm_judge import CLOSE, Round, compare, report
from pipelines.results import read_result
from rewards.judges.judge import Answer
from rewards.verdicts import Status

NULL = Answer(Status.TIMEOUT, cause="slow")


def ok(value):
    return Answer(Status.OK, value)


def test_gaps_are_between_values_and_a_null_is_counted_not_compared():
    assert compare([ok(0.5), NULL, ok(1.0)], [ok(0.25), ok(0.0), ok(1.0)]) == (0.25, 1)
    with pytest.raises(ValueError, match="none of 1 questions"):
        compare([NULL], [ok(1.0)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gap", "nulls", "forms", "holds"),
    [(CLOSE / 2, 0, 1.0, True), (2 * CLOSE, 0, 1.0, False), (0.0, 1, 1.0, False), (0.0, 0, 0.9, False)],
)
def test_the_claim_holds_only_where_all_verdicts_are_there_and_the_same(tmp_path, gap, nulls, forms, holds):
    rounds = [Round(200.0, 100.0, 0.0, 0, 1.0), Round(300.0, 100.0, gap, nulls, forms)]
    assert report(rounds, tmp_path).holds is holds
    kept = read_result(tmp_path / "vllm-judge.json")
    assert kept.figures["vLLM over transformers"].value == 2.5 and len(kept.rows) == 2
