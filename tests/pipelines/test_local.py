"""The local runner: bit for bit the same, and resumed with nothing lost."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.catch import Catch, CatchCaptioner
from envs.contract import ContractViolation
from envs.environment import Task
from pipelines import checkpoint, local
from pipelines.environment.roles import PolicyLearner, RewardTrainer
from pipelines.errors import UserError
from pipelines.replay_shard import ReplayShard
from pipelines.stored.stored_experience import stored_rows, stored_verdicts
from pipelines.stored.switch import request_switch
from rewards.judges.constancy import Config as Constancy
from rewards.judges.constancy import ConstancyDetector
from rewards.judges.judge import Answer
from rewards.questions import caption_question
from rewards.verdicts import Status, to_arrow

# Catch has five captions, fewer than a reward model usually waits for.
EAGER = {"reward.ranking.min_labels": 4, "reward.classification.min_labels": 2, "reward.train_steps": 2}


class Taste:
    """A judge with an opinion of its own; what it is asked is counted, and it can be out of order for a while."""

    fingerprint = "taste"

    def __init__(self, failures: int = 0) -> None:
        self.asked: list[str] = []
        self.failures = failures

    async def judge(self, questions):
        self.asked += [question.subject for question in questions]
        if self.failures:
            self.failures -= 1
            raise RuntimeError("out of order")
        return [Answer(Status.OK, float(len(question.texts[0]) % 2)) for question in questions]

    async def check(self):
        pass


def tree_of(run):
    return checkpoint.load(run.directory.checkpoints)[1]


def weights_of(run):
    learner = tree_of(run)["roles"]["learner"]["learner"]
    return {name: value.numpy().tobytes() for name, value in learner.items()}


@pytest.mark.slow
@pytest.mark.parametrize("source", ["extrinsic", "count", "rnd", "retrieval", "classification", "ranking"])
def test_two_runs_with_the_same_seed_are_bit_identical(small, run, tmp_path, source):
    """Weights, optimiser and generators, whatever the global generators did before."""
    experiment = small({"reward": source, **EAGER})
    one = run(experiment, tmp_path / "one", judge=Taste())
    torch.rand(7)
    np.random.default_rng().random(3)
    other = run(experiment, tmp_path / "other", judge=Taste())
    assert weights_of(one) == weights_of(other)
    assert tree_of(one)["captions"] == tree_of(other)["captions"]
    assert list(stored_rows(one.directory)) == list(stored_rows(other.directory))
    different = run(experiment.model_copy(update={"seed": 1}), tmp_path / "different", judge=Taste())
    assert weights_of(one) != weights_of(different)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["count", "rnd", "retrieval", "classification", "ranking"])
def test_every_source_leaves_its_mark_on_the_weights(small, run, tmp_path, source):
    values = {**EAGER, "reward.intrinsic_coefficient": 1.0}
    baseline = run(small({**values, "reward": "extrinsic"}), tmp_path / "extrinsic")
    rewarded = run(small({**values, "reward": source}), tmp_path / source, judge=Taste())
    assert weights_of(baseline) != weights_of(rewarded)


@pytest.mark.slow
def test_environments_are_seeded(small, run, tmp_path):
    """Unseeded in ONI's released code: the stored experience of a seed is always the same, of another never."""
    worlds = {"task": "minihack-room-15x15", "frames": 60, "record_mb": 8}
    one, again, other = (
        list(stored_rows(run(small({**worlds, "seed": seed}), tmp_path / name).directory))
        for name, seed in (("one", 0), ("again", 0), ("other", 1))
    )
    assert one == again != other


