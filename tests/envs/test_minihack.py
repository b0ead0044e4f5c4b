import sys

import numpy as np
import pytest

pytest.importorskip("nle")

from envs.blstats import Blstat
from envs.captions import nethack_captioner
from envs.contract import EnvironmentContract
from envs.minihack import _registry, make_minihack, minihack_ids
from envs.tasks import TASKS, make_task


class TestKeyRoom(EnvironmentContract):
    def task(self):
        return make_task("minihack-keyroom-s5")


class TestRiver(EnvironmentContract):
    def task(self):
        return make_task("MiniHack-River-Narrow-v0")


class TestExploreMaze(EnvironmentContract):
    def task(self):
        return make_task("minihack-exploremaze-easy")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TASKS if name.startswith("minihack")])
def test_every_minihack_task_can_be_made_and_played(name):
    env = make_task(name, max_episode_steps=5).make()
    assert set(env.reset(1).observation) == {"chars", "blstats", "message"}
    steps = [env.step(0) for _ in range(5)]
    assert steps[-1].last
    env.close()


MOVES = {"N": (-1, 0), "E": (0, 1), "S": (1, 0), "W": (0, -1)}
MOVES |= {"NE": (-1, 1), "SE": (1, 1), "SW": (1, -1), "NW": (-1, -1)}


class KeyRoomPlayer:
    """Walks to the key, picks it up, looks for the door and unlocks it, walks to the stairs."""

    def __init__(self, names):
        self.names, self.door, self.has_key, self.opened, self.visited = names, None, False, False, set()

    def act(self, observation):
        chars = observation["chars"]
        me = (int(observation["blstats"][Blstat.Y]), int(observation["blstats"][Blstat.X]))
        self.visited.add(me)
        message = observation["message"].tobytes()
        self.has_key |= b" - a key" in message
        self.opened |= b"door opens" in message
        if (closed := np.argwhere(chars == ord("+"))).size:
            self.door = tuple(closed[0])
        if not self.has_key:
            key = np.argwhere(chars == ord("("))
            if key.size:
                return self.walk(chars, me, tuple(key[0]))
            if b"a key" in message:
                return self.names.index("PICKUP")
        if not self.has_key or self.door is None:
            floor = {tuple(at) for at in np.argwhere(chars == ord("."))} - self.visited
            nearest = min(floor, key=lambda at: max(abs(at[0] - me[0]), abs(at[1] - me[1])), default=me)
            return self.walk(chars, me, nearest)
        if not self.opened:
            beside = max(abs(me[0] - self.door[0]), abs(me[1] - self.door[1])) == 1
            return self.names.index("APPLY") if beside else self.walk(chars, me, self.door)
        stairs = np.argwhere(chars == ord(">"))
        return self.walk(chars, me, tuple(stairs[0]) if stairs.size else self.door)

    def walk(self, chars, me, goal):
        came, frontier = {me: None}, [me]
        for at in frontier:
            for name, (dy, dx) in MOVES.items():
                to = (at[0] + dy, at[1] + dx)
                free = to == goal or to == self.door or chr(chars[to]) in ".<>("
                through_door = self.door in (at, to) and dy and dx
                if free and not through_door and to not in came:
                    came[to] = (at, name)
                    frontier.append(to)
        at, name = goal, "N"
        while came.get(at):
            at, name = came[at]
        return self.names.index(name)


@pytest.mark.slow
def test_a_planner_solves_key_rooms_and_the_captions_tell_the_story():
    """MiniHack presses several keys for one `APPLY`; its own message afterwards is "Never mind."."""
    env, captioner = make_minihack("MiniHack-KeyRoom-S5-v0"), nethack_captioner()
    assert env.spec.action_names[-2:] == ("PICKUP", "APPLY")
    solved, told = 0, set()
    for seed in range(10):
        player, timestep = KeyRoomPlayer(env.spec.action_names), env.reset(seed)
        captioner.reset(timestep)
        while not timestep.last:
            timestep = env.step(player.act(timestep.observation))
            told.add(captioner.caption(timestep))
        solved += bool(timestep.success)
    assert solved >= 8
    assert "a key." in told
    assert any("You succeed in unlocking the door." in text for text in told)
    assert not any("disorder" in text for text in told)
    env.close()


