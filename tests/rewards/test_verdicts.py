from __future__ import annotations

import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verdicts import SCHEMA, Status, Verdict, details_json, from_arrow, to_arrow

FAILURES = [status for status in Status if status is not Status.OK]


def verdict(value: float | None, status: Status, subject: str = "7") -> Verdict:
    return Verdict(subject, "caption", "helpful", "v1", value, status, "judge", cause="", text="You see a key.")


@pytest.mark.parametrize("status", FAILURES)
def test_a_failure_has_no_value(status: Status) -> None:
    assert verdict(None, status).value is None
    with pytest.raises(ValueError, match="expected a value exactly when the status is ok"):
        verdict(0.0, status)


def test_an_ok_verdict_has_a_value() -> None:
    with pytest.raises(ValueError, match="expected a value exactly when"):
        verdict(None, Status.OK)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_is_finite(value: float) -> None:
    with pytest.raises(ValueError, match="expected a finite number"):
        verdict(value, Status.OK)


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(lambda value: verdict(value, Status.OK)),
            st.sampled_from(FAILURES).map(lambda status: verdict(None, status)),
        )
    )
)
def test_arrow_keeps_verdicts_and_nulls(verdicts: list[Verdict]) -> None:
    batch = to_arrow(verdicts)
    assert from_arrow([batch]) == verdicts
    assert batch.column("value").null_count == sum(v.value is None for v in verdicts)


def test_arrow_keeps_scores_and_details_and_a_missing_score_stays_missing() -> None:
    told = Verdict(
        "7", "group", "good", "v1", 0.5, Status.OK, "judge", scores=(0.0, None, 1.0), details=details_json({"ties": 1})
    )
    (found,) = from_arrow([to_arrow([told])])
    assert found == told and found.scores == (0.0, None, 1.0) and found.details == '{"ties": 1}'
    assert details_json({}) == ""


def test_verdicts_of_the_first_version_can_be_read() -> None:
    old = to_arrow([verdict(1.0, Status.OK)]).drop_columns(["scores", "details"])
    assert from_arrow([old]) == [verdict(1.0, Status.OK)]


def test_scores_are_finite_or_missing() -> None:
    with pytest.raises(ValueError, match="got scores"):
        Verdict("7", "group", "good", "v1", 0.5, Status.OK, "judge", scores=(0.0, math.nan))


def test_arrow_of_another_schema_is_refused() -> None:
    renamed = pa.RecordBatch.from_pylist([{"value": 1.0}])
    with pytest.raises(ValueError, match="got verdicts of schema"):
        from_arrow([renamed])
    assert not renamed.schema.equals(SCHEMA)
