import os
import re

import numpy as np
import pytest

pytest.importorskip("nle")

from nle import nethack as game

from envs.blstats import BLSTATS_SIZE, Blstat
from envs.contract import EnvironmentContract
from envs.frames import render_frame, status_line
from envs.nethack import join_messages, make_nethack, named_actions
from envs.tasks import make_task


class TestScore(EnvironmentContract):
    steps = 300

    def task(self):
        return make_task("nethack-score")


class TestStaircaseCutOff(EnvironmentContract):
    def task(self):
        return make_task("nethack-staircase", max_episode_steps=40)


class TestOracle(EnvironmentContract):
    steps = 50

    def task(self):
        return make_task("nethack-oracle")


@pytest.fixture
def score():
    env = make_nethack("score", max_episode_steps=50)
    yield env
    env.close()


def test_the_names_of_the_status_line_are_those_of_nle():
    ours = {"STRENGTH_25": "STR25", "STRENGTH_125": "STR125", "DEXTERITY": "DEX", "CONSTITUTION": "CON"}
    ours |= {"INTELLIGENCE": "INT", "WISDOM": "WIS", "CHARISMA": "CHA", "HP_MAX": "HPMAX", "ENERGY": "ENE"}
    ours |= {"ENERGY_MAX": "ENEMAX", "ARMOR_CLASS": "AC", "HIT_DICE": "HD", "EXPERIENCE_LEVEL": "XP"}
    ours |= {"EXPERIENCE_POINTS": "EXP", "CAPACITY": "CAP", "DUNGEON": "DNUM", "DUNGEON_LEVEL": "DLEVEL"}
    ours |= {"ALIGNMENT": "ALIGN"}
    for stat in Blstat:
        assert getattr(game, f"NLE_BL_{ours.get(stat.name, stat.name)}") == stat
    # ONI's released code cut blstats to 26 for an older NLE and broke on today's.
    assert game.BLSTATS_SHAPE == (BLSTATS_SIZE,) == (len(Blstat),)


def test_observations_are_the_map_the_status_line_and_the_message(score):
    spec = score.spec.observation
    assert (spec["chars"].shape, spec["chars"].dtype) == ((21, 79), "uint8")
    assert (spec["blstats"].shape, spec["blstats"].dtype) == ((27,), "int32")
    assert (spec["message"].shape, spec["message"].dtype) == ((256,), "uint8")
    assert score.spec.action.n == len(score.spec.action_names) == 23
    assert {"N", "far N", "DOWN", "SEARCH"} <= set(score.spec.action_names)


def test_extra_observations_and_actions_can_be_asked_for():
    env = make_nethack("score", keys=("chars", "inv_letters", "glyphs"), extended_actions=True)
    timestep = env.reset(1)
    assert set(timestep.observation) == {"chars", "inv_letters", "glyphs"}
    assert env.spec.action_names[-5:] == ("CAST", "QUAFF", "PRAY", "PICKUP", "PAY")
    env.close()


def test_unknown_tasks_keys_and_actions_are_refused():
    with pytest.raises(ValueError, match="expected one of"):
        make_nethack("win")
    with pytest.raises(ValueError, match="got observation keys"):
        make_nethack("score", keys=("smell",))
    with pytest.raises(ValueError, match="got actions"):
        named_actions(["FLY"])


def episode(env, seed, actions):
    steps = [env.reset(seed)]
    frames = [env.render()]
    for action in actions:
        steps.append(env.step(action))
        frames.append(env.render())
        if steps[-1].last:
            break
    return frames, [s.reward for s in steps]


def test_a_seed_determines_the_episode_and_other_seeds_give_other_games():
    actions = np.random.default_rng(0).integers(23, size=200).tolist()
    one, other = make_nethack("score"), make_nethack("score")
    a = episode(one, 7, actions)
    assert a == episode(other, 7, actions)
    assert a == episode(one, 7, actions), "also in the same instance, after another episode was left"
    assert a[0][0] != episode(one, 8, [])[0][0]
    one.close(), other.close()