@pytest.mark.slow
@pytest.mark.parametrize("source", ["extrinsic", "count", "rnd", "retrieval", "classification", "ranking"])
def test_a_run_stopped_half_way_goes_on_with_nothing_lost(small, run, tmp_path, source):
    values = {"reward": source, **EAGER}
    half, whole = small({**values, "frames": 120}), small({**values, "frames": 240})
    judge = Taste()
    before = run(half, tmp_path / "run", judge=judge)
    after = run(whole, tmp_path / "run", resume=True, judge=judge)
    straight = run(whole, tmp_path / "straight", judge=Taste())

    assert (before.status.learnt_frames, after.status.learnt_frames, straight.status.learnt_frames) == (120, 240, 240)
    assert (before.status.updates, after.status.updates, straight.status.updates) == (2, 4, 4)
    assert after.status.frames == 240 and after.status.episodes > before.status.episodes
    learner = tree_of(after)["roles"]["learner"]["learner"]
    assert learner["counters"].tolist()[0] == 4  # versions go on
    assert learner["adam.step.value_head.bias"].item() == 4  # and so does the optimiser
    for books in (before, after):
        assert books.accounts()["balanced"]
    assert set(before.verdicts.annotation.verdicts) <= set(after.verdicts.annotation.verdicts)
    assert len(judge.asked) == len(set(judge.asked)), "a question was asked twice"
    assert after.status.elapsed_s > before.status.elapsed_s
    for ident, times in before.caption_frequency.items():
        assert after.caption_frequency[ident] > times
    # Resumed actors play other episodes than those already played, so the weights are not those of `straight`.
    epochs = [b.column("actor_epoch")[0].as_py() for b in stored_rows(after.directory)]
    assert epochs == sorted(epochs) and set(epochs) == {0, 1}


