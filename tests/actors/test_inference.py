"""The same answers wherever the policy is computed, and nobody waits for ever."""

from __future__ import annotations

import threading

import numpy as np
import pyarrow as pa
import pytest
import torch

from actors.inference import InferenceLost, InferenceServer, OwnInference
from actors.policy import Config, RecurrentPolicy
from actors.unroll import Unroll
from envs.tasks import make_task
from envs.vector import VectorEnvironment
from learners.weights import pack_weights

CATCH = make_task("catch")


class Served:
    """Asks an inference server in this process, in a thread, as an actor asks one in another."""

    def __init__(self, server):
        self.server = server

    def ask(self, observation, state):
        seen, memory = {key: value.clone() for key, value in observation.items()}, state.clone()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.server.decide(seen, memory, 280)))
        thread.start()

        def wait():
            thread.join()
            return answers[0]

        return wait


def policy(seed=0):
    torch.manual_seed(seed)
    return RecurrentPolicy(VectorEnvironment(CATCH, 1, 0).spec, Config(hidden=16))


def actor(sizes, inference, index=0):
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    vectors = [VectorEnvironment(CATCH, n, 3, first) for n, first in zip(sizes, starts, strict=True)]
    return Unroll(vectors, policy(1), 12, 7, index, 0, inference)


def leaves(column):
    """The numbers of a column, whatever lists they lie in."""
    while pa.types.is_nested(column.type):
        column = column.flatten()
    return column


def alike(rows, same):
    """Equal, floats up to their last bits: calls that are answered together are one product of other matrices."""
    for name in rows.schema.names:
        one, other = leaves(rows.column(name)), leaves(same.column(name))
        if pa.types.is_floating(one.type):
            np.testing.assert_allclose(one.to_numpy(False), other.to_numpy(False), atol=1e-5, err_msg=name)
        else:
            assert one == other, name


@pytest.fixture
def server():
    server = InferenceServer(policy())
    server.load(5, pack_weights(policy(2)))
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [[6], [3, 3], [4, 2]])
def test_a_server_gives_an_actor_what_its_own_policy_gives_it(server, sizes):
    here, there = actor(sizes, None), actor(sizes, Served(server))
    here.load_weights(5, pack_weights(policy(2)))
    for _ in range(3):
        (one, rows), (other, same) = here.rollout(), there.rollout()
        assert rows.schema == same.schema and len(rows) == len(same)
        alike(rows, same)
        assert one.policy_version == other.policy_version == 5 and one.episodes == other.episodes


def test_environments_are_the_same_whatever_their_parts():
    whole, parts = actor([5], None), actor([2, 3], None)
    seeds = [whole.parts[0].episode_seeds.tolist()]
    assert seeds[0] == [seed for part in parts.parts for seed in part.episode_seeds.tolist()]
    rows = parts.rollout()[1]
    assert rows.column("env_index").to_pylist() == sorted(rows.column("env_index").to_pylist())
    assert set(rows.column("env_index").to_pylist()) == set(range(5))


def test_calls_that_come_meanwhile_are_answered_together_and_each_gets_its_own(server):
    alone = OwnInference(policy(2))
    calls = [({"board": torch.randint(0, 3, (n, 10, 5), dtype=torch.uint8)}, torch.randn(n, 16)) for n in range(1, 9)]
    answers = {}

    def ask(i):
        answers[i] = server.decide(*calls[i], timeout_s=280)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(calls))]
    with server._weights:  # the worker is held up with the first call while the others come
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join()
    for i, (observation, state) in enumerate(calls):
        torch.testing.assert_close(answers[i].parameters, alone.ask(observation, state)().parameters)
        torch.testing.assert_close(answers[i].state, alone.ask(observation, state)().state)
    assert server.rows == sum(range(1, 9)) and server.batches <= len(calls)


def test_weights_that_change_within_a_rollout_are_told_step_by_step(server):
    class Reloading(Served):
        asked = 0

        def ask(self, observation, state):
            Reloading.asked += 1
            if Reloading.asked == 6:
                self.server.load(9, pack_weights(policy(3)))
            return super().ask(observation, state)

    fragment, rows = actor([4], Reloading(server)).rollout()
    assert fragment.policy_version == 5
    lows, highs = rows.column("policy_version_min").to_pylist(), rows.column("policy_version_max").to_pylist()
    assert min(lows) == 5 and max(highs) == 9 and any(low < high for low, high in zip(lows, highs, strict=True))


def test_a_question_without_an_answer_is_lost_and_the_next_rollout_goes_on(server):
    class Failing(Served):
        left = 5

        def ask(self, observation, state):
            Failing.left -= 1
            if Failing.left == 0:
                raise InferenceLost("gone")
            return super().ask(observation, state)

    unroll = actor([2], Failing(server))
    with pytest.raises(InferenceLost, match="gone"):
        unroll.rollout()
    fragment, _ = unroll.rollout()
    assert fragment.key == (0, 0, 0) and fragment.frames == 24
    assert set(fragment.captions) == set(fragment.caption_steps), "captions of the lost steps were not taken as sent"


def test_a_server_that_is_held_up_is_not_waited_for_beyond_the_deadline(server):
    with server._weights, pytest.raises(InferenceLost, match=r"no answer within 0\.05 s"):
        server.decide({"board": torch.zeros(1, 10, 5, dtype=torch.uint8)}, torch.zeros(1, 16), timeout_s=0.05)


def test_an_error_of_the_policy_reaches_who_asked(server):
    with pytest.raises(RuntimeError):
        server.decide({"board": torch.zeros(1, 3, dtype=torch.uint8)}, torch.zeros(1, 16), timeout_s=280)
