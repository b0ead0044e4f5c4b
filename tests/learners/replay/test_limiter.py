"""Reverb's rule, worked by hand."""

import pytest

from learners.replay.limiter import Config, Limiter


def test_nothing_is_sampled_before_there_are_enough():
    limiter = Limiter(Config(min_size=3))
    assert "2 items are there of min_size 3" in limiter.why_no_sample(1, 2, 0, 2)
    assert limiter.why_no_sample(1000, 3, 0, 3) == "" and limiter.why_no_insert(10**6, 3, 0, 3) == ""


def test_the_band_around_the_ratio_holds_both_sides():
    limiter = Limiter(Config(min_size=10, samples_per_insert=2, error_buffer=4))  # error between 16 and 24
    assert limiter.why_no_insert(1, 9, 0, 9) == ""
    assert limiter.why_no_insert(1, 11, 0, 11) == ""  # 12 · 2 - 0 = 24
    assert "26 ahead" in limiter.why_no_insert(1, 12, 0, 12)
    assert limiter.why_no_sample(4, 10, 0, 10) == ""  # 10 · 2 - 4 = 16
    assert "leave 15" in limiter.why_no_sample(5, 10, 0, 10)


@pytest.mark.parametrize(
    "settings, match",
    [
        ({"samples_per_insert": 4, "error_buffer": 3}, "at least max"),
        ({"samples_per_insert": 0.1, "error_buffer": 0.5}, "at least max"),
        ({"samples_per_insert": 4}, "both or none"),
        ({"error_buffer": 4}, "both or none"),
    ],
)
def test_a_band_in_which_both_sides_could_wait_for_ever_is_refused(settings, match):
    with pytest.raises(ValueError, match=match):
        Config(**settings)


@pytest.mark.parametrize("ratio", [0.25, 1, 3.7])
@pytest.mark.parametrize("size", [1, 2])
def test_someone_can_always_go_on(ratio, size):
    buffer = max(1.0, ratio, size / 2)
    limiter = Limiter(Config(min_size=5, samples_per_insert=ratio, error_buffer=buffer))
    inserted = sampled = 0
    for step in range(400):
        can_insert = not limiter.why_no_insert(1, inserted, sampled, inserted)
        can_sample = not limiter.why_no_sample(size, inserted, sampled, inserted)
        assert can_insert or can_sample
        if can_insert and (step % 3 or not can_sample):
            inserted += 1
        else:
            sampled += size
        assert inserted <= 5 or abs(inserted * ratio - sampled - 5 * ratio) <= buffer + 1e-9