def test_reseeding_is_off_and_the_moon_stands_still(monkeypatch):
    import nle.env.base

    made, seeded = {}, []
    real = nle.env.base.nethack.Nethack

    def spy(*args, **kwargs):
        made.update(kwargs)
        return real(*args, **kwargs)

    monkeypatch.setattr(nle.env.base.nethack, "Nethack", spy)
    env = make_nethack("score")
    monkeypatch.setattr(env.inner.nethack, "set_initial_seeds", lambda *seeds: seeded.append(seeds))
    env.reset(3)
    core, display, levels = np.random.SeedSequence(3).generate_state(3).tolist()
    assert made["fix_moon_phase"] is True
    assert seeded == [(core, display, False, levels)], "play, display, no reseeding, level generation"
    env.close()


def test_the_step_limit_is_a_truncation_that_leaves_the_last_observation_alone(score):
    score.reset(1)
    wait = score.spec.action_names.index("WAIT")
    for _ in range(49):
        assert not score.step(wait).last
    last = score.step(wait)
    assert last.last and last.discount == 1.0 and last.success is None
    assert last.observation["blstats"][Blstat.HP_MAX] > 0, "the game was not quit"
    assert (last.observation["chars"] == ord("@")).any()


def test_the_last_observation_of_a_truncation_is_that_of_the_same_step_in_a_longer_episode():
    actions = np.random.default_rng(3).integers(23, size=30).tolist()
    short, long = make_nethack("score", max_episode_steps=30), make_nethack("score")
    cut, uncut = short.reset(5), long.reset(5)
    for action in actions:
        cut, uncut = short.step(action), long.step(action)
    assert cut.last and not uncut.last
    for key in cut.observation:
        np.testing.assert_array_equal(cut.observation[key], uncut.observation[key])
    assert cut.reward == uncut.reward
    short.close(), long.close()


@pytest.mark.slow
def test_death_is_a_termination_with_discount_0():
    env, rng = make_nethack("score"), np.random.default_rng(0)
    for seed in range(5):
        timestep = env.reset(seed)
        while not timestep.last:
            timestep = env.step(int(rng.integers(23)))
        if timestep.discount == 0.0:
            assert timestep.success is None
            message = timestep.observation["message"].tobytes()
            assert re.search(rb"die|killed|starve|drown|chok|stone|burn", message, re.IGNORECASE), message
            env.close()
            return
    pytest.fail("nobody died in five random games; expected at least one death")


def test_messages_before_a_dismissed_more_are_kept():
    """Regression: NLE presses space through --More--, and what was said before was never seen."""
    env, rng = make_nethack("score"), np.random.default_rng(0)
    timestep = env.reset(1)
    kept = 0
    while not timestep.last:
        timestep = env.step(int(rng.integers(23)))
        heard = [raw.rstrip(b"\0") for raw in env.inner.heard]
        if heard and not env._live["message"].any():  # the game itself shows nothing any more
            assert timestep.observation["message"].tobytes().startswith(heard[0].rstrip())
            kept += 1
    assert kept > 0
    env.close()


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ([b"You hit it.", b""], b"You hit it."),
        ([b"You kill the newt!", b"You feel hungry."], b"You kill the newt!  You feel hungry."),
        ([b"Use what? [g or ?*]", b"Unlock it?", b"It opens.", b"Never mind."], b"It opens."),
        ([b"Use what? [g or ?*]", b"Never mind."], b"Never mind."),
        ([b"You can't.", b"In what direction? "], b"You can't.  In what direction?"),
        ([b"", b"", b""], b""),
        ([b"It's a wall.", b"It's a wall."], b"It's a wall."),
    ],
)
def test_what_is_said_in_one_step_is_joined(said, expected):
    assert join_messages(said) == expected


def test_the_goal_reward_is_paid_in_full_and_success_is_told():
    """Regression: a goal reward of 50 reached the learner as 10."""
    env = make_nethack("depth", depth=1, goal_reward=50.0, penalty_step=0.0)
    env.reset(1)
    last = env.step(env.spec.action_names.index("WAIT"))
    assert (last.last, last.reward, last.discount, last.success) == (True, 50.0, 0.0, True)
    env.close()


def test_a_success_in_the_last_allowed_step_is_a_success():
    env = make_nethack("depth", depth=1, max_episode_steps=1)
    env.reset(1)
    last = env.step(env.spec.action_names.index("WAIT"))
    assert (last.discount, last.success) == (0.0, True)
    env.close()


