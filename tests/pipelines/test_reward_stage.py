"""The reward stage: from stored rows to the reward that the learner sees, worked by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError

from actors.policy import Config as PolicyConfig
from actors.policy import RecurrentPolicy
from actors.unroll import Unroll
from envs.captions import caption_id
from envs.environment import Task
from envs.specs import ArraySpec, Discrete, EnvSpec
from envs.timestep import restart, termination, transition
from envs.trajectory import unragged
from envs.vector import VectorEnvironment
from learners.batch import build_batch
from pipelines.environment.roles import PolicyLearner
from pipelines.experiment import Experiment, RewardConfig
from pipelines.reward_stage import RewardStage, layout_of, novelty_for, outcomes, reward_model_for, view_for
from rewards.questions import caption_question, pair_question
from rewards.verdicts import Status, Verdict

GOAL, STEP = "You reach the goal.", "You take a step."


class Walk:
    """Three steps to the goal, which pays 50, as ONI's tasks do; the second step costs 0.01."""

    spec = EnvSpec({"x": ArraySpec((2,), "float32"), "level": ArraySpec((), "int64")}, Discrete(2))

    def reset(self, seed):
        self.at = 0
        return restart(self._see())

    def step(self, action):
        self.at += 1
        if self.at == 3:
            return termination(50.0, self._see(), True)
        return transition(-0.01 if self.at == 2 else 0.0, self._see())

    def _see(self):
        return {"x": np.array([self.at, -self.at], np.float32), "level": np.array(self.at)}

    def render(self):
        return ""

    def close(self):
        pass


class Says:
    def reset(self, timestep):
        pass

    def caption(self, timestep):
        return GOAL if timestep.last else STEP


def rollout(length=8, envs=1):
    torch.manual_seed(0)
    vector = VectorEnvironment(Task("walk", "", Walk, Says), envs, 0)
    actor = Unroll(vector, RecurrentPolicy(vector.spec, PolicyConfig(hidden=8, crop=3)), length, 0, 0, 0)
    return actor.rollout()


def verdict(question, value, status=Status.OK):
    return Verdict(
        subject=question.subject,
        subject_kind=question.kind,
        component="intrinsic",
        reward_version="1",
        value=value,
        status=status,
        judge_fingerprint="me",
        text="\n".join(question.texts),
    )


def taught(stage, *verdicts, captions=(GOAL, STEP), steps=0):
    stage.model.observe({caption_id(text): text for text in captions})
    stage.model.add(verdicts)
    if steps:
        stage.model.train(steps)
    return stage


def test_outcomes_are_the_observations_that_steps_led_to():
    _, rows = rollout(length=5)  # rows 0→1→2→3 and 0→1→2
    found = outcomes(rows)
    assert found["x"].tolist() == [[1, -1], [2, -2], [3, -3], [1, -1], [2, -2]]
    assert found["level"].reshape(-1).tolist() == [1, 2, 3, 1, 2]


def test_a_row_that_goes_on_with_an_episode_is_known_to_have_begun_elsewhere():
    vector = VectorEnvironment(Task("walk", "", Walk, Says), 1, 0)
    actor = Unroll(vector, RecurrentPolicy(vector.spec, PolicyConfig(hidden=8, crop=3)), 2, 0, 0, 0)
    rows = [actor.rollout()[1] for _ in range(2)]  # 0→1→2, then 2→3 and 0→1
    layouts = [layout_of(one) for one in rows]
    assert [layout.steps.tolist() for layout in layouts] == [[2], [1, 1]]
    assert [layout.began.tolist() for layout in layouts] == [[True], [False, True]]
    assert [layout.ended.tolist() for layout in layouts] == [[False], [True, False]]


def test_the_goal_reward_of_50_is_not_clipped_on_its_way_to_the_learner():
    """ONI's released code clipped it to 10."""
    _, rows = rollout(length=3)
    stage = RewardStage(RewardConfig(source="extrinsic"))
    result = stage(rows)
    np.testing.assert_array_equal(result.reward, np.float32([0.0, -0.01, 50.0]))
    batch = build_batch([rows], reward=lambda r: result.reward, weight=lambda r: result.weight)
    assert batch.reward.tolist() == pytest.approx([0.0, -0.01, 50.0])
    assert batch.discount.tolist() == [1, 1, 0]


