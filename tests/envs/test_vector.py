import pickle
from functools import partial

import numpy as np
import pytest

from envs.captions import NoCaptions, caption_id
from envs.catch import Catch, CatchCaptioner
from envs.contract import ContractViolation
from envs.environment import Task
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.tasks import make_task
from envs.timestep import restart, termination, transition, truncation
from envs.vector import VectorEnvironment, episode_seed


class Scripted:
    """An environment of two floats that ends as it is told, and reuses its array."""

    def __init__(self, rewards=(1.0, 2.0, 3.0), end=termination, value=0.0, shape=(2,), dtype="float32", claim=(2,)):
        self.rewards, self.end, self.value = rewards, end, value
        self.array = np.zeros(shape, dtype)
        self.spec = EnvSpec({"x": ArraySpec(claim, "float32")}, Discrete(2))
        self.seeds = []

    def reset(self, seed):
        self.seeds.append(seed)
        self.at = 0
        self.array[:] = 0
        return restart({"x": self.array})

    def step(self, action):
        reward = self.rewards[self.at]
        self.at += 1
        self.array[:] = self.at
        if self.at == 2:
            self.array[0] += self.value
        kind = self.end if self.at == len(self.rewards) else transition
        return kind(reward, {"x": self.array})

    def render(self):
        return ""

    def close(self):
        pass


class Echo(NoCaptions):
    """Says `even` and `odd` in turn, and nothing every third step."""

    def caption(self, timestep):
        x = int(timestep.observation["x"][1])
        return "" if x % 3 == 0 else ("even" if x % 2 == 0 else "odd")


class Careless(NoCaptions):
    """Says what comes to its mind."""

    def __init__(self):
        self.texts = iter(["You win.\nAt last.\n", "a half \ud83d of a pair", "\n"])

    def caption(self, timestep):
        return next(self.texts)


def scripted(captioner=NoCaptions, **options):
    return Task("scripted", "", partial(Scripted, **options), captioner)


def zeros(n):
    return np.zeros(n, np.int64)


def test_rewards_discounts_and_ends_arrive_in_arrays():
    vector = VectorEnvironment(scripted(), 3, seed=0)
    vector.reset()
    steps = [vector.step(zeros(3)) for _ in range(3)]
    assert np.array_equal([s.reward for s in steps], [[1.0] * 3, [2.0] * 3, [3.0] * 3])
    assert steps[2].discount.tolist() == [0.0] * 3 and steps[1].discount.tolist() == [1.0] * 3
    assert steps[2].last.all() and not steps[1].last.any()
    assert steps[2].reward.dtype == steps[2].discount.dtype == np.float32


def test_a_truncation_keeps_its_discount():
    vector = VectorEnvironment(scripted(end=truncation), 1, seed=0)
    vector.reset()
    last = [vector.step(zeros(1)) for _ in range(3)][-1]
    assert last.last.all() and last.discount.tolist() == [1.0]


def test_the_final_observation_stands_until_the_finished_are_reset():
    vector = VectorEnvironment(scripted(), 2, seed=0)
    vector.reset()
    for _ in range(3):
        vector.step(zeros(2))
    assert vector.observation["x"].tolist() == [[3.0, 3.0]] * 2
    assert vector.episode_step.tolist() == [3, 3]
    assert vector.reset_finished().tolist() == [0, 1]
    assert vector.observation["x"].tolist() == [[0.0, 0.0]] * 2
    assert vector.episode_index.tolist() == [1, 1] and vector.episode_step.tolist() == [0, 0]
    assert vector.reset_finished().tolist() == []


def test_observations_are_copied_out_of_arrays_that_are_reused():
    vector = VectorEnvironment(scripted(), 1, seed=0)
    vector.reset()
    vector.step(zeros(1))
    kept = vector.observation["x"].copy()
    vector.ensemble.environments[0].array[:] = 99
    assert np.array_equal(vector.observation["x"], kept)


def test_stepping_over_an_end_is_refused_with_what_to_do():
    vector = VectorEnvironment(scripted(rewards=(1.0,)), 2, seed=0)
    with pytest.raises(RuntimeError, match=r"call reset\(\) first"):
        vector.step(zeros(2))
    vector.reset()
    vector.step(zeros(2))
    with pytest.raises(RuntimeError, match=r"environments \[0, 1\] have no running episode"):
        vector.step(zeros(2))


def test_captions_are_counted_within_their_episode_from_1():
    vector = VectorEnvironment(scripted(Echo, rewards=(0.0,) * 8), 1, seed=0)
    for _ in range(2):
        vector.reset_finished()
        steps = [vector.step(zeros(1)) for _ in range(8)]
        assert [s.captions.get(0, "") for s in steps] == ["odd", "even", "", "even", "odd", "", "odd", "even"]
        assert [int(s.caption_counts[0]) for s in steps] == [1, 1, 0, 2, 2, 0, 3, 3]
        assert [int(s.caption_ids[0]) for s in steps] == [caption_id(s.captions.get(0, "")) for s in steps]


def test_a_caption_that_no_judge_could_be_asked_about_is_made_one_that_can():
    vector = VectorEnvironment(scripted(Careless, rewards=(0.0,) * 3), 1, seed=0)
    vector.reset()
    said = [vector.step(zeros(1)).captions.get(0, "") for _ in range(3)]
    assert said == ["You win. At last.", "a half ? of a pair", ""]


def test_a_given_seed_gives_the_same_experience_whatever_else_runs():
    def gather(n):
        vector = VectorEnvironment(make_task("catch"), n, seed=5)
        vector.reset()
        boards = []
        for _ in range(30):
            boards.append(vector.observation["board"][0].copy())
            vector.step(zeros(n))
            vector.reset_finished()
        return np.stack(boards)

    assert np.array_equal(gather(1), gather(3))