def test_importing_minihack_needs_no_pkg_resources_and_leaves_none_behind():
    assert minihack_ids()
    assert type(sys.modules.get("pkg_resources")).__name__ != "ModuleType" or sys.modules["pkg_resources"].__spec__


def test_our_step_limit_reaches_the_inner_environment():
    """Regression: a limit given to gym.make never did, and the inner one was reported as a termination."""
    env = make_minihack("MiniHack-Room-15x15-v0", max_episode_steps=7)
    assert env.inner._max_episode_steps == 7
    env.reset(3)
    steps = [env.step(0) for _ in range(7)]
    assert [s.last for s in steps] == [False] * 6 + [True]
    assert (steps[-1].discount, steps[-1].success) == (1.0, False)
    assert steps[-1].observation["blstats"][Blstat.HP_MAX] > 0
    env.close()


def test_reaching_the_stairs_is_a_success_with_the_reward_of_winning():
    env, rng = make_minihack("MiniHack-Room-5x5-v0", penalty_step=0.0), np.random.default_rng(0)
    for seed in range(10):
        timestep = env.reset(seed)
        while not timestep.last:
            timestep = env.step(int(rng.integers(8)))
        if timestep.success:
            assert (timestep.reward, timestep.discount) == (1.0, 0.0)
            break
    else:
        pytest.fail("ten random games in a small room; expected at least one success")
    env.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MiniHack-KeyRoom-S5-v0", "MiniHack-Corridor-R2-v0"])
def test_the_trimmed_environment_plays_the_same_game_as_minihack_itself(name):
    """An independent implementation: MiniHack untouched, fed the same seeds and actions."""
    env = make_minihack(name)
    module, _, cls = _registry()[name].entry_point.partition(":")
    plain = getattr(sys.modules[module], cls)(fix_moon_phase=True)
    rng = np.random.default_rng(4)
    n = env.spec.action.n
    opened = 0
    for seed in range(6):
        player, timestep = KeyRoomPlayer(env.spec.action_names), env.reset(seed)
        plain.seed(*map(int, np.random.SeedSequence(seed).generate_state(2)), False, _levels(seed))
        observation, _ = plain.reset()
        for _ in range(150):
            for key in ("chars", "blstats"):
                if not timestep.last:  # MiniHack quits the game at the end and overwrites its own observation.
                    np.testing.assert_array_equal(timestep.observation[key], observation[key])
            if timestep.last:
                break
            planned = "KeyRoom" in name and rng.random() < 0.8
            action = player.act(timestep.observation) if planned else int(rng.integers(n))
            timestep = env.step(action)
            observation, reward, done, _, _ = plain.step(action)
            assert (timestep.reward, timestep.last) == (reward, done)
            opened += b"door opens" in timestep.observation["message"].tobytes()
    assert opened or "KeyRoom" not in name
    env.close(), plain.close()


def _levels(seed):
    return int(np.random.SeedSequence(seed).generate_state(3)[2])


def test_actions_can_be_narrowed_by_name():
    env = make_minihack("MiniHack-LockedDoor-v0", actions=["N", "E", "S", "W", "KICK"])
    assert env.spec.action_names == ("N", "E", "S", "W", "KICK")
    env.reset(1)
    env.step(4)
    env.close()


def test_an_unknown_id_is_refused_with_the_known_ones():
    with pytest.raises(
        ValueError, match=r"got MiniHack id 'MiniHack-Castle-v0'; expected one of .*MiniHack-KeyRoom-S5-v0"
    ):
        make_minihack("MiniHack-Castle-v0")
