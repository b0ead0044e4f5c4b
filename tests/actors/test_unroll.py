"""Unroll: what it writes is what happened, step by step, and what the policy says of it again."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from actors.policy import Config, RecurrentPolicy
from actors.unroll import Unroll, rows_of
from envs.environment import Task
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.tasks import make_task
from envs.timestep import restart, termination, transition, truncation
from envs.trajectory import schema_for, trajectories, validate
from envs.vector import VectorEnvironment
from learners.batch import build_batch
from learners.weights import pack_weights

CATCH = make_task("catch")
MAZE = make_task("minihack-room-15x15", max_episode_steps=11)  # episodes of 11 steps cut rollouts of 16 inside


class Corridor:
    """Episode k (by its seed) lasts 1 + seed % 7 steps; the observation is (seed, position), the caption its parity."""

    def __init__(self, scalar: bool = False) -> None:
        shapes = {"where": ArraySpec((), "int64")} if scalar else {"where": ArraySpec((2,), "int64")}
        self.spec, self._scalar = EnvSpec(shapes, Discrete(3)), scalar

    def _see(self):
        return {"where": np.array(self._at) if self._scalar else np.array([self._seed, self._at])}

    def reset(self, seed):
        self._seed, self._at, self._length = seed, 0, 1 + seed % 7
        return restart(self._see())

    def step(self, action):
        self._at += 1
        if self._at == self._length:
            over = termination if self._seed % 2 else truncation
            return over(float(self._seed % 5), self._see(), bool(self._seed % 3))
        return transition(0.25 * int(action), self._see())

    def render(self):
        return str(self._at)

    def close(self):
        pass


class Parity:
    def reset(self, timestep):
        pass

    def caption(self, timestep):
        position = int(np.ravel(timestep.observation["where"])[-1])
        return "" if position % 3 == 0 else f"You stand on an {'even' if position % 2 == 0 else 'odd'} stone."


CORRIDOR = Task("corridor", "walk", Corridor, Parity)


def unroll(task, envs=5, length=16, seed=0, hidden=24):
    torch.manual_seed(seed)
    vector = VectorEnvironment(task, envs, seed)
    actor = Unroll(vector, RecurrentPolicy(vector.spec, Config(hidden=hidden, crop=5)), length, seed + 1, 3, 2)
    # Heads that are not nearly uniform, so that a mistake in order or memory shows in the log-probabilities.
    with torch.no_grad():
        actor.policy.policy_head.weight.mul_(100)
    actor.load_weights(4, pack_weights(actor.policy))
    return actor


def evaluated(policy, rows):
    batch = build_batch([rows])
    with torch.no_grad():
        return batch, policy.evaluate(batch.observation, batch.lengths, batch.initial_state, batch.action)


@pytest.mark.slow
@pytest.mark.parametrize("task", [CATCH, CORRIDOR, MAZE], ids=lambda task: task.name)
def test_the_policy_says_again_what_it_said_when_it_acted(task):
    """The strong test: rows, packing, order, memory across fragments and first observations all have to be right."""
    actor = unroll(task)
    lengths = set()
    for _ in range(4):
        _, rows = actor.rollout()
        validate(rows)
        batch, evaluation = evaluated(actor.policy, rows)
        torch.testing.assert_close(evaluation.logprob, batch.behaviour_logprob, atol=2e-5, rtol=2e-5)
        lengths |= set(batch.lengths.tolist())
    assert len(lengths) > 2, "episodes must end inside rollouts, or the test says little"
    actor.close()


def test_it_does_so_too_when_rows_are_taken_in_another_order():
    actor = unroll(CORRIDOR)
    _, rows = actor.rollout()
    batch = build_batch([rows])
    chosen = torch.randperm(batch.rows, generator=torch.Generator().manual_seed(0))
    part = batch.select(chosen)
    with torch.no_grad():
        again = actor.policy.evaluate(part.observation, part.lengths, part.initial_state, part.action)
    torch.testing.assert_close(again.logprob, part.behaviour_logprob, atol=2e-5, rtol=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("task", [CATCH, CORRIDOR, MAZE], ids=lambda task: task.name)
def test_rows_tell_what_an_environment_says_when_it_is_asked_again(task):
    """An independent replay: each episode, by its seed and the stored actions, in an environment of its own."""
    actor = unroll(task, envs=4, length=13)
    seeds = {(i, 0): int(actor.parts[0].episode_seeds[i]) for i in range(4)}
    begin = actor.parts[0]._start

    def noted(indices):
        begin(indices)
        for i in indices:
            seeds[i, int(actor.parts[0].episode_index[i])] = int(actor.parts[0].episode_seeds[i])

    actor.parts[0]._start = noted
    stories = {}
    for _ in range(4):
        _, rows = actor.rollout()
        for row in trajectories(rows):
            stories.setdefault(row.columns["episode_id"], []).append(row)

    assert any(len(parts) > 1 for parts in stories.values()), "some episode must go over a fragment's end"
    environment, captioner = task.make(), task.make_captioner()
    for episode_id, parts in stories.items():
        name, epoch, env_index, episode = episode_id.split("/")
        assert (name, epoch) == ("3", "2")
        timestep = environment.reset(seeds[int(env_index), int(episode)])
        captioner.reset(timestep)
        counts, steps = {}, 0
        for part in parts:
            assert part.columns["first_step"] == steps and part.columns["env_index"] == int(env_index)
            for t, action in enumerate(part.columns["action"]):
                for key, stored in part.observation.items():
                    np.testing.assert_array_equal(stored[t], timestep.observation[key])
                timestep = environment.step(action)
                steps += 1
                caption = captioner.caption(timestep)
                counts[caption] = counts.get(caption, 0) + 1
                assert part.columns["env_reward"][t] == np.float32(timestep.reward)
                assert part.columns["discount"][t] == timestep.discount
                assert (part.columns["caption_id"][t] != 0) == bool(caption)
                assert part.columns["caption_count"][t] == (counts[caption] if caption else 0)
            for key, stored in part.observation.items():
                np.testing.assert_array_equal(stored[-1], timestep.observation[key])
            assert part.columns["ended"] == timestep.last
            assert part.columns["success"] == (timestep.success if timestep.last else None)
        assert all(not part.columns["ended"] for part in parts[:-1])
    environment.close()
    actor.close()


def test_observations_without_axes_are_stored_too():
    """Gymnasium's Discrete observations are single numbers."""
    actor = unroll(Task("scalar", "walk", lambda: Corridor(scalar=True), Parity))
    _, rows = actor.rollout()
    validate(rows)
    batch, evaluation = evaluated(actor.policy, rows)
    torch.testing.assert_close(evaluation.logprob, batch.behaviour_logprob, atol=2e-5, rtol=2e-5)


