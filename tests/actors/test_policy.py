"""The recurrent policy: packing, acting, and reading again with gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from actors.encoders import (
    ColourNetHackEncoder,
    FlatEncoder,
    NetHackEncoder,
    encoder_for,
    window_cells,
    window_of,
)
from actors.policy import Config, RecurrentPolicy
from actors.recurrence import pack_index
from envs.packing import pack_nibbles
from envs.specs import ArraySpec, Box, Discrete, EnvSpec, MultiDiscrete
from learners.weights import pack_weights

VECTOR = EnvSpec({"x": ArraySpec((4,), "float32")}, Discrete(5))
NETHACK = {
    "chars": ArraySpec((21, 79), "uint8"),
    "blstats": ArraySpec((27,), "int64"),
    "message": ArraySpec((256,), "uint8"),
}


def policy_for(spec, seed=0, **settings):
    torch.manual_seed(seed)
    policy = RecurrentPolicy(spec, Config(**{"hidden": 16, "crop": 3, **settings}))
    with torch.no_grad():
        policy.policy_head.weight.mul_(100)
    return policy


def test_packing_worked_by_hand():
    packing = pack_index(torch.tensor([2, 3, 1]))  # concatenated: a0 a1 b0 b1 b2 c0
    assert packing.rows.tolist() == [1, 0, 2]
    assert packing.batch_sizes.tolist() == [3, 2, 1]
    assert packing.order.tolist() == [2, 0, 5, 3, 1, 4]  # b0 a0 c0 | b1 a1 | b2


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_packing_agrees_with_torch(lengths):
    rows = [torch.arange(100 * r, 100 * r + n) for r, n in enumerate(lengths)]
    expected = torch.nn.utils.rnn.pack_sequence(rows, enforce_sorted=False)
    packing = pack_index(torch.tensor(lengths))
    flat = torch.cat(rows)
    assert sorted(packing.order.tolist()) == list(range(sum(lengths)))
    assert packing.batch_sizes.tolist() == expected.batch_sizes.tolist()
    # Ties may stand in another order; each row must come out whole all the same.
    hidden = torch.nn.utils.rnn.PackedSequence(flat[packing.order], packing.batch_sizes)
    padded, found = torch.nn.utils.rnn.pad_packed_sequence(hidden)
    for column, row in enumerate(packing.rows.tolist()):
        assert padded[: found[column], column].tolist() == rows[row].tolist()


@pytest.mark.parametrize("action", [Discrete(5), MultiDiscrete((2, 3)), Box((-1.0, -1.0), (1.0, 1.0))])
def test_reading_again_is_acting_step_by_step(action):
    policy = policy_for(EnvSpec(VECTOR.observation, action))
    generator, lengths = torch.Generator().manual_seed(1), [3, 1, 4]
    first = torch.randn(3, 16, generator=generator)
    seen, actions, logprobs = [], [], []
    for r, length in enumerate(lengths):
        x, state = torch.randn(length + 1, 4, generator=generator), first[r : r + 1]
        seen.append(x)
        for t in range(length):
            acted = policy.act({"x": x[t : t + 1]}, state, generator)
            state = acted.state
            actions.append(acted.action)
            logprobs.append(acted.logprob)
    with torch.no_grad():
        evaluation = policy.evaluate({"x": torch.cat(seen)}, torch.tensor(lengths), first, torch.cat(actions))
    torch.testing.assert_close(evaluation.logprob, torch.cat(logprobs), atol=1e-5, rtol=1e-5)
    assert evaluation.value.shape == (11,) and evaluation.entropy.shape == (8,)


def test_the_value_of_the_last_observation_is_that_of_a_longer_row():
    policy = policy_for(VECTOR)
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(2))
    action, start = torch.zeros(5, dtype=torch.int64), policy.initial_state(1)
    whole = policy.evaluate({"x": x}, torch.tensor([5]), start, action).value
    part = policy.evaluate({"x": x[:4]}, torch.tensor([3]), start, action[:3]).value
    torch.testing.assert_close(part, whole[:4])


def test_gradients_reach_every_parameter_and_acting_leaves_none():
    policy = policy_for(VECTOR)
    acted = policy.act({"x": torch.randn(2, 4)}, policy.initial_state(2), torch.Generator())
    assert not acted.logprob.requires_grad and not acted.state.requires_grad
    result = policy.evaluate(
        {"x": torch.randn(5, 4)}, torch.tensor([4]), torch.ones(1, 16), torch.zeros(4, dtype=torch.int64)
    )
    (result.logprob.sum() + result.entropy.sum() + result.value.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in policy.parameters())
    assert not torch.is_anomaly_enabled()  # ONI's released learner ran with it on


def test_greedy_acting_takes_the_likeliest_action_and_draws_nothing():
    policy = policy_for(VECTOR)
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    x = {"x": torch.randn(8, 4)}
    acted = policy.act(x, policy.initial_state(8), generator, greedy=True)
    assert torch.equal(generator.get_state(), before)
    others = [policy.act(x, policy.initial_state(8), torch.Generator().manual_seed(s)) for s in range(20)]
    assert all((acted.logprob >= other.logprob - 1e-6).all() for other in others)


def test_first_policies_are_nearly_uniform():
    torch.manual_seed(0)
    policy = RecurrentPolicy(VECTOR, Config(hidden=64, crop=3))
    acted = policy.act({"x": torch.randn(32, 4)}, policy.initial_state(32), torch.Generator(), greedy=True)
    assert acted.logprob.exp().max() < 0.25  # a fifth each


def test_weights_go_by_bytes_and_others_are_refused():
    one, other = policy_for(VECTOR, seed=0), policy_for(VECTOR, seed=1)
    other.load(pack_weights(one))
    assert pack_weights(other) == pack_weights(one)
    with pytest.raises(RuntimeError, match="size mismatch"):
        policy_for(EnvSpec(VECTOR.observation, Discrete(3))).load(pack_weights(one))


def test_a_window_without_a_middle_is_refused():
    with pytest.raises(ValidationError, match="odd"):
        Config(crop=8)


def nethack(n, seed=0):
    rng = np.random.default_rng(seed)
    blstats = rng.integers(-5, 500, (n, 27))
    blstats[:, 0], blstats[:, 1] = rng.integers(0, 79, n), rng.integers(0, 21, n)
    arrays = {
        "chars": rng.integers(32, 127, (n, 21, 79)).astype(np.uint8),
        "blstats": blstats,
        "message": rng.integers(0, 127, (n, 256)).astype(np.uint8),
    }
    return {key: torch.from_numpy(value) for key, value in arrays.items()}


def test_the_encoder_fits_what_the_environment_shows():
    assert isinstance(encoder_for(NETHACK, 5, 16), NetHackEncoder)
    assert isinstance(encoder_for({"chars": NETHACK["chars"]}, 5, 16), FlatEncoder)


def test_the_window_is_the_map_around_the_hero_and_nothing_else():
    encoder = NetHackEncoder(crop=5, hidden=16)
    observation = nethack(6)
    observation["blstats"][0, :2] = torch.tensor([0, 0])  # corners, where most of the window lies outside
    observation["blstats"][1, :2] = torch.tensor([78, 20])
    features = encoder(observation)
    for i in range(6):
        x, y = observation["blstats"][i, :2].tolist()
        far = observation["chars"].clone()
        inside = torch.zeros(21, 79, dtype=torch.bool)
        inside[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = True
        far[i][~inside] = ord("#")
        torch.testing.assert_close(encoder({**observation, "chars": far})[i], features[i])
        near = observation["chars"].clone()
        near[i, y, x] = ord("~")
        assert not torch.equal(encoder({**observation, "chars": near})[i], features[i])


def test_the_hero_outside_of_the_map_breaks_nothing():
    observation = nethack(2)
    observation["blstats"][:, :2] = torch.tensor([[-3, 40], [1000, -7]])
    assert torch.isfinite(NetHackEncoder(crop=9, hidden=16)(observation)).all()


def test_flat_encoders_scale_images_and_take_single_numbers():
    encoder = FlatEncoder({"image": ArraySpec((2, 2, 3), "uint8"), "level": ArraySpec((), "int64")}, hidden=8)
    image = torch.full((3, 2, 2, 3), 255, dtype=torch.uint8)
    seen = []
    encoder.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    encoder({"image": image, "level": torch.tensor([1, 2, 3])})
    torch.testing.assert_close(seen[0], torch.cat([torch.ones(3, 12), torch.tensor([[1.0], [2.0], [3.0]])], 1))


def test_the_colour_encoder_sees_the_colour_of_each_cell_in_its_window_and_no_other():
    torch.manual_seed(0)
    spec = NETHACK | {"packed_colors": ArraySpec((830,), "uint8")}
    encoder = encoder_for(spec, 5, 16)
    assert isinstance(encoder, ColourNetHackEncoder)
    shown = {
        "chars": torch.full((1, 21, 79), 46, dtype=torch.uint8),
        "blstats": torch.zeros(1, 27, dtype=torch.int64),
        "message": torch.zeros(1, 256, dtype=torch.uint8),
    }
    shown["blstats"][0, 0], shown["blstats"][0, 1] = 40, 10  # column and row of the hero

    def features(row, column):
        colours = np.zeros(21 * 79, np.uint8)
        colours[row * 79 + column] = 9
        return encoder(shown | {"packed_colors": torch.from_numpy(pack_nibbles(colours))[None]})

    far = features(0, 0)
    assert torch.equal(features(20, 78), far) and torch.equal(features(10, 43), far)
    near = [features(10 + dy, 40 + dx) for dy in (-2, 0, 2) for dx in (-2, -1, 0, 2)]
    assert all(not torch.allclose(one, far) for one in near)
    assert len({tuple(one[0].tolist()) for one in near}) == len(near)


@pytest.mark.parametrize("crop", [3, 9])
def test_the_window_is_cut_out_of_a_map_with_a_border_of_nothing(crop):
    rng = np.random.default_rng(crop)
    chars = rng.integers(1, 256, size=(40, 21, 79)).astype(np.uint8)
    rows, columns = rng.integers(21, size=40), rng.integers(79, size=40)
    rows[:4], columns[:4] = [0, 0, 20, 20], [0, 78, 0, 78]
    status = torch.zeros(40, 27)
    status[:, 0], status[:, 1] = torch.from_numpy(columns), torch.from_numpy(rows)
    window = window_of(torch.from_numpy(chars), status, window_cells(crop)).view(40, crop, crop).numpy()
    framed = np.pad(chars, ((0, 0), (crop // 2,) * 2, (crop // 2,) * 2))
    for shown, whole, row, column in zip(window, framed, rows, columns, strict=True):
        np.testing.assert_array_equal(shown, whole[row : row + crop, column : column + crop])
