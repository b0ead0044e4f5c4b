from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.verifiers.hierarchical_actions import action_levels, hierarchical_action, self_certainty

CLICK = {"type": "click", "name": "red shoes"}
TYPE = {"type": "type_and_submit", "name": "search", "text": "blue hat"}


def said(**action):
    return json.dumps({"rationale": "because", "action": action})


def test_each_level_by_hand():
    assert action_levels(said(**CLICK), CLICK) == (0.5, 0.3, 0.2, 1000)
    assert action_levels(said(type="click", name="red hat"), CLICK, scaling=10).similar == pytest.approx(5)
    assert action_levels(said(**TYPE), TYPE) == (0.5, 0.3, pytest.approx(0.2), pytest.approx(1000.1))
    assert action_levels(said(type="type_and_submit", name="search", text=""), TYPE) == (0.5, 0.3, 0.1, 0.1)
    assert action_levels(said(type="terminate"), CLICK) == (0.5, 0, 0, 0)  # lower levels need the type
    assert action_levels('{"action": {"type": "click"}}', CLICK).total == 0  # no rationale
    assert action_levels("click", CLICK).total == 0


@pytest.mark.parametrize("name", ["购买", "корзина", "+"])
def test_a_text_without_words_that_rouge_knows_is_similar_to_itself(name):
    click = {"type": "click", "name": name}
    assert action_levels(said(type="click", name=f" {name}"), click) == (0.5, 0.3, 0.2, 1000)
    assert action_levels(said(type="click", name="red hat"), click).similar == 0


@given(st.text(max_size=20))
def test_an_easy_action_never_earns_more_than_its_form_and_type(text):
    leave = {"type": "terminate"}
    assert action_levels(said(type="terminate", name=text, text=text), leave).total <= 0.8
    assert action_levels(text, leave).total == 0


def test_in_a_recipe_it_is_a_reward_of_episodes():
    columns = {"completion": [said(**CLICK), "no"], "action": [CLICK, CLICK]}
    found = asyncio.run(hierarchical_action.configured(scaling=1.0).answer(columns))
    assert [answer.value for answer in found] == [2.0, 0.0]
    with pytest.raises(ValueError, match="expected one of"):
        action_levels("", {"type": "buy"})
    with pytest.raises(ValueError, match=r"without text in \['name'\]"):
        action_levels("", {"type": "click"})


def test_even_distributions_are_not_certain_and_certain_ones_are_log_v_over_v():
    even = np.full((1, 2, 4), math.log(0.25))
    sure = np.where(np.arange(4) == 1, 0.0, -np.inf) * np.ones((1, 2, 4))
    mask = np.array([[True, True]])
    assert self_certainty(even, mask).tolist() == [0]
    assert self_certainty(sure, mask).tolist() == [pytest.approx(math.log(4) / 4)]
    assert np.isnan(self_certainty(even, ~mask)).all()
    with pytest.raises(ValueError, match="sum to 1"):
        self_certainty(even - 1, mask)