def test_episode_ends_are_told_once_with_their_return_and_length():
    actor = unroll(CORRIDOR, envs=3, length=10)
    stories, told = {}, {}
    for _ in range(5):
        fragment, rows = actor.rollout()
        for row in trajectories(rows):
            stories.setdefault(row.columns["episode_id"], []).append(row.columns)
        for end in fragment.episodes:
            assert end.episode_id not in told
            told[end.episode_id] = end
    ended = {ident for ident, parts in stories.items() if parts[-1]["ended"]}
    assert ended == set(told) and ended
    for ident in ended:
        parts, end = stories[ident], told[ident]
        assert end.length_steps == sum(len(p["action"]) for p in parts)
        assert end.env_return == pytest.approx(sum(float(p["env_reward"].sum()) for p in parts))
        assert end.success == parts[-1]["success"]
        assert end.truncated == (parts[-1]["discount"][-1] > 0)


def test_memory_is_empty_where_an_episode_begins_and_handed_on_where_it_goes_on():
    actor = unroll(CORRIDOR, envs=4, length=6)
    fresh = handed_on = 0
    for _ in range(4):
        before = actor._state.clone().numpy()
        _, rows = actor.rollout()
        memory = rows.column("initial_state").flatten().to_numpy().reshape(rows.num_rows, -1)
        for r, first_step in enumerate(rows.column("first_step").to_pylist()):
            if first_step == 0:
                fresh += 1
                assert not memory[r].any()
            else:
                handed_on += 1
                np.testing.assert_array_equal(memory[r], before[rows.column("env_index")[r].as_py()])
                assert memory[r].any()
    assert fresh and handed_on


