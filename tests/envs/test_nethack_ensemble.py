"""Games that step together say what each says alone, at every step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("nle")

from envs.nethack_ensemble import NetHackEnsemble
from envs.packing import pack_nibbles
from envs.tasks import make_task
from envs.vector import OneByOne, VectorEnvironment

KEYS = ("chars", "blstats", "message", "packed_colors", "glyphs")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("nethack-score", {"max_episode_steps": 90, "keys": KEYS}),
        ("nethack-score", {"extended_actions": True}),
        ("nethack-staircase", {"max_episode_steps": 60, "penalty_step": -0.5}),
        ("nethack-oracle", {"max_episode_steps": 25}),
    ],
)
def test_games_that_step_together_say_what_each_says_alone(task, options):
    together = make_task(task, **options)
    fast, loop = VectorEnvironment(together, 3, 5), VectorEnvironment(replace(together, make_ensemble=None), 3, 5)
    assert isinstance(fast.ensemble, NetHackEnsemble) and isinstance(loop.ensemble, OneByOne)
    rng = np.random.default_rng(1)
    fast.reset(), loop.reset()
    ended = captioned = 0
    for _ in range(250):
        for key in fast.spec.observation:
            np.testing.assert_array_equal(fast.observation[key], loop.observation[key], err_msg=key)
        actions = rng.integers(fast.spec.action.n, size=3)
        one, other = fast.step(actions), loop.step(actions)
        for name, value in one._asdict().items():
            np.testing.assert_array_equal(value, getattr(other, name), err_msg=name)
        ended, captioned = ended + int(one.last.sum()), captioned + len(one.captions)
        np.testing.assert_array_equal(fast.reset_finished(), loop.reset_finished())
    assert captioned and (ended or "max_episode_steps" not in options)
    fast.close(), loop.close()


@pytest.mark.slow
def test_death_and_success_end_as_they_do_alone():
    """A depth of 1 is reached at once; a weak wizard who prays and fights dies soon."""
    for options in ({"depth": 1}, {"character": "wiz-elf-cha-mal", "depth": 9}):
        task = make_task("nethack-staircase", **options)
        fast, loop = VectorEnvironment(task, 2, 2), VectorEnvironment(replace(task, make_ensemble=None), 2, 2)
        rng = np.random.default_rng(0)
        fast.reset(), loop.reset()
        for _ in range(20 if options["depth"] == 1 else 400):
            actions = rng.integers(8, 16, size=2)  # far moves: straight into trouble
            one, other = fast.step(actions), loop.step(actions)
            assert one.success == other.success and one.discount.tolist() == other.discount.tolist()
            assert one.reward.tolist() == other.reward.tolist()
            fast.reset_finished(), loop.reset_finished()
        assert options["depth"] == 9 or one.success == {0: True, 1: True}
        fast.close(), loop.close()


def test_packed_colours_are_those_of_the_map():
    game = VectorEnvironment(make_task("nethack-score", keys=("chars", "colors", "packed_colors")), 2, 0)
    game.reset()
    for step in range(30):
        colors, packed = game.observation["colors"].reshape(2, -1), game.observation["packed_colors"]
        assert colors.max() < 16
        np.testing.assert_array_equal(packed[:, :829] & 15, colors[:, 0:1658:2])
        np.testing.assert_array_equal(packed[:, :829] >> 4, colors[:, 1:1658:2])
        game.step(np.array([step % 8, 16]))
        game.reset_finished()
    game.close()


def test_nibbles_worked_by_hand():
    assert pack_nibbles(np.array([1, 2, 15, 0, 7], np.uint8)).tolist() == [0x21, 0x0F, 0x07]


def test_another_penalty_than_the_constant_one_is_played_in_a_loop():
    vector = VectorEnvironment(make_task("nethack-score", penalty_mode="exp"), 1, 0)
    assert isinstance(vector.ensemble, OneByOne)
    vector.close()


class Asked:
    """A captioner that says nothing of its signs, and so is asked at every step."""

    def __init__(self, captioner):
        self._captioner = captioner
        self.reset, self.caption = captioner.reset, captioner.caption


@pytest.mark.slow
def test_captioners_that_are_asked_by_their_signs_miss_nothing():
    keys = ("chars", "blstats", "message", "inv_letters")
    task = make_task("nethack-score", keys=keys, max_episode_steps=120)
    always = replace(task, make_captioner=lambda: Asked(task.make_captioner()))
    by_signs, asked = VectorEnvironment(task, 3, 4), VectorEnvironment(always, 3, 4)
    by_signs.reset(), asked.reset()
    rng, said = np.random.default_rng(2), 0
    for _ in range(300):
        actions = rng.integers(by_signs.spec.action.n, size=3)
        one, other = by_signs.step(actions), asked.step(actions)
        assert one.captions == other.captions
        np.testing.assert_array_equal(one.caption_counts, other.caption_counts)
        said += len(one.captions)
        by_signs.reset_finished(), asked.reset_finished()
    assert 0 < said < 900
    by_signs.close(), asked.close()