def test_not_reaching_the_depth_is_no_success():
    env = make_nethack("depth", depth=2, max_episode_steps=3)
    env.reset(1)
    steps = [env.step(env.spec.action_names.index("WAIT")) for _ in range(3)]
    assert [s.last for s in steps] == [False, False, True]
    assert (steps[-1].discount, steps[-1].success) == (1.0, False)
    env.close()


def test_a_deeper_level_is_a_success_however_it_was_reached():
    env = make_nethack("depth", depth=2, max_episode_steps=10)
    env.reset(1)
    blstats = env._live["blstats"].copy()
    blstats[Blstat.DEPTH] = 2
    observation = list(env.inner.last_observation)
    observation[env.inner._blstats_index] = blstats
    assert env.inner._is_episode_end(observation) == env.inner.StepStatus.TASK_SUCCESSFUL
    env.close()


def test_a_frozen_step_costs_the_penalty(score):
    score.reset(1)
    free = score.step(score.spec.action_names.index("KICK"))  # "In what direction?": no game time passes
    assert free.reward == pytest.approx(-0.01)
    env = make_nethack("score", penalty_step=0.0)
    env.reset(1)
    assert env.step(env.spec.action_names.index("KICK")).reward == 0.0
    env.close()


def test_a_frame_has_the_message_21_rows_and_the_status_line(score):
    observation = {k: v.copy() for k, v in score.reset(1).observation.items()}
    lines = score.render().split("\n")
    assert len(lines) == 23 and lines[-1].startswith("Dlvl:1 ")
    assert any("@" in line for line in lines[1:22])
    assert render_frame(observation) == score.render(), "a stored observation gives the same frame"


def test_a_short_status_line_is_refused():
    with pytest.raises(ValueError, match="expected 27"):
        status_line(np.zeros(26, np.int32))


@pytest.mark.parametrize("steps", [0, 2, 50])
def test_a_game_is_quit_before_the_next_one_begins(score, steps):
    """Regression: NetHack keeps memory of every game that is reset without being quit."""
    kick = score.spec.action_names.index("KICK")
    score.reset(1)
    for _ in range(steps):
        score.step(kick)  # also in the middle of a question
    score.inner.leave()
    assert score.inner.nethack._pynethack.done()
    score._running = False
    assert score.reset(2).first


@pytest.mark.slow
def test_leaving_many_games_unfinished_leaks_no_files(score):
    def files():
        return len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    score.reset(0)
    before = files()
    for seed in range(30):
        score.reset(seed)
    assert files() <= before + 1


def test_a_step_without_copies_plays_the_same_game_as_the_step_of_nle(score):
    """`advance` beside `step` of NLE itself, from the same seed with the same actions."""
    import nle.env.tasks

    actions = np.random.default_rng(5).integers(23, size=400).tolist()
    plain = nle.env.tasks.NetHackScore(
        observation_keys=("chars", "blstats", "message"),
        max_episode_steps=5000,
        fix_moon_phase=True,
        savedir=None,
        save_ttyrec_every=0,
        character="mon-hum-neu-mal",
    )
    ours = make_nethack("score")
    ours.reset(11)
    core, display, levels = np.random.SeedSequence(11).generate_state(3).tolist()
    plain.seed(core, display, reseed=False, lgen=levels)
    plain.reset()
    for action in actions:
        mine = ours.step(action)
        theirs, reward, terminated, _, _ = plain.step(action)
        assert mine.reward == reward and mine.last == terminated
        np.testing.assert_array_equal(mine.observation["chars"], theirs["chars"])
        np.testing.assert_array_equal(mine.observation["blstats"], theirs["blstats"])
        if mine.last:
            break
    plain.close(), ours.close()


def test_observations_written_into_given_arrays_are_those_of_an_environment_of_its_own():
    actions = np.random.default_rng(6).integers(23, size=120).tolist()
    own, bound = make_nethack("score", max_episode_steps=60), make_nethack("score", max_episode_steps=60)
    block = {k: np.zeros((3, *a.shape), a.dtype) for k, a in bound.spec.observation.items()}
    bound.bind({k: array[1] for k, array in block.items()})
    one, other = own.reset(4), bound.reset(4)
    for action in actions:
        for key, array in block.items():
            np.testing.assert_array_equal(array[1], one.observation[key])
            assert other.observation[key].base is not None and not array[0].any() and not array[2].any()
        one, other = (own.reset(4), bound.reset(4)) if one.last else (own.step(action), bound.step(action))
    own.close(), bound.close()
