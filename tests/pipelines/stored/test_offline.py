"""Learning from a stored run: what is learnt, what it is paid, how it is resumed, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from envs.trajectory import unragged
from pipelines import checkpoint
from pipelines.driver.lifecycle import write_config
from pipelines.environment.roles import task_of
from pipelines.errors import UserError
from pipelines.evaluate import evaluate_run
from pipelines.recipes.catch import catch
from pipelines.run_directory import RunDirectory
from pipelines.stored.offline import (
    JOINED,
    OfflineLearner,
    check_offline,
    resolve_offline,
    spec_difference,
)
from pipelines.stored.shown import inspect_run
from pipelines.stored.stored_run import StoredRun
from pipelines.train import check, resolve, train
from rewards.questions import caption_question
from rewards.subjects import subjects_of
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

ALGORITHMS = ("behaviour_cloning", "iql", "vtrace")
MISS = "You miss the ball."


VERSION = "c65ce9fcf0df"


@pytest.fixture
def source(stored):
    """The stored run of a random policy, 50 episodes in 10 rollouts, with verdicts of one that likes a miss only."""
    directory = stored({"actors.count": 1, "actors.environments": 1, "actors.unroll_length": 45}, rollouts=10)
    judge(directory, VERSION, lambda text: float(text == MISS))
    return SimpleNamespace(root=directory.root, version=VERSION)


def judge(directory, version, opinion):
    questions = [caption_question(text) for text in StoredRun(directory).captions.values()]
    verdicts = [
        Verdict(
            subject=question.subject,
            subject_kind="caption",
            component="intrinsic",
            reward_version=version,
            value=opinion(question.texts[0]),
            status=Status.OK,
            judge_fingerprint="umpire",
            text=question.texts[0],
        )
        for question in questions
    ]
    with VerdictStore(directory.verdicts) as store:
        store.put(to_arrow(verdicts))


@pytest.fixture
def offline(source, tmp_path):
    """The experiment that learns from the stored run, with overrides."""

    def make(**values):
        values = {"reward": "extrinsic", "frames": 900} | {key.replace("__", "."): v for key, v in values.items()}
        return resolve_offline(None, values, tmp_path, str(source.root))

    return make


def learn(experiment, tmp_path, resume=None):
    return train(experiment, tmp_path / "runs", resume, say=lambda _: None)


def tree_of(directory):
    return checkpoint.load(directory.checkpoints)[1]


def bits(directory):
    state = tree_of(directory)["roles"]["learner"]["learner"]
    return {name: value.numpy().tobytes() for name, value in state.items()}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_offline_run_is_a_run_like_any_other(offline, source, tmp_path, algorithm):
    directory = learn(offline(offline__algorithm=algorithm, offline__windows=10), tmp_path)
    for file in (directory.config, directory.metrics, directory.ledger, directory.report):
        assert file.is_file()
    config = yaml.safe_load(directory.config.read_text())
    assert config["offline"]["source"] == str(source.root.resolve())
    assert config["offline"]["store"] == StoredRun(RunDirectory(source.root)).identity
    last = list(directory.lines(directory.metrics))[-1]
    assert last["learnt_frames"] == last["frames"] == 900 and last["updates"] == 10
    ledger = json.loads(directory.ledger.read_text())
    assert ledger["balanced"] and ledger["offline"]["windows_drawn"] == 100 and ledger["offline"]["passes"] == 2
    assert "mean return" in evaluate_run(directory, episodes=4, seed=0, greedy=False, environments=2)
    with pytest.raises(UserError, match="has no recorded episodes"):
        list(inspect_run(directory, "", 1, 1, 0, False))
    assert not directory.experience.exists()


@pytest.mark.slow
def test_nothing_is_written_into_the_source(offline, source, tmp_path):
    before = {path: path.read_bytes() for path in source.root.rglob("*") if path.is_file()}
    learn(offline(reward="retrieval", offline__windows=10), tmp_path)
    assert before == {path: path.read_bytes() for path in source.root.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_run_stopped_half_way_ends_where_a_straight_one_does(offline, tmp_path, algorithm):
    """Bit for bit: nobody acts, so nothing but the draws decides, and they go on where they were."""
    half, whole = (
        offline(offline__algorithm=algorithm, offline__windows=7, frames=frames, name=f"f{frames}")
        for frames in (315, 630)
    )
    straight = learn(whole, tmp_path)
    stopped = learn(half, tmp_path)
    learn(resolve(catch(), {"frames": 630}, tmp_path / "runs", str(stopped.root)), tmp_path, str(stopped.root))
    assert bits(stopped) == bits(straight)
    assert tree_of(stopped)["status"]["updates"] == 10


@pytest.mark.slow
def test_every_source_of_reward_can_be_learnt_from(offline, source, tmp_path):
    weights = {}
    for reward in ("extrinsic", "count", "rnd", "retrieval", "classification"):
        values = {"reward": reward, "reward__intrinsic_coefficient": 1.0, "reward__classification__min_labels": 2}
        directory = learn(offline(**values, frames=450, offline__windows=10, name=reward), tmp_path)
        weights[reward] = frozenset(bits(directory).items())
    assert weights.pop("classification") == weights["retrieval"]  # it has learnt what the table knows
    assert len(set(weights.values())) == 4


@pytest.mark.slow
def test_the_reward_is_that_of_the_view_and_is_computed_at_each_draw(offline, source, monkeypatch):
    experiment = offline(reward="retrieval", reward__intrinsic_coefficient=2.0, offline__windows=1)
    learner = learner_of(experiment, source)
    seen = []
    update = learner.learner.update
    monkeypatch.setattr(learner.learner, "update", lambda batch: (seen.append(batch), update(batch))[1])
    metrics = learner.draw()
    (batch,) = seen
    assert batch.reward[:8].tolist() == [0.0] * 8 and batch.lengths.tolist() == [9]
    caught = metrics["reward_extrinsic"] > 0
    assert batch.reward[8].item() == (1.0 if caught else -1.0 + 2.0)
    assert metrics["annotated"] == metrics["captioned"] == 9 and metrics["null_intrinsic"] == 0


def learner_of(experiment, source):
    stored = StoredRun(RunDirectory(source.root))
    learner = OfflineLearner(experiment, stored)
    if experiment.reward.judged and JOINED not in learner._batches[0].schema.names:
        learner.rewards.model.observe(stored.captions)
        learner.rewards.model.add(stored.verdicts(experiment.offline.reward_version))
    learner.survey(learn=True)
    return learner


@pytest.mark.slow
def test_what_is_null_is_left_out_or_counts_for_nothing_as_the_view_says(offline, source):
    def reward_of(**values):
        experiment = offline(reward="retrieval", offline__windows=10, **values)
        learner = OfflineLearner(experiment, StoredRun(RunDirectory(source.root)))  # a table without a verdict
        learner.survey(learn=True)
        return learner.draw(), learner.stored_return

    omitted, known = reward_of()
    assert omitted["mean_reward"] != 0 and np.isfinite(known)
    with pytest.raises(UserError, match="reward retrieval is NULL on every stored step"):
        reward_of(reward__on_null="mask")


@pytest.mark.slow
def test_cloning_of_the_best_takes_their_windows_only(offline, source):
    experiment = offline(offline__algorithm="behaviour_cloning", offline__behaviour_cloning__top_share=0.02)
    learner = learner_of(experiment, source)
    best = set(learner.windows.episode.tolist())
    rows = StoredRun(RunDirectory(source.root)).batches
    returns = {}
    for batch in rows:
        for name, rewards in zip(batch["episode_id"].to_pylist(), batch["env_reward"].to_pylist(), strict=True):
            returns[name] = returns.get(name, 0.0) + sum(rewards)
    top = max(returns.values())
    assert best == {number for number, value in enumerate(returns.values()) if value == top}
    assert 0 < len(best) < 50
    assert learner.stored_return == pytest.approx(np.mean(list(returns.values())))


@pytest.mark.slow
def test_novelty_is_learnt_once_and_then_stands_still(offline, source):
    learner = learner_of(offline(reward="count", offline__windows=10), source)
    rows = learner._batches[0]
    first = learner.rewards(rows, learn=False).reward
    learner.draw()
    np.testing.assert_array_equal(learner.rewards(rows, learn=False).reward, first)
    assert 0 < first.max() < 1  # nothing of it is new


@pytest.mark.slow
def test_a_reward_version_is_named_like_a_source(offline, source, tmp_path):
    named = offline(reward=source.version)
    assert named.reward.source == "retrieval" and named.offline.reward_version == source.version
    assert offline(reward="retrieval").offline.reward_version == source.version
    with pytest.raises(UserError, match=rf"got 'abc123'; expected a source .* or a reward version .*{source.version}"):
        offline(reward="abc123")
    with pytest.raises(UserError, match=rf"needs verdicts of pairs; .* has {source.version} \(of captions\)"):
        offline(reward="ranking")
    with pytest.raises(UserError, match=r"needs reward version 'nobody' of captions"):
        offline(reward="retrieval", offline__reward_version="nobody")


@pytest.mark.slow
def test_a_version_of_digits_only_is_found_though_yaml_makes_it_a_number(offline, source, monkeypatch):
    monkeypatch.setattr(StoredRun, "versions", {"012345671234": "caption"})
    assert offline(reward=yaml.safe_load("012345671234")).offline.reward_version == "012345671234"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["step", "row", "episode"])
def test_verdicts_on_the_experience_itself_are_joined_to_their_steps(offline, source, kind):
    directory = RunDirectory(source.root)
    subjects = subjects_of(kind, StoredRun(directory).batches, {}, ()).ids.to_pylist()
    missing = 3
    verdicts = [
        Verdict(subject, kind, "intrinsic", "feed", float(n), Status.OK, "function")
        for n, subject in enumerate(subjects)
        if n != missing
    ]
    with VerdictStore(directory.verdicts) as store:
        store.put(to_arrow(verdicts))
    experiment = offline(
        reward="feed", reward__extrinsic_coefficient=0.0, reward__intrinsic_coefficient=1.0, reward__on_null="mask"
    )
    assert experiment.reward.source == "retrieval" and experiment.offline.reward_version == "feed"
    learner = learner_of(experiment, source)
    result = learner.rewards(learner._batches[0], learn=False)
    if kind == "step":
        assert result.reward[:6].tolist() == [0, 1, 2, 0, 4, 5] and result.weight[:6].tolist() == [1, 1, 1, 0, 1, 1]
    else:  # an episode is one row here, of nine steps: paid at its end
        assert result.reward.reshape(-1, 9)[:, :8].max() == 0 and result.weight.reshape(-1, 9)[:, :8].min() == 1
        assert result.reward[8::9].tolist() == [0, 1, 2, 0, 4] and result.weight[8::9].tolist() == [1, 1, 1, 0, 1]
    rows = learner._rows(np.array([2, 0]))
    whole = unragged(learner._batches[0].column(JOINED))
    np.testing.assert_array_equal(unragged(rows.column(JOINED)), np.concatenate([whole[18:27], whole[:9]]))
    metrics = learner.draw()
    assert metrics["skipped_updates"] == 0 and np.isfinite(metrics["loss"])


@pytest.mark.slow
def test_the_newest_version_counts_where_none_is_named_and_reannotation_adds_another(offline, source):
    assert offline(reward="retrieval").offline.reward_version == VERSION
    judge(RunDirectory(source.root), "0123abcd4567", lambda text: float(text != MISS))
    assert offline(reward="retrieval").offline.reward_version == "0123abcd4567"
    assert offline(reward=VERSION).offline.reward_version == VERSION
    one, other = (learner_of(offline(reward=v), source).stored_return for v in (VERSION, "0123abcd4567"))
    assert one != other


@pytest.mark.slow
def test_too_few_labels_are_found_before_any_work(offline):
    experiment = offline(reward="classification")
    with pytest.raises(UserError, match=r"has 5 verdicts with a value; reward=classification needs 32"):
        check(experiment)


@pytest.mark.slow
def test_another_task_is_refused_and_what_differs_is_named(offline, source, tmp_path):
    with pytest.raises(UserError, match=r"task: got 'CartPole-v1'; .* has 'catch'"):
        check(offline(task="CartPole-v1"))
    with pytest.raises(UserError, match=r"task_options: got \{'rows': 6\}"):
        check(offline(task_options__rows=6))
    spec = task_of(offline()).make().spec
    assert spec_difference(spec, spec) == ""
    board = replace(spec, observation={"board": replace(spec.observation["board"], shape=(6, 5))})
    assert spec_difference(board, spec).startswith("observation 'board' is ArraySpec(shape=(6, 5)")
    assert spec_difference(replace(spec, observation={}), spec).startswith("observation 'board' is not there")
    assert spec_difference(replace(spec, action_names=()), spec).startswith("action_names are ()")


@pytest.mark.slow
def test_a_source_that_has_changed_is_not_gone_on_with(offline, source, stored):
    experiment = offline()
    check_offline(experiment, task_of(experiment))
    other = stored({"actors.count": 1, "actors.environments": 1, "actors.unroll_length": 45, "seed": 1}, name="other")
    shutil.rmtree(RunDirectory(source.root).experience)
    shutil.move(other.experience, RunDirectory(source.root).experience)
    with pytest.raises(UserError, match="holds other experience than when this run began"):
        check_offline(experiment, task_of(experiment))


@pytest.mark.slow
def test_a_source_may_move(offline, source, tmp_path):
    directory = learn(offline(frames=90, offline__windows=10), tmp_path)
    shutil.move(source.root, tmp_path / "elsewhere")
    values = {"frames": 180, "offline.source": str(tmp_path / "elsewhere")}
    learn(resolve(catch(), values, tmp_path / "runs", str(directory.root)), tmp_path, str(directory.root))
    assert tree_of(directory)["status"]["updates"] == 2


@pytest.mark.slow
def test_sources_without_experience_are_refused(small, tmp_path, offline):
    with pytest.raises(UserError, match=r"got run 'nowhere'; expected a directory"):
        resolve_offline(None, {}, tmp_path, "nowhere")
    (tmp_path / "silent").mkdir()
    write_config(small(), RunDirectory(tmp_path / "silent"))
    with pytest.raises(UserError, match="has no stored experience"):
        resolve_offline(None, {}, tmp_path, "silent")
    learnt = learn(offline(frames=90, offline__windows=10), tmp_path)
    with pytest.raises(UserError, match=r"learnt offline and has no experience of its own: .*from="):
        resolve_offline(None, {}, tmp_path, str(learnt.root))


@pytest.mark.slow
def test_wrong_keys_are_refused(offline, tmp_path):
    with pytest.raises(UserError, match=r"offline.algorithm: got 'sarsa'; Input should be 'behaviour_cloning', 'iql'"):
        offline(offline__algorithm="sarsa")
    with pytest.raises(UserError, match=r"offline.algorithm is for learning from a stored run: name one with from="):
        resolve(catch(), {"offline.algorithm": "iql"}, tmp_path, None)


@pytest.mark.slow
def test_iql_refuses_actions_that_are_no_choice(offline, monkeypatch):
    import pipelines.algorithms as algorithms

    def refuse(spec, config):
        raise ValueError("got actions of kind Box; expected Discrete: a critic values each")

    monkeypatch.setattr(algorithms, "RecurrentCritic", refuse)
    with pytest.raises(UserError, match=r"offline.algorithm=iql: got actions of kind Box; .* choose another"):
        check(offline())


@pytest.mark.slow
def test_long_episodes_become_windows_with_a_burn_in(offline, source, tmp_path):
    experiment = offline(offline__window_steps=4, offline__burn_in=2, offline__windows=5)
    learner = learner_of(experiment, source)
    metrics = learner.draw()
    assert len(learner.windows) == 150 and learner.windows.steps == 450  # nine steps: 4, 4 and 1
    assert metrics["frames"] <= 20 and metrics["rows"] == 5


@pytest.mark.slow
def test_rows_of_a_policy_of_another_size_can_be_learnt_from(offline, source, tmp_path):
    directory = learn(offline(policy__hidden=24, frames=90, offline__windows=10), tmp_path)
    assert tree_of(directory)["roles"]["learner"]["learner"]["module.value_head.weight"].shape == (1, 24)


@pytest.mark.slow
def test_the_books_of_a_diverged_run_are_kept(offline, source, tmp_path):
    values = {"offline__iql__max_skipped": 2, "reward__extrinsic_coefficient": 1e30, "offline__windows": 10}
    with pytest.raises(UserError, match="gradient steps in a row"):
        learn(offline(**values), tmp_path)
    directory = RunDirectory.existing("last", tmp_path / "runs")
    assert json.loads(directory.ledger.read_text())["offline"]["draws"] >= 1


@pytest.mark.slow
def test_a_recipe_may_be_given_beside_the_source(source, tmp_path):
    experiment = resolve_offline(catch(), {}, tmp_path, str(source.root))
    assert experiment.policy.hidden == 32 and experiment.name == "catch-offline" and experiment.runner == "local"
    assert experiment.identity() != catch().identity()