def test_episode_seeds_are_31_bit_fixed_and_distinct():
    seeds = [episode_seed(1, env, episode) for env in range(20) for episode in range(50)]
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert seeds == [episode_seed(1, env, episode) for env in range(20) for episode in range(50)]
    assert episode_seed(2, 0, 0) != episode_seed(1, 0, 0)


def test_environments_are_reset_with_their_episodes_seeds():
    vector = VectorEnvironment(scripted(rewards=(0.0,)), 2, seed=9)
    vector.reset()
    vector.step(zeros(2))
    vector.reset_finished()
    seeds = [env.seeds for env in vector.ensemble.environments]
    assert seeds == [[episode_seed(9, i, e) for e in range(2)] for i in range(2)]
    assert vector.episode_seeds.tolist() == [episode_seed(9, i, 1) for i in range(2)]


def test_resuming_begins_the_next_episodes():
    vector = VectorEnvironment(scripted(), 2, seed=3)
    vector.reset()
    vector.step(zeros(2))
    resumed = VectorEnvironment(scripted(), 2, seed=3)
    resumed.load_state_dict(vector.state_dict())
    resumed.reset()
    assert resumed.episode_index.tolist() == [1, 1]
    assert resumed.episode_seeds.tolist() == [episode_seed(3, i, 1) for i in range(2)]
    with pytest.raises(ValueError, match="got the state of 2 environments; expected 3"):
        VectorEnvironment(scripted(), 3, seed=3).load_state_dict(vector.state_dict())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rewards": (1.0, float("nan"), 1.0)}, "step 2: got reward nan; expected a finite number"),
        ({"rewards": (1.0, float("inf"), 1.0)}, "step 2: got reward inf; expected a finite number"),
        ({"value": float("nan")}, "step 2: observation 'x': got NaN or infinity"),
        ({"shape": (3,)}, r"step 0: observation 'x': got shape \(3,\) of float32; the spec expects \(2,\) of float32"),
        ({"dtype": "float64"}, r"step 0: observation 'x': got shape \(2,\) of float64"),
    ],
)
def test_a_broken_contract_names_task_environment_episode_and_step(options, problem):
    vector = VectorEnvironment(scripted(**options), 2, seed=0)
    with pytest.raises(ContractViolation, match=r"task 'scripted', environment 0, episode 0 \(seed \d+\), " + problem):
        vector.reset()
        for _ in range(3):
            vector.step(zeros(2))


class Crashing(Scripted):
    """Raises in the step, or the reset, of which it is told."""

    def __init__(self, at, episode=0):
        super().__init__()
        self.crash, self.episode = at, episode

    def reset(self, seed):
        if self.crash == 0 and len(self.seeds) == self.episode:
            raise KeyError("no such level")
        return super().reset(seed)

    def step(self, action):
        if self.at + 1 == self.crash:
            raise RuntimeError("the simulator\nhas gone")
        return super().step(action)


@pytest.mark.parametrize(
    ("crash", "said"),
    [
        ({"at": 0}, "episode 0 .*step 0: it raised KeyError: 'no such level'"),
        ({"at": 0, "episode": 1}, "episode 1 .*step 0: it raised KeyError"),
        ({"at": 2}, r"episode 0 \(seed \d+\), step 2: it raised RuntimeError: the simulator has gone"),
    ],
)
def test_what_an_environment_raises_is_told_with_where_and_the_cause_goes_along(crash, said):
    makes = iter([Scripted, partial(Crashing, **crash)])
    vector = VectorEnvironment(Task("scripted", "", lambda: next(makes)(), NoCaptions), 2, seed=0, first=4)
    with pytest.raises(ContractViolation, match=f"task 'scripted', environment 5, {said}") as caught:
        vector.reset()
        for _ in range(5):
            vector.step(zeros(2))
            vector.reset_finished()
    assert isinstance(caught.value.__cause__, (KeyError, RuntimeError))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


class Speechless(NoCaptions):
    """Has no words for the second step, or the wrong ones."""

    def __init__(self, wrong=False):
        self.wrong = wrong

    def caption(self, timestep):
        if int(timestep.observation["x"][1]) < 2:
            return "once"
        return b"twice" if self.wrong else {}["twice"]


@pytest.mark.parametrize(
    ("wrong", "said"), [(False, "the captioner: it raised KeyError: 'twice'"), (True, "got a caption of type bytes")]
)
def test_what_a_captioner_raises_is_told_with_where(wrong, said):
    vector = VectorEnvironment(scripted(partial(Speechless, wrong)), 2, seed=0)
    vector.reset()
    vector.step(zeros(2))
    with pytest.raises(ContractViolation, match=f"environment 0, episode 0 .*, step 2: {said}"):
        vector.step(zeros(2))


def test_a_missing_observation_is_a_broken_contract():
    vector = VectorEnvironment(scripted(), 1, seed=0)
    vector.ensemble.environments[0].reset = lambda seed: restart({})
    with pytest.raises(ContractViolation, match=r"got observations \[\]; the spec expects \['x'\]"):
        vector.reset()


def test_no_environments_are_refused():
    with pytest.raises(ValueError, match="got 0 environments"):
        VectorEnvironment(scripted(), 0, seed=0)


def test_success_is_told_at_the_end_only():
    vector = VectorEnvironment(Task("catch", "", Catch, CatchCaptioner), 4, seed=0)
    vector.reset()
    for _ in range(8):
        assert vector.step(zeros(4)).success == {}
    last = vector.step(zeros(4))
    assert last.success == {i: bool(r > 0) for i, r in enumerate(last.reward)}