def test_coefficients_scale_what_the_environment_pays():
    _, rows = rollout(length=3)
    result = RewardStage(RewardConfig(source="extrinsic", extrinsic_coefficient=10.0))(rows)
    assert result.reward.tolist() == pytest.approx([0.0, -0.1, 500.0])


def test_verdicts_decay_by_their_count_in_the_episode_worked_by_hand():
    _, rows = rollout(length=5)
    config = RewardConfig(source="retrieval", intrinsic_coefficient=0.4, count_exponent=3.0)
    result = taught(RewardStage(config), verdict(caption_question(STEP), 1.0), verdict(caption_question(GOAL), 0.5))(
        rows
    )
    intrinsic = [0.4, 0.4 / 8, 0.4 * 0.5, 0.4, 0.4 / 8]
    assert result.contributions["intrinsic"].tolist() == pytest.approx(intrinsic)
    assert result.reward.tolist() == pytest.approx(np.add(intrinsic, [0, -0.01, 50, 0, -0.01]), rel=1e-6)
    assert result.weight.tolist() == [1] * 5 and result.null_counts["intrinsic"] == 0


@pytest.mark.parametrize(("on_null", "weight"), [("omit", [1, 1, 1]), ("mask", [0, 0, 1])])
def test_a_caption_without_verdict_is_null_and_never_a_zero(on_null, weight):
    _, rows = rollout(length=3)
    config = RewardConfig(source="retrieval", intrinsic_coefficient=1.0, on_null=on_null)
    failed = verdict(caption_question(STEP), None, Status.UNPARSEABLE)  # became a 0 in ONI's released code
    result = taught(RewardStage(config), failed, verdict(caption_question(GOAL), 1.0))(rows)
    assert result.reward[np.array(weight) == 1].tolist() == pytest.approx([0.0, -0.01, 51.0][-sum(weight) :])
    assert result.weight.tolist() == weight and result.null_counts["intrinsic"] == 2


@pytest.mark.slow
def test_the_normalised_and_cut_ranking_reward_reaches_the_policy():
    """In ONI's released code the policy was given the raw scores."""
    _, rows = rollout(length=3)
    config = RewardConfig(source="ranking", intrinsic_coefficient=1.0, extrinsic_coefficient=0.0, count_exponent=0.0)
    config = config.model_copy(update={"ranking": config.ranking.model_copy(update={"min_labels": 1})})
    stage = taught(RewardStage(config), verdict(pair_question(GOAL, STEP), 1.0), steps=30)
    ids = unragged(rows.column("caption_id"))
    shown, valid = stage.model.score(ids)
    raw = stage.model.raw(ids.tolist())
    assert valid.all() and not np.allclose(shown, raw)
    # Of two captions, z is -1 and 1, and the cutoff, their median, is 0.
    np.testing.assert_allclose(stage(rows).reward, [0.0, 0.0, 1.0], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["count", "rnd"])
def test_novelty_is_scored_before_it_becomes_familiar(source):
    _, rows = rollout(length=3)
    config = RewardConfig(source=source, intrinsic_coefficient=1.0, extrinsic_coefficient=0.0)
    config = config.model_copy(update={"count": config.count.model_copy(update={"keys": ("x",)})})
    stage = RewardStage(config)
    unseen = stage(rows, learn=False).reward
    np.testing.assert_array_equal(stage(rows, learn=False).reward, unseen)
    np.testing.assert_array_equal(stage(rows).reward, unseen)
    later = [stage(rows).reward for _ in range(100)][-1]
    assert (unseen > 0).all() and (later != unseen).all()
    if source == "count":
        np.testing.assert_allclose(unseen, 1.0)
        np.testing.assert_allclose(later, 100**-0.5, rtol=1e-6)


def test_sources_get_what_they_need_and_nothing_else():
    for source in ("retrieval", "classification", "ranking"):
        assert reward_model_for(RewardConfig(source=source)) and not novelty_for(RewardConfig(source=source))
    for source in ("count", "rnd"):
        assert novelty_for(RewardConfig(source=source)) and not reward_model_for(RewardConfig(source=source))
    stage = RewardStage(RewardConfig(source="extrinsic"))
    assert stage.model is None and stage.novelty is None
    assert stage.view.formula() == "reward = extrinsic"