def test_rows_and_fragments_say_who_wrote_them_and_with_which_weights():
    actor = unroll(CATCH, envs=2, length=9)
    for sequence in range(3):
        fragment, rows = actor.rollout()
        assert fragment.key == (3, 2, sequence) and fragment.policy_version == 4
        assert fragment.frames == 18 == sum(rows.column("env_reward").value_lengths().to_pylist())
        assert fragment.rows == rows.num_rows
        assert rows.column("row_id").to_pylist() == [f"3/2/{sequence}/{r}" for r in range(rows.num_rows)]
        assert set(rows.column("sequence").to_pylist()) == {sequence}
        assert set(rows.column("policy_version_min").to_pylist() + rows.column("policy_version_max").to_pylist()) == {4}
        assert rows.schema.equals(schema_for(actor.parts[0].spec, 24), check_metadata=True)


def test_a_caption_is_sent_once_and_counted_always():
    actor = unroll(CATCH, envs=4, length=9)
    sent, steps = {}, 0
    for _ in range(6):
        fragment, rows = actor.rollout()
        assert not set(sent) & set(fragment.captions), "sent twice"
        sent |= fragment.captions
        ids = rows.column("caption_id").flatten().to_numpy()
        assert fragment.caption_steps == {int(i): int((ids == i).sum()) for i in np.unique(ids) if i}
        assert set(fragment.caption_steps) <= set(sent)
        steps += sum(fragment.caption_steps.values())
    assert steps == 6 * 4 * 9  # catch always says something
    assert {"The ball is above you.", "You catch the ball."} <= set(sent.values())


def test_two_actors_with_the_same_seed_write_the_same_and_with_another_seed_do_not():
    def story(seed):
        actor = unroll(CATCH, seed=seed)
        return [actor.rollout()[1] for _ in range(2)]

    assert story(1) == story(1)
    assert story(1)[0].column("action") != story(2)[0].column("action")


def test_weights_change_from_the_next_rollout_on():
    actor = unroll(CATCH)
    actor.rollout()
    with torch.no_grad():
        actor.policy.policy_head.weight.zero_()
        actor.policy.policy_head.bias.copy_(torch.tensor([50.0, 0.0, 0.0]))
    actor.load_weights(7, pack_weights(actor.policy))
    fragment, rows = actor.rollout()
    assert fragment.policy_version == 7
    assert not rows.column("action").flatten().to_numpy().any()


def test_rows_are_cut_at_episode_ends_worked_by_hand():
    last = np.array([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0], [1, 1, 0, 0]], bool)
    env, start, length = rows_of(last)
    assert env.tolist() == [0, 0, 1, 2, 3, 3, 3]
    assert start.tolist() == [0, 2, 0, 0, 0, 1, 2]
    assert length.tolist() == [2, 2, 4, 4, 1, 1, 2]


@given(st.integers(1, 5), st.integers(1, 7), st.data())
def test_rows_cover_every_step_once_and_end_where_episodes_do(n, length, data):
    last = np.array(data.draw(st.lists(st.booleans(), min_size=n * length, max_size=n * length))).reshape(n, length)
    covered = np.zeros((n, length), int)
    for env, start, steps in zip(*rows_of(last), strict=True):
        assert steps >= 1
        covered[env, start : start + steps] += 1
        assert not last[env, start : start + steps - 1].any()
        assert last[env, start + steps - 1] or start + steps == length
    assert (covered == 1).all()
