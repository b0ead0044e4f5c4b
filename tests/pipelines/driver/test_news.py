"""What a role is told, once, and again after it died."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.driver.news import News
from rewards.verdicts import Verdict

CAPTIONS = [(1, "a door"), (2, "a key"), (3, "a lamp")]
NONE: list[Verdict] = []


def test_a_role_is_told_what_is_new_to_it_and_others_are_told_it_as_well():
    news = News()
    assert news.of("learner", 0, CAPTIONS[:2], NONE) == ({1: "a door", 2: "a key"}, [], None)
    news.publish("model 1")
    news.publish("model 2")
    assert news.of("learner", 0, CAPTIONS, NONE) == ({3: "a lamp"}, [], "model 2")
    assert news.of("learner", 0, CAPTIONS, NONE) == ({}, [], None)
    assert news.of("trainer", 0, CAPTIONS, NONE) == (dict(CAPTIONS), [], "model 2")


def test_a_role_that_was_started_again_or_may_not_have_heard_is_told_everything_again():
    news = News()
    news.publish("model")
    everything = (dict(CAPTIONS), [], "model")
    assert news.of("learner", 0, CAPTIONS, NONE) == everything
    assert news.of("learner", 1, CAPTIONS, NONE) == everything
    news.forget("learner")
    news.forget("whoever")
    assert news.of("learner", 1, CAPTIONS, NONE) == everything
    assert news.of("learner", 1, CAPTIONS, NONE) == ({}, [], None)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), max_size=20))
def test_whatever_happens_each_life_of_a_role_is_told_all_once_and_in_order(steps):
    news, log, epoch, heard = News(), [], 0, []
    for captions, deaths, asks in steps:
        log += [(len(log) + number, "") for number in range(captions)]
        if deaths:
            epoch, heard = epoch + deaths, []
        if asks:
            heard += news.of("role", epoch, log, NONE)[0]
            assert heard == [ident for ident, _ in log]
