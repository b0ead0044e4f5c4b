from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.captions import caption_id
from rewards.pairs import Config, PairSampler


def captions(count: int) -> dict[int, str]:
    texts = [f"You see {chr(97 + k // 26)}{chr(97 + k % 26)}." for k in range(count)]
    return {caption_id(text): text for text in texts}


@settings(max_examples=50, deadline=None)
@given(count=st.integers(0, 9), draws=st.integers(0, 80), seed=st.integers(0, 1000))
def test_no_self_pairs_and_no_repeats_until_exhausted(count: int, draws: int, seed: int) -> None:
    sampler = PairSampler(Config(seed=seed))
    sampler.observe(captions(count))
    drawn = [q.texts for q in sampler.sample(draws)]
    total = count * (count - 1) // 2
    assert len(drawn) == min(draws, 2 * total)
    assert all(first != second for first, second in drawn)
    assert len({frozenset(pair) for pair in drawn[:total]}) == min(draws, total)
    assert len(set(drawn)) == len(drawn)  # the second round has the other order


def test_id_zero_is_no_caption() -> None:
    sampler = PairSampler()
    sampler.observe({0: "", **captions(1)})
    assert sampler.sample(3) == []


@pytest.mark.parametrize(("opponents", "most_apart"), [(1, 2.5), (2, 4.0)])
def test_captions_compared_least_are_favoured(opponents: int, most_apart: float) -> None:
    late, spread = [], []
    for seed in range(30):
        sampler = PairSampler(Config(tournament=6, opponents=opponents, seed=seed))
        sampler.observe(captions(20))
        sampler.sample(40)
        sampler.observe({caption_id("A door."): "A door."})
        late.append(sum("A door." in q.texts for q in sampler.sample(10)))
        used = Counter(text for pair in sampler._drawn for text in pair)
        spread.append(max(used.values()) - min(used.values()))
    assert sum(late) / len(late) > 3  # uniform draws give it 1 of 10 pairs, and a spread of 7
    assert sum(spread) / len(spread) < most_apart  # a first caption is compared as often at once as it has opponents


def test_equal_seeds_draw_equal_pairs_also_after_a_restart() -> None:
    one, other = PairSampler(Config(seed=3)), PairSampler(Config(seed=3))
    one.observe(captions(12))
    other.observe(captions(12))
    assert one.sample(11) == other.sample(11)  # between two pairs with the same first caption
    again = PairSampler()
    again.load_state_dict(one.state_dict())
    assert again.sample(200) == other.sample(200)
    assert again.pairs_drawn == 132


def test_pairs_come_two_by_two_with_the_same_first_caption_also_over_calls() -> None:
    sampler = PairSampler()
    sampler.observe(captions(26))
    drawn = [q.texts for _ in range(6) for q in sampler.sample(1)] + [q.texts for q in sampler.sample(6)]
    firsts = [first for first, _ in drawn]
    assert firsts[::2] == firsts[1::2] and len(set(firsts)) == 6
    assert len({second for _, second in drawn}) > 6


def test_by_itself_every_pair_has_its_own_two() -> None:
    sampler = PairSampler(Config(opponents=1))
    sampler.observe(captions(26))
    firsts = [q.texts[0] for q in sampler.sample(12)]
    assert len(set(firsts)) > 9


def test_a_caption_with_no_opponent_left_gives_way() -> None:
    sampler = PairSampler(Config(opponents=9))
    sampler.observe(captions(4))
    assert len({frozenset(q.texts) for q in sampler.sample(6)}) == 6


def test_states_of_before_there_were_opponents_and_arrays_are_read() -> None:
    sampler = PairSampler()
    sampler.observe(captions(5))
    sampler.sample(3)
    state = sampler.state_dict()
    del state["first"]
    state = {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in state.items()}
    again = PairSampler()
    again.load_state_dict(state)
    assert again.pairs_drawn == 3 and len(again.sample(20)) == 17