@pytest.mark.parametrize("source", ["extrinsic", "count", "rnd", "retrieval"])
def test_a_stage_goes_on_from_its_state(source):
    _, rows = rollout(length=6)
    config = RewardConfig(source=source)
    config = config.model_copy(update={"count": config.count.model_copy(update={"keys": ("x",)})})
    one = RewardStage(config)
    one(rows)
    other = RewardStage(config)
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(one(rows).reward, other(rows).reward)


def test_the_reward_in_the_loss_is_that_of_the_view(small, monkeypatch):
    """End to end: rows, view, batch, learner; the mean reward that the learner saw, by component."""
    experiment = small({"reward": "retrieval", "reward.intrinsic_coefficient": 0.4})
    learner = PolicyLearner(experiment, Walk.spec)
    taught(learner.rewards, verdict(caption_question(STEP), 1.0), verdict(caption_question(GOAL), 1.0))
    torch.manual_seed(0)
    vector = VectorEnvironment(Task("walk", "", Walk, Says), 1, 0)
    rows = Unroll(vector, learner.policy, 3, 0, 0, 0).rollout()[1]
    seen = []
    update = learner.learner.update
    monkeypatch.setattr(learner.learner, "update", lambda batch: (seen.append(batch), update(batch))[1])
    metrics, weights = learner.update([rows, rows])
    expected = [0.4, 0.4 / 8 - 0.01, 50.4] * 2
    assert seen[0].reward.tolist() == pytest.approx(expected, rel=1e-6)
    assert metrics["mean_reward"] == pytest.approx(np.mean(expected), rel=1e-6)
    assert metrics["reward_extrinsic"] == pytest.approx(49.99 / 3, rel=1e-6)
    assert metrics["reward_intrinsic"] == pytest.approx((0.4 + 0.05 + 0.4) / 3, rel=1e-6)
    assert weights.version == 1 and metrics["frames"] == 6


def test_rows_that_are_not_trajectories_are_refused():
    with pytest.raises(ValueError, match="kind and version"):
        outcomes(pa.record_batch({"x": [1]}))


def test_an_experiment_may_bring_a_view_of_its_own():
    parts = [
        {"part": "count_decay", "preset": "oni", "of": "intrinsic"},
        {"part": "weighted_sum", "coefficients": {"extrinsic": 1, "intrinsic": 0.5}, "on_null": {"intrinsic": "omit"}},
    ]
    own = RewardConfig.model_validate({"source": "retrieval", "view": {"name": "own", "parts": parts}})
    usual = RewardConfig(source="retrieval", intrinsic_coefficient=0.5)
    assert view_for(own).formula() == view_for(usual).formula()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([{"part": "scale", "of": "intrinsic", "factor": 1, "to": "reward"}], "got column 'intrinsic'"),
        ([{"part": "reduce", "of": "extrinsic", "to": "reward"}], "expected a reward of each step"),
        (
            [
                {"part": "scale", "of": "extrinsic", "factor": 1, "to": "reward"},
                {"part": "returns", "of": "reward", "to": "advantage"},
            ],
            "expected a reward, for the critic",
        ),
    ],
)
def test_a_view_that_does_not_fit_is_refused_before_the_run(parts, message):
    with pytest.raises(ValidationError, match=message):
        RewardConfig.model_validate({"source": "extrinsic", "view": {"name": "own", "parts": parts}})


def test_a_view_that_nobody_brought_changes_no_hash_and_one_of_its_own_does():
    parts = [{"part": "scale", "of": "extrinsic", "factor": 1, "to": "reward"}]
    plain = Experiment(name="x", task="catch", reward=RewardConfig(source="extrinsic"))
    own = plain.reward.model_copy(update={"view": {"name": "own", "parts": parts}})
    own = plain.model_copy(update={"reward": RewardConfig.model_validate(own.model_dump(warnings=False))})
    assert '"view"' in own.model_dump_json() and own.identity() != plain.identity()
    assert own.reward_version("j") != plain.reward_version("j")
