"""APPO: what an update does, what it survives, that it learns, and that it resumes where it was."""

import copy
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import safetensors.torch
import torch

from actors.policy import Evaluation
from learners.appo import Appo, Config
from learners.batch import TrainBatch, acting_index
from learners.descent import LearningDiverged
from learners.weights import pack_weights, unpack_weights


class Tiny(torch.nn.Module):
    """A linear policy and value over an observation "x"; no memory."""

    def __init__(self, inputs=3, actions=4, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.policy = torch.nn.Linear(inputs, actions)
            self.value = torch.nn.Linear(inputs, 1)

    def evaluate(self, observation, lengths, initial_state, action):
        x = observation["x"]
        logits = self.policy(x[acting_index(lengths)]).log_softmax(-1)
        entropy = -(logits.exp() * logits).sum(-1)
        return Evaluation(logits.gather(-1, action[:, None])[:, 0], entropy, self.value(x)[:, 0])


def batch_of(module, random, lengths=(3, 5, 1, 4), pays=lambda x, action: action == 0, inputs=3, actions=4):
    """Experience gathered by `module` in a world without memory that ends with every row."""
    lengths = torch.tensor(lengths)
    steps, rows = int(lengths.sum()), len(lengths)
    x = torch.nn.functional.one_hot(torch.randint(inputs, (steps + rows,), generator=random), inputs).float()
    with torch.no_grad():
        seen = x[acting_index(lengths)]
        logits = module.policy(seen).log_softmax(-1)
        action = torch.multinomial(logits.exp(), 1, generator=random)[:, 0]
    discount = torch.ones(steps)
    discount[lengths.cumsum(0) - 1] = 0.0
    return TrainBatch(
        observation={"x": x},
        lengths=lengths,
        initial_state=torch.zeros(rows, 0),
        action=action,
        behaviour_logprob=logits.gather(-1, action[:, None])[:, 0],
        reward=pays(seen.argmax(-1), action).float(),
        discount=discount,
        policy_version_min=torch.zeros(rows, dtype=torch.int64),
        policy_version_max=torch.zeros(rows, dtype=torch.int64),
        row_ids=[str(row) for row in range(rows)],
    )


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def untimed(metrics):
    return {name: value for name, value in metrics.items() if not name.startswith("seconds_")}


class Meeting:
    """What learners in threads of one process have in common."""

    def __init__(self, size):
        self.said, self.barrier = [None] * size, threading.Barrier(size)


class Threads:
    """A `World` of threads."""

    def __init__(self, meeting, rank):
        self.meeting, self.rank, self.size = meeting, rank, len(meeting.said)

    def _all(self, tensor):
        self.meeting.said[self.rank] = tensor.detach().clone()
        self.meeting.barrier.wait(300)
        heard = torch.stack(self.meeting.said)
        self.meeting.barrier.wait(300)
        return heard

    def sum(self, tensor):
        return self._all(tensor).sum(0)

    def largest(self, tensor):
        return self._all(tensor).amax(0)


def together(parts, config, start):
    """Learners that share batches, each in a thread: those parts are learnt from by each, one after another."""
    meeting = Meeting(len(parts))
    learners = [Appo(copy.deepcopy(start), config, Threads(meeting, rank)) for rank in range(len(parts))]
    with ThreadPoolExecutor(len(parts)) as pool:
        metrics = list(
            pool.map(lambda pair: [pair[0].update(batch) for batch in pair[1]], zip(learners, parts, strict=True))
        )
    return learners, metrics


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
def test_learners_that_share_a_batch_take_the_step_of_one(random, weighted):
    start, config = Tiny(), Config(learning_rate=0.01, epochs=2)
    whole = [batch_of(start, random, lengths=(3, 5, 1, 4, 2)) for _ in range(3)]
    if weighted:
        whole = [replace(batch, weight=torch.rand(batch.frames, generator=random).round()) for batch in whole]
    parts = [[batch.select(torch.tensor(rows)) for batch in whole] for rows in ([0, 3], [1, 2, 4])]
    alone = Appo(copy.deepcopy(start), config)
    expected = [alone.update(batch) for batch in whole]
    learners, metrics = together(parts, config, start)
    for learner in learners:
        for name, value in alone.state_dict().items():
            torch.testing.assert_close(learner.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    for ours, theirs in zip(metrics[0], expected, strict=True):
        for name in (
            "frames",
            "rows",
            "mean_reward",
            "loss",
            "policy_loss",
            "value_loss",
            "entropy",
            "kl_to_behaviour",
            "grad_norm",
        ):
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-6), name


def test_where_one_of_several_learners_meets_nan_all_skip_the_step(random):
    start = Tiny()
    good, bad = batch_of(start, random), batch_of(start, random)
    bad = replace(bad, observation={"x": bad.observation["x"] * math.nan})
    learners, metrics = together([[good], [bad]], Config(), start)
    assert [found[0]["skipped_updates"] for found in metrics] == [1.0, 1.0]
    assert all(same(learner.module.state_dict(), start.state_dict()) for learner in learners)


def test_bfloat16_learns_nearly_the_same(random):
    batch = batch_of(Tiny(), random, lengths=[8] * 8)
    exact, rough = Appo(Tiny(), Config()), Appo(Tiny(), Config(precision="bfloat16"))
    one, other = exact.update(batch), rough.update(batch)
    assert other["entropy"] == pytest.approx(one["entropy"], abs=0.02)
    assert all(value.dtype == torch.float32 for value in rough.module.state_dict().values())


@pytest.mark.slow
def test_a_policy_learns_to_match_the_observation(random):
    # Like a bandit with three contexts: the action that equals the context pays 1. Chance is 1/4.
    module = Tiny()
    learner = Appo(module, Config(learning_rate=0.05, gamma=0.0))
    history = []
    for _ in range(60):
        batch = batch_of(module, random, lengths=[8] * 32, pays=lambda x, action: action == x)
        history.append(learner.update(batch))
    assert history[0]["mean_reward"] < 0.4
    assert history[-1]["mean_reward"] > 0.9
    assert history[-1]["entropy"] < history[0]["entropy"]


@pytest.mark.slow
def test_values_learn_what_a_late_reward_is_worth(random):
    # Two steps, x says which: 1 is paid at the second, so V(first) = gamma and V(second) = 1, and 0 behind.
    learner = Appo(Tiny(inputs=2), Config(learning_rate=0.05, gamma=0.5, entropy_coefficient=0.0))
    batch = batch_of(learner.module, random, lengths=[2] * 16, inputs=2)
    batch = replace(
        batch,
        observation={"x": torch.tensor([[1.0, 0], [0, 1], [7, 7]]).repeat(16, 1)},
        reward=torch.tensor([0.0, 1]).repeat(16),
        discount=torch.tensor([1.0, 0]).repeat(16),
    )
    first = learner.update(batch)
    for _ in range(200):
        last = learner.update(batch)
    with torch.no_grad():
        assert learner.module.value(torch.eye(2)).flatten().tolist() == pytest.approx([0.5, 1.0], abs=0.02)
    assert last["value_loss"] < 0.01 * first["value_loss"]
    assert last["explained_variance"] > 0.95


@pytest.mark.slow
def test_a_learner_catches_up_from_stale_experience(random):
    # All experience is from one old policy: it is reused, and the clip keeps the new policy near it.
    module = Tiny()
    learner = Appo(module, Config(learning_rate=0.02, clip=0.1, entropy_coefficient=0.0))
    batch = batch_of(module, random, lengths=[8] * 32)
    for _ in range(100):
        metrics = learner.update(batch)
    ratio = (
        module.evaluate(batch.observation, batch.lengths, None, batch.action).logprob - batch.behaviour_logprob
    ).exp()
    assert metrics["clip_fraction"] > 0.3
    assert 1.05 < ratio[batch.action == 0].mean() < 1.5
    assert metrics["policy_lag_max"] == 99


def test_what_is_out_of_the_loss_has_no_reward(random):
    learner = Appo(Tiny())
    batch = batch_of(learner.module, random)
    weight = torch.ones(13)
    weight[:5] = 0
    told = learner.update(replace(batch, weight=weight))
    assert told["mean_reward"] == pytest.approx(batch.reward[5:].mean().item())
    assert math.isnan(learner.update(replace(batch, weight=torch.zeros(13)))["mean_reward"])


def test_metrics_of_the_first_update_on_policy(random):
    learner = Appo(Tiny())
    batch = batch_of(learner.module, random)
    metrics = learner.update(batch)
    assert all(isinstance(value, float) for value in metrics.values())
    assert metrics["frames"] == 13 and metrics["rows"] == 4
    assert metrics["version"] == learner.version == 1
    assert metrics["clip_fraction"] == 0 and metrics["kl_to_behaviour"] == pytest.approx(0, abs=1e-6)
    assert metrics["mean_reward"] == pytest.approx(batch.reward.mean().item())
    assert metrics["policy_loss"] == pytest.approx(0, abs=1e-5)  # the mean of normalised advantages
    config = learner.config
    assert metrics["loss"] == pytest.approx(
        metrics["policy_loss"]
        + config.value_coefficient * metrics["value_loss"]
        - config.entropy_coefficient * metrics["entropy"],
        abs=1e-6,
    )
    assert metrics["skipped_updates"] == 0


@pytest.mark.parametrize("paid", [0.0, 0.1])
def test_of_returns_that_do_not_vary_no_variance_is_explained(random, paid):
    # Each step is a row that ends: its return is its reward, but for rounding of r - V + V.
    batch = batch_of(Tiny(), random, lengths=(1,) * 9)
    assert math.isnan(Appo(Tiny()).update(replace(batch, reward=torch.full((9,), paid)))["explained_variance"])


def test_the_loss_is_that_of_rows_taken_one_by_one(random):
    # Nothing leaks from row to row: without normalisation, losses are means over steps.
    batch = batch_of(Tiny(), random)
    off = Config(normalise_advantage=False)
    together = Appo(Tiny(), off).update(batch)
    alone = [Appo(Tiny(), off).update(batch.select(torch.tensor([row]))) for row in range(4)]
    for name in ("policy_loss", "value_loss", "entropy"):
        mean = sum(part[name] * part["frames"] for part in alone) / batch.frames
        assert together[name] == pytest.approx(mean, rel=1e-5)


def test_steps_of_weight_zero_are_not_learnt_from(random):
    batch = batch_of(Tiny(), random)
    weight = torch.ones(batch.frames)
    weight[8:] = 0.0  # the last two rows
    masked, cut = Appo(Tiny()), Appo(Tiny())
    masked.update(replace(batch, weight=weight))
    cut.update(batch.select(torch.tensor([0, 1])))
    for left, right in zip(masked.module.parameters(), cut.module.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_gamma_enters_the_returns_and_terminations_stop_them():
    class Fixed(Tiny):
        def evaluate(self, observation, lengths, initial_state, action):
            out = super().evaluate(observation, lengths, initial_state, action)
            return out._replace(value=torch.full_like(out.value, 2.0) + 0 * out.value)

    batch = batch_of(Fixed(), torch.Generator().manual_seed(0), lengths=[1, 1])
    batch = replace(batch, reward=torch.zeros(2), discount=torch.tensor([0.0, 1.0]))
    metrics = Appo(Fixed(), Config(gamma=0.5)).update(batch)
    # targets 0 and 0.5 · 2 = 1 against values 2
    assert metrics["value_loss"] == pytest.approx(((2 - 0) ** 2 + (2 - 1) ** 2) / 2)


def test_epochs_and_minibatches_make_that_many_gradient_steps(random):
    learner = Appo(Tiny(), Config(epochs=3, minibatches=2))
    metrics = learner.update(batch_of(learner.module, random))
    assert learner.version == 1
    assert learner.state_dict()["adam.step.value.bias"].item() == 6
    assert math.isfinite(metrics["loss"])


@pytest.mark.slow
def test_the_value_clip_holds_over_an_update_of_many_epochs(random):
    batch = batch_of(Tiny(), random)
    batch = replace(batch, reward=batch.reward + 100)
    before = Tiny().value(batch.observation["x"]).detach()
    moved = {}
    for clip in (0.5, None):
        learner = Appo(Tiny(), Config(learning_rate=0.1, epochs=30, value_clip=clip, max_grad_norm=1e9))
        learner.update(batch)
        moved[clip] = (learner.module.value(batch.observation["x"]) - before).abs().mean().item()
    # Adam's momentum carries values somewhat beyond the clip.
    assert moved[0.5] < 0.5 * moved[None]


def test_nan_skips_the_step_counts_it_and_changes_nothing(random):
    learner = Appo(Tiny())
    learner.update(batch_of(learner.module, random))
    before = learner.state_dict()
    bad = batch_of(learner.module, random)
    metrics = learner.update(replace(bad, reward=torch.full_like(bad.reward, math.nan)))
    after = learner.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"counters"}
    assert metrics["skipped_updates"] == 1 and math.isnan(metrics["loss"])
    assert learner.version == 2
    assert learner.update(batch_of(learner.module, random))["skipped_updates"] == 1


def test_too_many_skips_in_a_row_end_learning_with_a_remedy(random):
    learner = Appo(Tiny(), Config(max_skipped=3))
    good = batch_of(learner.module, random)
    bad = replace(good, reward=torch.full_like(good.reward, math.inf))
    learner.update(bad)
    learner.update(bad)
    learner.update(good)
    learner.update(bad)
    learner.update(bad)
    with pytest.raises(LearningDiverged, match="lower learning_rate"):
        learner.update(bad)


def test_autograd_anomaly_detection_stays_off(random):
    learner = Appo(Tiny())
    learner.update(batch_of(learner.module, random))
    assert not torch.is_anomaly_enabled()


@pytest.mark.slow
def test_a_resumed_learner_goes_on_bit_for_bit(random):
    config = Config(epochs=2, minibatches=2, learning_rate=0.01)
    batches = [batch_of(Tiny(), random) for _ in range(6)]
    learner = Appo(Tiny(), config)
    for batch in batches[:3]:
        learner.update(batch)
    saved = safetensors.torch.save(learner.state_dict())
    resumed = Appo(Tiny(seed=1), config)
    resumed.load_state_dict(safetensors.torch.load(saved))
    for batch in batches[3:]:
        assert untimed(learner.update(batch)) == untimed(resumed.update(batch))
    assert same(learner.state_dict(), resumed.state_dict())
    assert resumed.version == 6


def test_a_learner_that_has_not_learnt_yet_can_be_saved_too():
    learner = Appo(Tiny(seed=1))
    learner.load_state_dict(Appo(Tiny()).state_dict())
    assert same(learner.state_dict(), Appo(Tiny()).state_dict())


def test_the_state_of_another_module_is_refused():
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        Appo(Tiny()).load_state_dict(Appo(Tiny(actions=5)).state_dict())
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        Appo(Tiny()).load_state_dict({})


def test_batches_are_not_written_into(random):
    learner = Appo(Tiny(), Config(epochs=2, minibatches=2))
    batch = batch_of(learner.module, random)
    before = {name: value.clone() for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    learner.update(batch)
    assert same(before, {name: getattr(batch, name) for name in before})


def test_weights_travel_as_safetensors(random):
    source, target = Appo(Tiny(seed=0)), Appo(Tiny(seed=1))
    target.load_weights(source.weights())
    assert same(source.module.state_dict(), target.module.state_dict())
    assert same(safetensors.torch.load(pack_weights(source.module)), dict(source.module.state_dict()))
    for blob in (b"", b"no safetensors at all", Appo(Tiny(actions=5)).weights()):
        with pytest.raises(ValueError, match="do not fit the module"):
            unpack_weights(target.module, blob)


@pytest.mark.slow
def test_without_a_clip_a_learner_goes_as_far_as_the_experience_carries_it():
    # As in the test of the clip above, from the same stale experience; here nothing holds the policy back.
    random = torch.Generator().manual_seed(0)
    module = Tiny()
    learner = Appo(module, Config(learning_rate=0.02, clip=None, entropy_coefficient=0.0))
    batch = batch_of(module, random, lengths=[8] * 32)
    for _ in range(100):
        metrics = learner.update(batch)
    chosen = module.evaluate(batch.observation, batch.lengths, None, batch.action).logprob.exp()
    assert chosen[batch.action == 0].mean() > 0.7  # from 0.25, where the clip of 0.1 ends below 0.4
    assert 0.1 < metrics["clip_fraction"] < 0.5  # the ratios above rho_bar are those of the action that pays


def test_without_a_clip_the_first_step_on_policy_is_that_of_the_surrogate(random):
    batch = batch_of(Tiny(), random)
    clipped, free = Appo(Tiny(), Config(clip=0.1)), Appo(Tiny(), Config(clip=None))
    clipped.update(batch)
    free.update(batch)
    for left, right in zip(clipped.module.parameters(), free.module.parameters(), strict=True):
        torch.testing.assert_close(left, right)


def test_a_step_of_unknown_reward_tells_nothing_to_the_steps_before_it(random):
    # The same update whatever stands there, and targets that end at the value of the step.
    batch = batch_of(Tiny(), random, lengths=[3])
    weight = torch.tensor([1.0, 0.0, 1.0])
    learners = Appo(Tiny()), Appo(Tiny())
    for learner, unknown in zip(learners, (0.0, 50.0), strict=True):
        reward = batch.reward.clone()
        reward[1] = unknown
        learner.update(replace(batch, reward=reward, weight=weight))
    assert same(learners[0].module.state_dict(), learners[1].module.state_dict())
    assert not same(learners[0].module.state_dict(), Tiny().state_dict())


def test_with_normalised_returns_the_size_of_the_reward_makes_no_difference(random):
    config = Config(normalise_returns=True, normalise_advantage=False, learning_rate=0.01)
    batches = [batch_of(Tiny(), random) for _ in range(5)]
    small, large = Appo(Tiny(), config), Appo(Tiny(), config)
    for batch in batches:
        told = small.update(batch), large.update(replace(batch, reward=batch.reward * 1024))
    assert told[1]["value_loss"] == pytest.approx(told[0]["value_loss"], rel=1e-4)
    assert told[1]["mean_value"] == pytest.approx(1024 * told[0]["mean_value"], rel=1e-4)
    for left, right in zip(small.module.parameters(), large.module.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-6)


def test_learners_that_share_a_batch_have_one_scale_of_returns(random):
    config = Config(normalise_returns=True, learning_rate=0.01)
    batches = [batch_of(Tiny(), random) for _ in range(3)]
    alone = Appo(Tiny(), config)
    for batch in batches:
        alone.update(batch)
    halves = [[b.select(torch.tensor(rows)) for b in batches] for rows in ([0, 1], [2, 3])]
    shared, _ = together(halves, config, Tiny())
    for learner in shared:
        torch.testing.assert_close(learner.state_dict()["returns"], alone.state_dict()["returns"], rtol=1e-6, atol=0)


def test_the_scale_of_returns_goes_with_the_state_and_survives_a_reward_that_is_not_finite(random):
    config = Config(normalise_returns=True)
    learner, batch = Appo(Tiny(), config), batch_of(Tiny(), random)
    learner.update(batch)
    before = learner.state_dict()["returns"]
    learner.update(replace(batch, reward=batch.reward * math.nan))
    assert torch.equal(learner.state_dict()["returns"], before)
    again = Appo(Tiny(seed=1), config)
    again.load_state_dict(learner.state_dict())
    assert same(again.state_dict(), learner.state_dict())
    with pytest.raises(ValueError, match="resume with the config that wrote it"):
        again.load_state_dict(Appo(Tiny()).state_dict())


def test_a_batch_of_which_nothing_is_known_moves_nothing(random):
    # As long as a judge is down. Adam's momentum would go on, and its second moments fade: too long a step afterwards.
    learner, batch = Appo(Tiny(), Config(normalise_returns=True)), batch_of(Tiny(), random)
    learner.update(batch)
    before = learner.state_dict()
    metrics = learner.update(replace(batch, weight=torch.zeros(batch.frames)))
    after = learner.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before if name != "counters")
    assert learner.version == 2 and metrics["skipped_updates"] == 0 and math.isnan(metrics["loss"])
