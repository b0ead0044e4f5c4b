import json
import math
import random

import numpy as np
import pytest

from rewards.canaries import Canary, CanaryWatch, Config

GOOD, BAD = Canary(("you descend.",), accept=True), Canary(("you die.",), accept=False)
# p0 = 0.05, p1 = 0.4, α = 1e-4: a wrong verdict adds log 8 = 2.079, a right one -0.460; the limit is log 1e4 = 9.210.


def watch(**settings):
    return CanaryWatch([GOOD, BAD], Config(**settings))


def test_evidence_worked_by_hand():
    config = Config()
    assert config.limit == pytest.approx(9.2103, abs=1e-4)
    assert config.evidence_of_error == pytest.approx(2.0794, abs=1e-4)
    assert config.evidence_of_right == pytest.approx(math.log(0.6 / 0.95))


def test_a_judge_that_always_accepts_is_found_after_five_bad_canaries_in_a_row():
    watched = watch()
    found = [watched.record("v", BAD, 1.0) for _ in range(6)]
    assert [one is not None for one in found] == [False, False, False, False, True, False]  # ⌈9.21 / 2.079⌉ = 5
    assert found[4].side == "reject" and (found[4].wrong, found[4].judged, found[4].since) == (5, 5, 0)
    assert watched.standing("v") == "quarantined" and "accepts what it should reject" in str(found[4])


def test_a_long_sound_past_does_not_delay_the_finding():
    watched = watch()
    for _ in range(500):
        assert watched.record("v", BAD, 0.0) is None and watched.record("v", GOOD, 1.0) is None
    assert watched.standing("v") == "trusted"
    wrong = [watched.record("v", BAD, 1.0) for _ in range(5)]
    assert wrong[-1].since == 500 and wrong[3] is None


def test_a_judge_whose_answers_are_always_the_same_is_found_either_way():
    for value, side in ((1.0, "reject"), (0.0, "accept")):
        watched = watch()
        for _ in range(20):
            watched.record("v", GOOD, value), watched.record("v", BAD, value)
        assert watched.quarantine_of("v").side == side


def test_nulls_are_neither_right_nor_wrong_and_never_make_a_version_trusted():
    watched = watch(probation=2)
    for _ in range(1000):
        assert watched.record("v", BAD, None) is None and watched.record("v", GOOD, float("nan")) is None
    assert watched.standing("v") == "probation"
    assert watched.report()["v"]["reject"] == pytest.approx(
        {"right": 0, "wrong": 0, "null": 1000, "error": None, "error_low": 0.0, "error_high": 1.0}
    )


def test_both_sides_must_be_proven_before_a_version_is_trusted():
    watched = watch(probation=3)
    for _ in range(3):
        watched.record("v", GOOD, 1.0)
    assert watched.standing("v") == "probation"
    for _ in range(3):
        watched.record("v", BAD, 0.0)
    assert watched.standing("v") == "trusted" and watched.standing("other") == "probation"


def test_sound_judges_are_hardly_ever_quarantined_and_bad_ones_soon():
    """At p0 the mean number of canaries between mistakes is at least 1/α; at p1 a few dozen are enough."""
    draw, mistakes, delays = random.Random(0), 0, []
    for _ in range(100):
        watched = watch(false_alarm=1e-3)
        mistakes += any(watched.record("v", BAD, float(draw.random() < 0.05)) for _ in range(100))
        watched = watch(false_alarm=1e-3)
        delays.append(next(k for k in range(1000) if watched.record("v", BAD, float(draw.random() < 0.5))))
    assert mistakes <= 100 * 100 * 1e-3  # at most one in 1/α canaries, on average
    assert np.mean(delays) < 15


def test_only_a_person_lifts_a_quarantine():
    watched = watch()
    for _ in range(5):
        watched.record("v", BAD, 1.0)
    for _ in range(1000):
        watched.record("v", BAD, 0.0)
    assert watched.standing("v") == "quarantined"
    watched.lift("v")
    assert watched.standing("v") == "probation"
    with pytest.raises(KeyError, match="expected a quarantined one"):
        watched.lift("v")


def test_canaries_are_the_asked_share_of_both_sides_and_cannot_be_told_by_their_place():
    watched = watch(share=0.1, seed=3)
    drawn = [watched.due() for _ in range(5000)]
    places = [k for k, canary in enumerate(drawn) if canary]
    assert 400 < len(places) < 600
    assert abs(sum(c.accept for c in drawn if c) - len(places) / 2) <= 1
    assert len(set(np.diff(places))) > 20
    assert [watch(share=0.1, seed=4).due() for _ in range(50)] != drawn[:50]


def test_an_exam_asks_each_canary_once_in_an_order_that_the_seed_says():
    canaries = [Canary((f"caption {k}.",), accept=k < 5) for k in range(10)]
    one, same, other = (CanaryWatch(canaries, Config(seed=seed)).exam() for seed in (0, 0, 1))
    assert sorted(c.texts for c in one) == sorted(c.texts for c in canaries)
    assert one == same != other and one != canaries


def test_the_state_survives_json():
    one = watch(share=0.5)
    for k in range(40):
        one.due()
        one.record("a", BAD, 1.0), one.record("b", GOOD, 1.0), one.record("b", BAD, [0.0, None][k % 2])
    other = watch(share=0.5)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert other.report() == one.report() and other.quarantine_of("a") == one.quarantine_of("a")
    assert [other.due() for _ in range(30)] == [one.due() for _ in range(30)]
    with pytest.raises(ValueError, match="state version 9"):
        other.load_state_dict({"version": 9})


def test_canaries_of_one_side_only_are_refused():
    with pytest.raises(ValueError, match="none of them to reject"):
        CanaryWatch([GOOD])
    with pytest.raises(ValueError, match="expected the first below the second"):
        Config(tolerated_error=0.5)
