import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.sources.object_state import cosine_by, progress_rewards, state_similarity

GOAL = {"red cup": {"place": "shelf", "state": "clean"}, "door": {}}
names = st.sampled_from(["red cup", "blue plate", "door", "lamp"])
states = st.dictionaries(names, st.dictionaries(st.sampled_from(["place", "state"]), names, max_size=2), max_size=4)


def same(a, b):
    return float(a == b)


@given(states)
def test_a_state_that_holds_the_goal_is_worth_one_and_what_else_is_there_never_lowers_it(state):
    assert state_similarity(GOAL, {**state, **GOAL}, same) == 1.0
    less = {name: found for name, found in state.items() if name != "lamp"}
    assert state_similarity(GOAL, state, same) == state_similarity(GOAL, less, same)


def test_attributes_count_each_by_hand():
    assert state_similarity(GOAL, {"red cup": {"place": "shelf", "state": "dirty"}}, same) == 0.25
    assert state_similarity(GOAL, {"red cup": {}, "door": {"state": "open"}}, same) == 0.5
    assert state_similarity(GOAL, {}, same) == 0.0
    steps = [{}, {"door": {}}, {"door": {}, "red cup": {"place": "shelf", "state": "clean"}}]
    assert progress_rewards(GOAL, steps, same).tolist() == [0, 0.5, 1]


def test_the_attribute_whose_name_is_most_alike_is_compared():
    def like(a, b):
        return 1.0 if a == b else 0.5 if {a, b} == {"place", "location"} else 0.0

    goal = {"cup": {"place": "shelf"}}
    assert state_similarity(goal, {"cup": {"colour": "red", "location": "shelf"}}, like) == 1.0
    assert state_similarity(goal, {"cup": {"colour": "shelf", "location": "sink"}}, like) == 0.0


def test_likeness_is_the_cosine_of_embeddings_and_not_below_zero():
    embed = {"a": np.array([3.0, 0.0]), "b": np.array([1.0, 1.0]), "c": np.array([-1.0, 0.0]), "": np.zeros(2)}
    like = cosine_by(embed.__getitem__)
    assert like("a", "b") == pytest.approx(2**-0.5) and like("a", "c") == 0 == like("a", "")


def test_a_goal_without_objects_is_refused():
    with pytest.raises(ValueError, match="expected one at least"):
        state_similarity({}, GOAL, same)
