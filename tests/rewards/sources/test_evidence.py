from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.evidence import Event, Session, evidence_score, fidelity, proximity, temporal_evidence

WINDOW = (10.0, 20.0)


def test_gold_evidence_in_the_window_with_a_right_answer_earns_one():
    session = Session(12.0, (Event((11.0, 13.0), 0.7),))
    assert temporal_evidence(1.0, ["a"], ["a"], [session], WINDOW) == pytest.approx(1.0)
    assert temporal_evidence(None, ["a"], ["a"], [session], WINDOW) is None
    assert temporal_evidence(-1.0, [], ["a"], [], WINDOW) == pytest.approx(-1.0)


def test_just_outside_of_the_window_is_a_quarter_and_inside_one():
    assert proximity(20.0 + 1e-12, WINDOW) == pytest.approx(0.25) and proximity(20.0, WINDOW) == 1
    assert proximity(5.0, WINDOW) == pytest.approx(1.5 / (1 + 2.718281828**0.25) - 0.5)
    with pytest.raises(ValueError, match="no sooner"):
        proximity(0.0, (2.0, 1.0))


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_what_is_farther_is_never_nearer(one, other):
    near, far = sorted((one, other))
    assert -0.5 <= proximity(20 + far, WINDOW) <= proximity(20 + near, WINDOW) <= 1


def test_events_count_by_how_like_they_are_to_what_is_asked():
    events = [Event((11.0, 12.0), 3.0), Event((0.0, 1.0), 1.0), Event((15.0, 25.0), 0.0)]
    assert fidelity(events, WINDOW) == pytest.approx(0.5)
    assert fidelity([Event((15.0, 25.0), 1.0)], WINDOW) == 0.5 and fidelity([], WINDOW) == 0


def test_all_some_or_none_of_the_gold_evidence():
    assert [evidence_score(p, ["a", "b"]) for p in (["b", "a"], ["a"], ["a", "b", "c"], ["c"], [])] == [
        1,
        0.5,
        0.5,
        -1,
        -1,
    ]
