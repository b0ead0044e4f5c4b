"""The local runner of language experiments, and what can be done with its runs."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
from small import small

from envs.language.trajectory import to_batch
from learners.language.learner import Config as LearnerConfig
from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.judging.rubric_judges import RewardModelJudge
from pipelines.language.experiment import SamplingConfig
from pipelines.language.kept_models import model_of
from pipelines.language.models import save_tokenizer
from pipelines.language.policy import chat, evaluate_language
from pipelines.language.reward_settings import RewardsConfig
from pipelines.language.roles import LearnerRole
from pipelines.language.shown import explain_language, inspect_language, stored_answers
from pipelines.language.stored import is_language, resolve_language, stored_rewards
from pipelines.language.tiny_model import Config as TinyConfig
from pipelines.language.tiny_model import reward_model_of
from pipelines.language.train import train
from pipelines.mirror.fetching import gone_on_with
from pipelines.run_directory import RunDirectory
from pipelines.stored.replay_tools import ledger_report, verify_stores
from pipelines.stored.stored_experience import stored_verdicts
from pipelines.trust.distances import compare_rewards
from rewards.monitors.suite import Config as MonitorsConfig

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True, scope="module")
def cache(models):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GUERDON_CACHE", str(models))
        yield


def run(tmp_path, resume=None, **changes):
    return train(small(**changes), tmp_path, resume, say=lambda text: None)


def weights(directory):
    _, tree, _ = checkpoint.load(directory.checkpoints)
    return tree["roles"]["learner"]["learner"]


def same(one, other):
    return sorted(one) == sorted(other) and all(torch.equal(one[name], other[name]) for name in one)


def summed(line):
    """What a line of `explain` says of a reward or an advantage, and the sum of what it says was put in."""
    said, _, terms = line.partition(" = ")
    return float(said.split()[1].rstrip(",")), sum(float(term.split()[-1]) for term in terms.split(" + "))


def test_a_run_learns_balances_and_can_be_looked_at(tmp_path, capsys):
    directory = run(tmp_path, evaluate_every=2)
    assert is_language(directory)
    books = json.loads(directory.ledger.read_text())
    assert books["balanced"] and books["groups"]["begun"] == books["groups"]["stored"] == 12
    assert books["experience"]["sampled"]["rows"] == 48 and books["verdicts"]["ok"] == 48
    assert ledger_report(directory).balanced and verify_stores(directory) == []
    assert directory.report.is_file()
    metrics = list(directory.lines(directory.metrics))
    assert metrics[-1]["updates"] == 3 and metrics[-1]["learner/engine_gap_max"] < 1e-3
    assert "pass@1" in evaluate_language(directory, episodes=16, seed=1, greedy=False)
    said = []
    chat(directory, message="1+1=", system="", greedy=True, say=said.append)
    assert len(said) == 1
    (shown,) = inspect_language(directory, "", 1)
    assert "assistant │" in shown and "right" in shown
    explained = list(explain_language(directory, "last"))
    assert "advantage" in explained[-7] and sum(line.startswith(" →") for line in explained) == 1
    assert explained[-2].startswith("reward ") and explained[-1].startswith("advantage ")
    assert all(said == pytest.approx(put_in, abs=1e-5) for said, put_in in map(summed, explained[-2:]))
    with pytest.raises(UserError, match="expected one of the 48 stored ones"):
        list(inspect_language(directory, "nothing", 1))
    page = directory.report.read_text()
    assert "tokens/s" in page and "assistant" in page and "Most rewarded" in page and "could not be made" not in page


def test_two_runs_of_one_seed_are_the_same_bit_for_bit_and_another_seed_is_not(tmp_path):
    one, other, third = run(tmp_path), run(tmp_path), run(tmp_path, seed=1)
    assert same(weights(one), weights(other))
    assert not same(weights(one), weights(third))


def test_a_run_that_was_stopped_goes_on_to_the_same_end(tmp_path):
    whole, half = run(tmp_path, updates=4), run(tmp_path, updates=2)
    resumed = resolve_language(None, {"updates": 4}, tmp_path, str(half.root))
    train(resumed, tmp_path, str(half.root), say=lambda text: None)
    assert same(weights(whole), weights(half))
    assert json.loads(half.ledger.read_text())["balanced"]


def test_a_run_goes_on_where_nothing_is_but_its_mirror(tmp_path, monkeypatch):
    there, judge = tmp_path / "there", tmp_path / "lost" / "judge"
    first = checkpoint.load(run(tmp_path / "first", updates=1).checkpoints)[1]["model"]
    reward_model_of(first).save_pretrained(judge)  # of the form of the model, with weights by chance
    save_tokenizer(first, judge)
    rewards = RewardsConfig(judge=RewardModelJudge(model=str(judge), device="cpu"))
    whole = run(tmp_path, updates=4, rewards=rewards)
    lost = run(tmp_path / "lost", updates=2, rewards=rewards, storage=str(there))
    name = lost.root.name
    shutil.rmtree(tmp_path / "lost")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path / "file"))  # no model can be made, and none is there
    new = tmp_path / "new"
    resume, _ = gone_on_with(new, f"{there}/{name}", None, None, lambda text: None)
    train(resolve_language(None, {"updates": 4}, new, resume), new, resume, say=lambda text: None)
    directory = RunDirectory.existing(name, new)
    assert same(weights(whole), weights(directory)) and json.loads(directory.ledger.read_text())["balanced"]
    assert "pass@1" in evaluate_language(directory, episodes=16, seed=1, greedy=False)
    assert model_of(RunDirectory(there), "recorded") == "recorded"


def test_a_run_is_not_gone_on_with_under_another_reward(tmp_path):
    directory = run(tmp_path)
    other = resolve_language(None, {"rewards.weights.right": 2.0}, tmp_path, str(directory.root))
    with pytest.raises(UserError, match="resume without"):
        train(other, tmp_path, str(directory.root), say=lambda text: None)


def test_what_cannot_be_judged_is_null_and_leaves_the_loss(tmp_path):
    rewards = RewardsConfig(weights={"right": 0.0}, functions={"half": "rewards_that_fail:half"}, attempts=1)
    directory = run(tmp_path, rewards=rewards, updates=2)
    books = json.loads(directory.ledger.read_text())
    failed = books["verdicts"]["failures"]["judge_fault"]
    assert 0 < failed < 32 and books["balanced"]
    assert any("no opinion of odd answers" in cause for cause in books["verdicts"]["causes"])
    assert list(directory.lines(directory.metrics))[-1]["learner/reward_nulls"] > 0


def test_two_rewards_of_answers_are_compared_and_lengths_are_of_all_answers(tmp_path):
    directory = run(tmp_path, updates=1)
    answers = stored_answers(directory)
    _, tree, _ = checkpoint.load(directory.checkpoints)
    role = LearnerRole(small(updates=1), tree["model"], None)
    (version,), name = {verdict.reward_version for verdict in stored_verdicts(directory)}, "right"
    found = compare_rewards(directory, name, version)
    assert (found.unit, found.both, found.starc) == ("answer", 16, pytest.approx(0, abs=1e-6))
    with pytest.raises(UserError, match=f"got reward 'nobody'; expected .* or one of {name}, .*{version}"):
        compare_rewards(directory, name, "nobody")
    # only the answers of the first group differ: the others are left out of the loss, and not of their mean length
    first = answers[0].group_id
    values = {name: {one.row_id: float(one.group_id == first and one.member == 0) for one in answers}}
    metrics = role.learn([to_batch(answers)], values)[0].metrics
    assert (metrics["sequences"], metrics["answers"]) == (4, 16)
    assert metrics["own_tokens"] == sum(int(one.loss_mask.sum()) for one in answers)


def test_a_view_of_the_user_s_own_pays_goes_on_after_a_stop_and_is_explained(tmp_path, capsys):
    limits = {"part": "lagrangian", "of": "right", "limits": {"length": 2.0}, "rate": 0.1, "form": "softmax"}
    rewards = RewardsConfig(view={"name": "right, within two tokens", "parts": [limits]})
    whole, half = run(tmp_path, rewards=rewards, updates=4), run(tmp_path, rewards=rewards, updates=2)
    train(
        resolve_language(None, {"updates": 4}, tmp_path, str(half.root)), tmp_path, str(half.root), say=lambda _: None
    )
    assert same(weights(whole), weights(half))
    _, tree, _ = checkpoint.load(whole.checkpoints)
    assert stored_rewards(whole).view.state_dict() == tree["roles"]["learner"]["view"]
    assert tree["roles"]["learner"]["view"]["parts"][0]["z"] != [0.0]
    explained = list(explain_language(whole, "last"))
    assert any("w₀·[right]" in line for line in explained)
    said, put_in = summed(explained[-2])
    assert said == pytest.approx(put_in, abs=1e-5)
    assert "could not be made" not in whole.report.read_text()


def test_a_reward_for_length_alarms_with_the_update_and_one_for_the_form_of_answers_does_not(tmp_path):
    tiny = TinyConfig(hidden=32, heads=2, layers=1, context=32, start=0.02, every=10, batch=64, measure_prompts=64)
    settings = {"tiny": tiny, "updates": 14, "prompts": 8, "group_size": 8, "sampling": SamplingConfig(max_tokens=12)}
    settings |= {"learner": LearnerConfig(learning_rate=5e-3), "monitors": MonitorsConfig(warm_up=3, patience=3)}
    paths = ({"long": "rewards_that_fail:long"}, {"digits": "rewards_that_fail:digits"})
    rewards = [
        RewardsConfig(weights={"right": weight}, functions=path) for weight, path in zip((0, 1), paths, strict=True)
    ]
    hacked, honest = (run(tmp_path, rewards=one, **settings) for one in rewards)
    found = next(line for line in hacked.lines(hacked.alarms) if line["monitor"] == "length")
    assert 6 <= found["update"] <= 14
    assert "lengths are far from those at first" in hacked.report.read_text()
    assert not honest.alarms.exists()
