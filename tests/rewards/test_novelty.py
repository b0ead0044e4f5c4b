from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.novelty import count, rnd
from rewards.novelty.count import CountNovelty, ObservationHash
from rewards.novelty.rnd import RandomNetworkDistillation, crop_around_hero

torch.set_num_threads(1)


def frames(*symbols: int) -> dict[str, np.ndarray]:
    chars = np.zeros((len(symbols), 3, 5), np.uint8)
    chars[:, 1, 2] = symbols
    return {"chars": chars, "turn": np.arange(len(symbols))}


def through_json(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: through_json(value) for key, value in state.items()}
    return state if isinstance(state, torch.Tensor) else json.loads(json.dumps(state))


def test_counts_by_hand() -> None:
    novelty = CountNovelty()
    np.testing.assert_allclose(novelty.score(frames(1, 2)), [1, 1])
    assert novelty.update(frames(1, 1, 1, 1, 2)) == {"distinct": 2.0, "new_share": 0.4}
    np.testing.assert_allclose(novelty.score(frames(2, 1, 3, 1)), [1, 0.5, 1, 0.5])
    novelty.update(frames(2))
    np.testing.assert_allclose(novelty.score(frames(2)), [2**-0.5])


def test_scoring_counts_nothing() -> None:
    novelty = CountNovelty()
    novelty.update(frames(1))
    for _ in range(3):
        assert novelty.score(frames(1)).tolist() == [1.0]


def test_the_turn_makes_every_observation_new_if_it_is_counted() -> None:
    novelty = CountNovelty(count.Config(keys=()))
    assert novelty.update(frames(1, 1, 1))["distinct"] == 3.0


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 2), min_size=6, max_size=6), min_size=1, max_size=60))
def test_counts_are_those_of_a_counter_of_the_bytes(rows: list[list[int]]) -> None:
    chars = np.array(rows, np.uint8).reshape(-1, 2, 3)
    novelty = CountNovelty()
    novelty.update({"chars": chars})
    times = [rows.count(row) for row in rows]
    np.testing.assert_allclose(novelty.score({"chars": chars}), np.array(times) ** -0.5, rtol=1e-6)


@pytest.mark.slow
def test_hashes_of_near_observations_differ_in_half_of_their_bits() -> None:
    blank = np.zeros((1, 21, 79), np.uint8)
    near = np.repeat(blank, 21 * 79 * 8, 0).reshape(-1, 21 * 79)
    bits = np.arange(len(near))
    near[bits, bits // 8] = 1 << (bits % 8)
    hashes = ObservationHash(0)({"chars": np.concatenate([blank.reshape(1, -1), near])})
    assert len(np.unique(hashes)) == len(hashes)
    flipped = np.unpackbits((hashes[1:] ^ hashes[0]).view(np.uint8).reshape(-1, 8), axis=1).sum(1)
    assert 24 < flipped.mean() < 40


def test_two_flips_of_the_top_bit_do_not_cancel() -> None:
    words = np.zeros((4, 2), np.uint64)
    words[1, 0] = words[2, 1] = words[3, 0] = words[3, 1] = 2**63
    assert len(np.unique(ObservationHash(0)({"w": words}))) == 4


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.float32])
def test_observations_of_any_dtype_are_hashed(dtype: type) -> None:
    rows = np.array([[1, 2, 3], [1, 2, 4], [1, 2, 3]], dtype)
    hashes = ObservationHash(0)({"x": rows[:, :2], "y": rows[:, 2]})
    assert hashes[0] == hashes[2] != hashes[1]


def test_counts_survive_a_checkpoint() -> None:
    one, again = CountNovelty(), CountNovelty()
    one.update(frames(1, 1, 2))
    again.load_state_dict(through_json(one.state_dict()))
    assert again.score(frames(1, 2)).tolist() == one.score(frames(1, 2)).tolist()


def test_a_missing_key_is_named() -> None:
    with pytest.raises(ValueError, match="expected \\['chars'\\] too"):
        CountNovelty(count.Config(keys=("chars",))).score({"position": np.zeros((1, 2))})