@pytest.mark.slow
def test_the_first_update_after_a_resume_knows_what_the_last_one_knew(small, run, tmp_path):
    """The reward model, its data and statistics: scores before saving and after loading are the same."""
    for source in ("retrieval", "classification", "ranking"):
        experiment = small({"reward": source, **EAGER})
        books = run(experiment, tmp_path / source, judge=Taste())
        trainer = RewardTrainer(experiment, tree_of(books)["roles"]["trainer"])
        _, snapshot = trainer.step(dict(books.verdicts.caption_log), books.verdicts.counted, 0)
        learner = PolicyLearner(experiment, Catch().spec)
        learner.observe(dict(books.verdicts.caption_log), snapshot)
        values, valid = learner.rewards.model.score(np.array(sorted(books.verdicts.captions)))
        assert valid.all()
        again = RewardTrainer(experiment, tree_of(books)["roles"]["trainer"])
        for a, b in zip(again._model.score(np.array(sorted(books.verdicts.captions))), (values, valid), strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_checkpoint_holds_pairs_running_statistics_and_what_waits_for_its_label(small, run, tmp_path):
    """ONI's released code saved none of them."""
    silent = Taste(failures=10**6)
    experiment = small({"reward": "ranking", **EAGER, "annotation.backoff_s": 1e6})
    waiting = tree_of(run(experiment, tmp_path / "silent", judge=silent))
    assert waiting["annotation"]["pending"] and not waiting["annotation"]["verdicts"]
    pairs = waiting["pairs"]
    assert len(pairs["drawn"]) + pairs["swapped"] == len(waiting["annotation"]["pending"])
    told = tree_of(run(experiment, tmp_path / "told", judge=Taste()))
    model = told["roles"]["trainer"]["model"]
    assert len(model["pairs"]) == len(model["preferences"]) == len(told["annotation"]["verdicts"]) > 4
    count, _, squares, _ = model["statistics"].tolist()
    assert count > 1 and squares > 0


@pytest.mark.slow
def test_a_caption_that_waits_for_its_label_is_not_asked_again(small, run, tmp_path):
    """In ONI's released code every minibatch asked again. Here each is tried once, waits, and is resumed so."""
    judge = Taste(failures=10**6)
    experiment = small({"reward": "retrieval", "annotation.backoff_s": 1e6, "annotation.breaker_failures": 100})
    before = run(experiment, tmp_path / "run", judge=judge)
    books = before.verdicts.annotation.ledger()
    assert before.status.updates == 4 and books.asked == books.pending == len(set(judge.asked)) == len(judge.asked)
    judge.failures = 0
    after = run(experiment.model_copy(update={"frames": 480}), tmp_path / "run", resume=True, judge=judge)
    books = after.verdicts.annotation.ledger()
    assert books.ok == books.asked and books.pending == 0
    assert sorted(judge.asked) == sorted(2 * sorted(set(judge.asked)))  # once before, once after
    stored = stored_verdicts(after.directory)
    assert sorted(v.subject for v in stored) == sorted(set(judge.asked))


@pytest.mark.slow
def test_one_exception_of_the_judge_does_not_end_annotation(small, run, tmp_path):
    """It killed ONI's annotator for good."""
    judge = Taste(failures=2)
    books = run(
        small({"reward": "retrieval", "annotation.backoff_s": 0.0}), tmp_path, judge=judge
    ).verdicts.annotation.ledger()
    assert books.ok == books.asked > 0 and books.failed_batches == 2
    assert books.causes == {"judge_fault: RuntimeError: out of order": books.retries}


@pytest.mark.slow
def test_a_judge_that_never_answers_is_a_timeout_with_a_cause(small, run, tmp_path):
    class Silent(Taste):
        async def judge(self, questions):
            await asyncio.sleep(600)

    values = {"reward": "retrieval", "annotation.deadline_s": 0.01, "annotation.max_attempts": 1}
    made = run(small(values), tmp_path, judge=Silent())
    books = made.verdicts.annotation.ledger()
    assert books.failures == {"timeout": books.asked} and books.asked > 0
    assert all(v.value is None for v in made.verdicts.annotation.verdicts.values())
    assert made.status.updates == 4  # training went on


@pytest.mark.slow
def test_the_judge_keeps_one_event_loop(small, run, tmp_path):
    """A client of a server keeps connections, which belong to a loop."""
    loops = []

    class Client(Taste):
        async def judge(self, questions):
            loops.append(asyncio.get_running_loop())
            return await super().judge(questions)

    judge = Client()
    values = {"reward": "retrieval", "annotation.batch_size": 1, "annotation.max_in_flight": 1}
    run(small(values), tmp_path, judge=judge)
    assert len(judge.asked) == len(loops) > 1
    assert all(loop is loops[0] for loop in loops) and loops[0].is_closed()


@pytest.mark.slow
def test_experience_too_old_for_the_learner_is_dropped_and_counted(small, run, tmp_path):
    """Four fragments a round and one an update: the last is three versions behind."""
    values = {"actors.count": 4, "batch_fragments": 1, "frames": 300, "max_staleness": 2}
    ledger = run(small(values), tmp_path).accounts()["experience"]
    assert ledger["dropped"]["stale"]["fragments"] > 0 and ledger["balanced"]


class Cracked(Catch):
    """Catch that keeps its contract for a while."""

    steps = 0

    def step(self, action):
        Cracked.steps += 1
        timestep = super().step(action)
        return timestep._replace(reward=float("nan")) if Cracked.steps > 100 else timestep


def test_what_was_learnt_is_saved_when_an_environment_breaks_its_contract(small, books, tmp_path, monkeypatch):
    monkeypatch.setattr(local, "task_of", lambda _: Task("cracked", "", Cracked, CatchCaptioner))
    monkeypatch.setattr("pipelines.environment.roles.task_of", local.task_of)
    made = books(small(), tmp_path)
    with pytest.raises(ContractViolation, match=r"task 'cracked', environment .*: got reward nan"):
        local.run_local(made, None)
    assert tree_of(made)["status"]["learnt_frames"] == 60 == made.status.learnt_frames
    made.close()
    assert json.loads(made.directory.ledger.read_text())["balanced"]


@pytest.mark.slow
def test_a_run_of_another_configuration_is_not_gone_on_with(small, run, books, tmp_path):
    run(small(), tmp_path)
    with pytest.raises(UserError, match=r"was run with another configuration .* resume without overrides"):
        books(small({"learner.gamma": 0.5}), tmp_path).restore()


@pytest.mark.slow
def test_waiting_fragments_are_learnt_from_after_a_resume(small, run, tmp_path):
    """Three fragments a round, two an update: one waits when the run stops."""
    values = {"actors.count": 3, "frames": 60}
    before = run(small(values), tmp_path)
    assert before.accounts()["experience"]["live"]["fragments"] == 1
    after = run(small({**values, "frames": 240}), tmp_path, resume=True)
    ledger = after.accounts()["experience"]
    assert ledger["sampled"]["fragments"] == 8 and ledger["accepted"]["fragments"] >= 8
    assert not ledger["dropped"] and ledger["balanced"]
    assert after.status.learnt_frames == 240


@pytest.mark.slow
def test_experience_is_kept_after_it_was_learnt_from_up_to_a_size(small, run, tmp_path):
    made = run(small(), tmp_path)
    batches = list(stored_rows(made.directory))
    assert sum(len(b.column("env_reward").flatten()) for b in batches) == 240, "all of it"
    assert {i for b in batches for i in b.column("env_index").to_pylist()} == {0, 1, 2}
    assert {i for b in batches for i in b.column("actor").to_pylist()} == {0, 1}
    assert not list(stored_rows(run(small({"record_mb": 0}), tmp_path / "none").directory))


class Died(BaseException):
    """As if the process had been killed: nothing is caught, nothing is saved."""


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before a draw is learnt from", "after one is", "between two inserts"])
def test_a_run_that_was_killed_loses_nothing_that_was_stored(small, run, books, tmp_path, monkeypatch, when):
    """Killed after its checkpoint: what was drawn since is drawn again, what was stored since is counted."""
    experiment = small({"frames": 240, "reward": "retrieval"})
    half = run(experiment.model_copy(update={"frames": 120}), tmp_path, judge=Taste())
    saved, updates, inserts = tree_of(half), [], []
    real_update, real_insert = PolicyLearner.update, ReplayShard.insert

    def update(self, rows):
        updates.append([b.column("row_id").to_pylist() for b in rows])
        if when == "before a draw is learnt from" and len(updates) == 2:
            raise Died
        result = real_update(self, rows)
        if when == "after one is" and len(updates) == 2:
            raise Died
        return result

    def insert(self, fragment, rows):
        result = real_insert(self, fragment, rows)
        inserts.append(fragment.key)
        if when == "between two inserts" and len(inserts) == 3:
            raise Died
        return result

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(PolicyLearner, "update", update)
        patch.setattr(ReplayShard, "insert", insert)
        killed = books(experiment, tmp_path)
        local.run_local(killed, killed.restore(), Taste())
    killed.verdicts._stored.close()  # the system does that for a process that is gone
    assert tree_of(half)["frontier"] == saved["frontier"] == [2]
    before = list(updates)
    with monkeypatch.context() as patch:
        patch.setattr(PolicyLearner, "update", lambda self, rows: update(self, rows))
        when = "never"
        after = run(experiment, tmp_path, resume=True, judge=Taste())
    again = updates[len(before) :]
    assert again[: len(before)] == before, "the same fragments in the same order"
    accounts = after.accounts()["experience"]
    assert accounts["balanced"] and accounts["samples"] == 4 and not accounts["dropped"]
    assert after.status.learnt_frames == 240, "each fragment counts once"
    assert after.status.frames == accounts["accepted"]["frames"], "also those that came after the checkpoint"
    drawn = [row for rows in updates[len(before) :] for batch in rows for row in batch]
    assert len(drawn) == len(set(drawn))


@pytest.mark.slow
def test_the_annotated_share_is_that_of_the_steps_whose_caption_was_judged_in_time(small, run, tmp_path):
    made = run(small({"reward": "retrieval"}), tmp_path / "all", judge=Taste())
    assert made.status.captioned == made.status.annotated == 240
    never = run(small({"reward": "retrieval"}), tmp_path / "none", judge=Taste(failures=10**6))
    assert (never.status.captioned, never.status.annotated) == (240, 0)


@pytest.mark.slow
def test_a_batch_waits_for_verdicts_up_to_a_bound_and_says_when_it_went_on_without(small, run, tmp_path):
    retried = {"reward": "retrieval", "annotation.backoff_s": 0.02, "annotation.max_attempts": 10**6}
    made = run(small({**retried, "verdict_wait_s": 60}), tmp_path / "once", judge=Taste(failures=1))
    assert made.status.captioned == made.status.annotated == 240, "the judge was asked again before it was learnt"
    assert made.accounts()["verdict_waits"]["went_on_without"] == 0 < made.status.verdict_wait_s
    never = run(small({**retried, "verdict_wait_s": 0.05}), tmp_path / "never", judge=Taste(failures=10**6))
    assert (never.status.captioned, never.status.annotated) == (240, 0)
    assert never.accounts()["verdict_waits"]["went_on_without"] == never.status.updates == 4
    assert never.status.verdict_wait_s >= 4 * 0.05
    assert never._lines()["waits for verdicts"].endswith("4 batches went on without all")


@pytest.mark.slow
def test_verdicts_on_disk_are_those_of_the_ledger(small, run, tmp_path):
    made = run(small({"reward": "retrieval"}), tmp_path, judge=Taste())
    stored = stored_verdicts(made.directory)
    assert {v.subject: v for v in stored} == dict(made.verdicts.annotation.verdicts)
    subjects = {caption_question(text).subject for text in made.verdicts.captions.values()}
    assert subjects == set(made.verdicts.annotation.verdicts)


@pytest.mark.slow
def test_a_judge_that_always_says_the_same_is_told_of_once(small, run, books, tmp_path):
    class Yes(Taste):
        async def judge(self, questions):
            return [Answer(Status.OK, 1.0) for _ in questions]

    made = books(small({"reward": "retrieval"}), tmp_path)
    made.verdicts._constancy = ConstancyDetector(Constancy(answers=3))
    local.run_local(made, None, Yes())
    made.close()
    told = [event for event in made.directory.lines(made.directory.events) if event["what"] == "suspicious judge"]
    assert len(told) == 1 and "to each of the last 3 different caption questions" in told[0]["cause"]


@pytest.mark.slow
def test_a_judge_that_has_a_value_for_nothing_is_told_of_once(small, run, books, tmp_path):
    class Mute(Taste):
        async def judge(self, questions):
            return [Answer(Status.UNPARSEABLE, cause="not recorded in old")] * len(questions)

    made = books(small({"reward": "retrieval"}), tmp_path)
    local.run_local(made, None, Mute())
    made.report(force=True)
    made.report(force=True)
    made.close()
    told = [event for event in made.directory.lines(made.directory.events) if event["what"] == "suspicious judge"]
    assert len(told) == 1 and "a value for none of the" in told[0]["cause"] and "not recorded" in told[0]["cause"]
    assert made.display.said.count(told[0]["cause"]) == 1


@pytest.mark.slow
def test_a_running_learner_goes_on_with_another_reward_version(small, run, books, tmp_path, monkeypatch):
    """Verdicts of another version are stored beside; `switch` is asked for while it runs; the model begins anew."""
    experiment = small({"frames": 480, "reward": "retrieval", "report_every_s": 1e-9})
    made = books(experiment, tmp_path)
    other = "0123456789ab"
    updates, scored = [], {}
    real = PolicyLearner.update

    def update(self, rows):
        updates.append(self.rewards.model.score(np.array(sorted(made.verdicts.captions), np.int64))[0].tolist())
        if len(updates) == 3:
            anew = [replace(v, reward_version=other, value=1.0 - v.value) for v in made.verdicts.counted]
            made.verdicts._stored.put(to_arrow(anew))
            request_switch(made.directory, other, least=0.5)
            scored["before"] = dict(zip(sorted(made.verdicts.captions), updates[-1], strict=True))
        return real(self, rows)

    monkeypatch.setattr(PolicyLearner, "update", update)
    local.run_local(made, None, Taste())
    made.close()
    assert made.verdicts.reward_version == other
    assert len(updates) == 8, "it went on to its end"
    model = RewardTrainer(experiment)
    model.step(made.verdicts.captions, made.verdicts.counted, 0)
    known = np.array(sorted(scored["before"]), np.int64)
    now = model._model.score(known)[0]
    assert now.tolist() == [1.0 - value for value in scored["before"].values()]
    late = [replace(v, reward_version="before") for v in made.verdicts.counted]
    counted = len(made.verdicts.counted)
    made.verdicts._concluded(late)
    assert len(made.verdicts.counted) == counted, (
        "what was asked before the switch and answered after it does not count"
    )
    again = run(small({"frames": 600, "reward": "retrieval"}), tmp_path, resume=True, judge=Taste())
    assert again.verdicts.reward_version == other, "also after it was resumed"
    assert again.accounts()["balanced"]