def test_worlds_without_a_map_are_told_apart_by_all_that_they_show() -> None:
    novelty = CountNovelty()
    novelty.update({"position": np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 3.0]])})
    assert novelty.score({"position": np.array([[1.0, 2.0], [1.0, 3.0]])}).tolist() == pytest.approx([0.5**0.5, 1.0])


def points(seed: int, centre: float) -> dict[str, np.ndarray]:
    return {"position": np.random.default_rng(seed).normal(centre, 0.3, (64, 2)).astype(np.float32)}


@pytest.mark.slow
def test_the_familiar_is_worth_less_than_the_new() -> None:
    novelty = RandomNetworkDistillation(rnd.Config(learning_rate=1e-3, train_share=1.0))
    novelty.update({"position": np.concatenate([points(0, 0.0)["position"], points(0, 3.0)["position"]])})
    for seed in range(150):
        novelty.update(points(seed, 0.0))
    familiar, new = novelty.score(points(999, 0.0)), novelty.score(points(999, 3.0))
    assert familiar.min() >= 0 and new.mean() > 3 * familiar.mean()


def test_only_the_predictor_learns() -> None:
    novelty = RandomNetworkDistillation()
    novelty.update(points(0, 0.0))
    before = novelty.state_dict()
    novelty.update(points(1, 0.0))
    after = novelty.state_dict()
    assert all(torch.equal(before["target"][k], after["target"][k]) for k in before["target"])
    assert not all(torch.equal(before["predictor"][k], after["predictor"][k]) for k in before["predictor"])


def test_scoring_changes_nothing_and_leaves_torchs_generator_alone() -> None:
    before = torch.get_rng_state()
    novelty = RandomNetworkDistillation()
    first = novelty.score(points(0, 0.0))
    np.testing.assert_array_equal(novelty.score(points(0, 0.0)), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_distillation_goes_on_after_a_restart_as_if_nothing_had_happened() -> None:
    one, again = RandomNetworkDistillation(), RandomNetworkDistillation()
    assert again.state_dict() == {"size": 0}
    again.load_state_dict({"size": 0})
    one.update(points(0, 0.0))
    again.load_state_dict(through_json(one.state_dict()))
    assert again.update(points(1, 0.0)) == one.update(points(1, 0.0))
    np.testing.assert_array_equal(again.score(points(2, 1.0)), one.score(points(2, 1.0)))


def test_observations_of_another_size_are_refused() -> None:
    novelty = RandomNetworkDistillation()
    novelty.score({"x": np.zeros((2, 3))})
    with pytest.raises(ValueError, match="got 4 features; expected 3"):
        novelty.score({"x": np.zeros((2, 4))})


def test_the_crop_has_the_hero_in_its_middle_and_blanks_beyond_the_map() -> None:
    chars = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5) + 100
    blstats = np.array([[2, 1, 9], [0, 3, 9]])  # column, row, something else
    crop = crop_around_hero(chars, blstats, 3)
    assert crop[:, 1, 1].tolist() == [chars[0, 1, 2], chars[1, 3, 0]]
    assert crop[0].tolist() == chars[0, 0:3, 1:4].tolist()
    assert crop[1].tolist() == [[32, 130, 131], [32, 135, 136], [32, 32, 32]]


def test_nethack_observations_are_seen_around_the_hero() -> None:
    chars = np.full((2, 21, 79), ord("."), np.uint8)
    chars[1, 0, 0] = ord(">")  # far from the hero
    blstats = np.tile(np.array([40, 10] + [1] * 25), (2, 1))
    novelty = RandomNetworkDistillation()
    features = novelty.features({"chars": chars, "blstats": blstats})
    assert features.shape == (2, 9 * 9 * 4 + 27)
    np.testing.assert_array_equal(features[0], features[1])
    chars[1, 11, 41] = ord(">")
    assert not np.array_equal(*novelty.features({"chars": chars, "blstats": blstats}))
