"""Re-annotation: another judge, function or model over stored experience, beside the old version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from envs.captions import caption_id
from envs.trajectory import trajectories
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory, stored_experiment
from pipelines.stored import asked
from pipelines.stored import reannotate as module
from pipelines.stored.comparison import compare
from pipelines.stored.evidence import gather
from pipelines.stored.reannotate import reannotate
from pipelines.stored.reannotation import Outcome
from pipelines.stored.stored_experience import StoredExperience
from rewards.judges.judge import Answer, Question
from rewards.verdict_store import VerdictStore, caption_subjects
from rewards.verdicts import Status

HOUSE = Path(__file__).resolve().parents[3]
LAB = """
from rewards.functions import PolicyFault, reward

@reward(subject="caption", version="1")
def above(caption: str, worth: float = 1.0):
    return None if "right" in caption else worth * ("above" in caption or "catch" in caption)

@reward(subject="caption", version="1")
def left(caption: str):
    return float("left" in caption)

@reward(subject="step")
def paid(env_reward: float, caption: str, action: int, step: int, observation_board, ended: bool):
    assert observation_board.shape == (10, 5) and 0 <= action < 3
    return env_reward + step

@reward(subject="row")
def length(captions, discount, observation_board):
    assert len(captions) == len(discount) == len(observation_board) - 1
    return float(len(captions))

@reward(subject="episode", batched=True)
def won(success, env_reward, captions):
    assert [len(c) for c in captions] == [len(r) for r in env_reward] == [9] * len(success)
    return [float(s) for s in success]

@reward(subject="episode")
def picky(success: bool):
    if not success:
        raise PolicyFault("missed")
    return 1.0

@reward(subject="caption")
def misspelt(captoin: str):
    return 0.0

@reward(subject="group")
def best(members):
    return 0.0
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "lab_rewards.py").write_text(LAB)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, "lab_rewards", raising=False)
    yield folder
    sys.modules.pop("lab_rewards", None)


class Umpire:
    """A judge that counts what it is asked, and fails as it is told."""

    fingerprint = "umpire-1"

    def __init__(self, tokens: int = 10, fails: int = 0) -> None:
        self.asked: list[str] = []
        self.tokens, self.fails = tokens, fails

    async def judge(self, questions: Sequence[Question]) -> list[Answer]:
        if self.fails:
            self.fails -= 1
            raise ConnectionError("the judge is gone")
        self.asked += [question.texts[0] for question in questions]
        return [Answer(Status.OK, float("left" in q.texts[0]), tokens=self.tokens) for q in questions]


@pytest.fixture
def umpire(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Umpire]:
    def be(**facts: int) -> Umpire:
        judge = Umpire(**facts)
        monkeypatch.setattr(module, "build_judge", lambda *_: judge)
        return judge

    return be


def again(directory: RunDirectory, **values: object) -> Outcome:
    return reannotate(directory, {key.replace("__", "."): value for key, value in values.items()}, say=lambda _: None)


def steps_by_hand(directory: RunDirectory) -> list[tuple[str, str, int, float]]:
    """Every stored step: episode, caption, count, environment reward."""
    experience = StoredExperience(directory)
    found = []
    for batch in experience.batches:
        for row in trajectories(batch):
            facts = row.columns
            for t in range(row.length):
                text = experience.captions.get(int(facts["caption_id"][t]), "")
                count = int(facts["caption_count"][t])
                found.append((facts["episode_id"], text, count, float(facts["env_reward"][t])))
    experience.close()
    return found


@pytest.mark.slow
def test_each_distinct_caption_is_asked_once_and_the_old_version_stands(stored, umpire, lab) -> None:
    directory, judge = stored(), umpire()
    first = again(directory)
    assert sorted(judge.asked) == sorted({text for _, text, _, _ in steps_by_hand(directory)})
    assert first.judged == {"ok": len(judge.asked)} and first.left == 0 and not first.stopped
    assert first.comparison is None and "no other version" in first.lines()[-1]
    second = again(directory, reward="lab_rewards:above")
    with VerdictStore(directory.verdicts, read_only=True) as store:
        assert [v.reward_version for v in store.versions()] == [first.version, second.version]
        subject = caption_subjects(np.array([caption_id("The ball is to your left.")]))
        assert [store.join(subject, "intrinsic", v).values[0] for v in (first.version, second.version)] == [1.0, 0.0]
    assert first.tokens == 10 * len(judge.asked)


@pytest.mark.slow
def test_what_another_judge_said_is_not_shown_as_the_run_s_own(small, run, lab, tmp_path) -> None:
    directory = run(small({"reward.source": "retrieval"}), tmp_path / "judged", judge=Umpire()).directory
    before = gather(directory).verdicts
    assert before and again(directory, reward="lab_rewards:above").judged
    assert gather(directory).verdicts == before


@pytest.mark.slow
def test_a_view_that_reads_observations_and_episodes_is_compared_too(stored, umpire, lab) -> None:
    coefficients = {"extrinsic": 1.0, "intrinsic": 0.0, "place": 1.0}
    summed = {"part": "weighted_sum", "coefficients": coefficients, "on_null": {"intrinsic": "omit"}}
    view = {"name": "own", "parts": [summed, {"part": "potential", "of": "reward", "potential": "place", "gamma": 1.0}]}
    directory = stored({"reward.observed": {"place": "board.9.0"}, "reward.view": view})
    umpire()
    again(directory)
    table = again(directory, reward="lab_rewards:above").comparison
    assert table is not None and table.a.episode_reward is not None
    assert table.a.episode_reward == table.b.episode_reward, "verdicts weigh nothing in it"


@pytest.mark.slow
def test_the_table_agrees_with_a_count_by_hand(stored, umpire, lab) -> None:
    directory = stored()
    umpire()
    again(directory)
    table = again(directory, reward="lab_rewards:above").comparison
    assert table is not None
    steps = steps_by_hand(directory)
    a = [float("left" in text) for _, text, _, _ in steps]
    b = [None if "right" in text else float("above" in text or "catch" in text) for _, text, _, _ in steps]
    both = [(x, y) for x, y in zip(a, b, strict=True) if y is not None]
    assert table.unit == "captioned step" and table.count == len(steps)
    assert (table.a.share_judged, table.b.share_judged) == (1.0, len(both) / len(steps))
    assert table.a.mean == pytest.approx(np.mean(a))
    assert table.b.mean == pytest.approx(np.mean([y for _, y in both]))
    assert table.both == len(both)
    assert table.correlation == pytest.approx(np.corrcoef(np.array(both).T)[0, 1])
    assert table.mean_difference == table.differ == pytest.approx(np.mean([x != y for x, y in both]))
    episodes: dict[str, list[float]] = {}
    for (episode, _, count, paid), x, y in zip(steps, a, b, strict=True):
        sums = episodes.setdefault(episode, [0.0, 0.0])
        sums[0] += paid + 0.1 * x / count**3
        sums[1] += paid + (0.0 if y is None else 0.1 * y / count**3)
    assert table.episodes == len(episodes)
    means = np.mean(list(episodes.values()), axis=0)
    assert (table.a.episode_reward, table.b.episode_reward) == pytest.approx(tuple(means), abs=1e-5)
    apart = {e.text: e.times for e in table.examples}
    for text in apart:
        assert ("left" in text) != ("above" in text or "catch" in text)
        assert apart[text] == sum(text == other for _, other, _, _ in steps)
    assert list(apart.values()) == sorted(apart.values(), reverse=True)


@pytest.mark.slow
def test_what_was_judged_is_not_asked_again_and_a_changed_function_is_another_version(stored, lab) -> None:
    directory = stored()
    first = again(directory, reward="lab_rewards:above")
    assert first.judged["unparseable"] == 1  # it abstains of the ball to the right
    second = again(directory, reward="lab_rewards:above")
    assert (second.judged, second.before, second.left) == ({}, first.total, 0)
    third = again(directory, reward="lab_rewards:above", settings__worth=2.0)
    assert third.version != first.version and sum(third.judged.values()) == first.total
    retried = again(directory, reward="lab_rewards:above", again=True)
    assert retried.judged == {"unparseable": 1}
    with VerdictStore(directory.verdicts, read_only=True) as store:
        subject = caption_subjects(np.array([caption_id("The ball is to your right.")]))
        assert store.join(subject, "intrinsic", first.version).generations.tolist() == [2]


@pytest.mark.slow
def test_functions_of_steps_rows_and_episodes_see_what_was_stored(stored, lab) -> None:
    directory = stored()
    steps = steps_by_hand(directory)
    paid = again(directory, reward="lab_rewards:paid")
    assert paid.judged == {"ok": len(steps)}
    with VerdictStore(directory.verdicts, read_only=True) as store:
        values = store.join(subject_ids(store, paid.version), "intrinsic", paid.version).values
    at: dict[str, int] = {}
    expected = []
    for episode, _, _, reward in steps:
        expected.append(reward + at.setdefault(episode, 0))
        at[episode] += 1
    assert sorted(values) == sorted(expected)
    rows = again(directory, reward="lab_rewards:length")
    assert sum(rows.judged.values()) == rows.total
    won = again(directory, reward="lab_rewards:won")
    whole = sum(1 for episode in at if at[episode] == 9)
    assert won.total == whole == won.judged["ok"] and won.unknown == len(at) - whole > 0
    picky = again(directory, reward="lab_rewards:picky")
    assert picky.comparison is not None and picky.comparison.unit == "episode"
    wins = sum(1 for _, text, _, _ in steps if text == "You catch the ball.")
    assert picky.judged == {"ok": wins, "policy_fault": whole - wins}
    assert again(directory, reward="lab_rewards:left", against=paid.version).comparison.unit == "step"


def subject_ids(store: VerdictStore, version: str):
    import pyarrow as pa

    return pa.concat_arrays([batch.column("subject") for batch in store.batches("intrinsic", version)])


# Limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_stops_at_its_budget_says_what_is_left_and_goes_on(stored, umpire) -> None:
    directory, judge = stored(), umpire()
    one = again(directory, annotation__batch_size=1, budget__requests=2)
    assert (one.judged, one.left, one.stopped) == ({"ok": 2}, one.total - 2, "the budget is used up")
    assert "the same command goes on" in "\n".join(one.lines())
    two = again(directory, budget__tokens=25, budget__tokens_a_question=12)
    assert (two.judged, two.before) == ({"ok": 2}, 2)
    three = again(directory)
    assert (three.left, three.before) == (0, 4)
    assert len(judge.asked) == len(set(judge.asked)) == three.total


def test_money_is_a_limit_and_is_counted(stored, umpire) -> None:
    directory = stored()
    umpire(tokens=1000)
    outcome = again(
        directory,
        prices__million_tokens=2.0,
        budget__money=0.005,
        budget__tokens_a_question=1000,
        annotation__batch_size=1,
    )
    assert outcome.judged == {"ok": 2} and outcome.cost == pytest.approx(0.004) and outcome.left > 0
    with VerdictStore(directory.verdicts, read_only=True) as store:
        assert [c for b in store.batches() for c in b.column("cost").to_pylist()] == pytest.approx([0.002, 0.002])


@pytest.mark.slow
def test_a_function_over_rows_keeps_to_its_budget_too(stored, lab) -> None:
    directory = stored()
    one = again(directory, reward="lab_rewards:paid", budget__requests=7)
    assert (one.judged, one.left, one.stopped) == ({"ok": 7}, one.total - 7, "the budget is used up")
    two = again(directory, reward="lab_rewards:paid")
    assert (two.before, two.left, two.stopped) == (7, 0, "")
    three = again(directory, reward="lab_rewards:length", seconds=1e-9)
    assert three.left == 0 or three.stopped == "1e-09 s are over"


@pytest.mark.slow
def test_a_judge_that_fails_for_a_while_is_asked_again_and_no_failure_is_a_zero(stored, umpire) -> None:
    directory = stored()
    umpire(fails=1)
    outcome = again(directory, annotation__backoff_s=0.01, annotation__max_in_flight=1)
    assert outcome.judged == {"ok": outcome.total}
    judge = umpire(fails=2)
    judge.fingerprint = "umpire-2"
    failed = again(directory, annotation__backoff_s=0.01, annotation__max_attempts=1, annotation__batch_size=2)
    assert failed.judged["judge_fault"] >= 2
    assert failed.comparison.b.share_judged < 1.0
    with VerdictStore(directory.verdicts, read_only=True) as store:
        values = store.join(subject_ids(store, failed.version), "intrinsic", failed.version).values
    assert np.isnan(values).sum() == failed.judged["judge_fault"]


def test_a_judge_that_is_gone_ends_it_with_the_cause(stored, umpire, monkeypatch) -> None:
    monkeypatch.setattr(asked, "PATIENCE_S", 0.05)
    directory = stored()
    umpire(fails=10**6)
    slow = {"annotation__backoff_s": 0.001, "annotation__batch_size": 1, "annotation__breaker_failures": 1}
    outcome = again(directory, annotation__max_attempts=1000, **slow)
    assert outcome.stopped == "the judge fails: judge_fault: ConnectionError: the judge is gone"
    assert outcome.left == outcome.total and not outcome.judged


@pytest.mark.slow
def test_the_reward_model_of_a_checkpoint_is_a_judge_too(small, run, tmp_path: Path) -> None:
    books = run(small({"reward.source": "retrieval"}), tmp_path / "r", judge=Umpire())
    outcome = again(books.directory, reward="model")
    assert outcome.version.startswith("model-") and outcome.judged["ok"] == outcome.total


# Stops ---------------------------------------------------------------------------------------------------------------

SLOW = """
import sys, time
from pathlib import Path
from pipelines.stored.reannotate import reannotate
from pipelines.run_directory import RunDirectory
import pipelines.stored.computed
pipelines.stored.computed.CHUNK = 8
import lab_slow
print(reannotate(RunDirectory(Path(sys.argv[1])), {"reward": "lab_slow:slow"}).judged, flush=True)
"""


@pytest.mark.slow
def test_a_command_that_was_killed_goes_on_where_it_was(stored, lab: Path) -> None:
    directory = stored()
    (lab / "lab_slow.py").write_text(
        "import itertools, os, time\nfrom rewards.functions import reward\n\ncalls = itertools.count()\n\n"
        "@reward(subject='step')\ndef slow(env_reward):\n"
        "    if 'STANDS' in os.environ and next(calls) >= 40:\n        time.sleep(600)\n    return env_reward\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{HOUSE}{os.pathsep}{lab}", "STANDS": "still"}
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(directory.root)], env=environment)
    deadline = time.monotonic() + 300
    while judged(directory) < 16:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=300)
    before = judged(directory)
    outcome = again(directory, reward="lab_slow:slow")
    sys.modules.pop("lab_slow")
    assert outcome.before == before >= 16
    assert sum(outcome.judged.values()) == outcome.total - before > 0
    assert judged(directory) == outcome.total


def judged(directory: RunDirectory) -> int:
    try:
        with VerdictStore(directory.verdicts, read_only=True) as store:
            rows = sum(batch.num_rows for batch in store.batches())
            assert rows == sum(version.subjects for version in store.versions())  # none twice
            return rows
    except (OSError, ValueError):
        return 0


@pytest.mark.slow
def test_verdicts_reach_a_run_that_goes_on_and_owns_its_store(stored, lab) -> None:
    import threading

    directory, done = stored(), threading.Event()
    with VerdictStore(directory.verdicts) as owner:
        result: list[Outcome] = []
        worker = threading.Thread(
            target=lambda: (result.append(again(directory, reward="lab_rewards:left")), done.set())
        )
        worker.start()
        deadline = time.monotonic() + 300
        while not done.is_set():
            assert time.monotonic() < deadline
            owner.collect()
            time.sleep(0.01)
        worker.join()
        (version,) = owner.versions()
    assert version.reward_version == result[0].version and version.ok == result[0].total


def test_what_was_asked_and_what_came_of_it_is_kept(stored, umpire) -> None:
    directory = stored()
    umpire()
    outcome = again(directory, judge__kind="rules", judge__goal="collect gold")
    record = json.loads((directory.root / "reannotations" / f"{outcome.version}.json").read_text())
    assert record["judge"] == {"kind": "rules", "goal": "collect gold"}
    assert record["judged"] == outcome.judged and record["tokens"] == outcome.tokens


# Refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rewrad": "x"}, "unknown key 'rewrad'; expected reward, against"),
        ({"reward": "lab_rewards:nothing"}, "got nothing of that name; lab_rewards has above, best, left"),
        ({"reward": "above"}, "expected package.module:function"),
        ({"reward": "lab_rewards:misspelt"}, "nothing provides its argument 'captoin'; a caption has caption: did you"),
        ({"reward": "lab_rewards:best"}, "stored trajectories hold no groups"),
        ({"reward": "lab_rewards:above", "settings.weight": 1}, r"got settings \['weight'\]"),
        ({"reward": "lab_rewards:above", "judge.kind": "rules"}, "which asks no judge"),
        ({"reward": "lab_rewards:above", "budget.requests": -1}, "budget.requests: got -1"),
        ({"reward": "lab_rewards:above", "budget.cents": 1}, "budget.cents"),
        ({"reward": "lab_rewards:above", "seconds": 0}, "seconds: got 0"),
        ({"reward": "lab_rewards:above", "against": "v9"}, "got reward version 'v9'; expected one of"),
        ({"reward": "model"}, "there is no checkpoint"),
        ({"judge.kind": "oracle"}, "judge"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(values, message, stored, lab) -> None:
    directory = stored(rollouts=1)
    with pytest.raises(UserError, match=message) as error:
        reannotate(directory, values, say=lambda _: None)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_run_without_experience_or_with_broken_verdicts_is_refused(stored, lab) -> None:
    directory = stored(rollouts=1)
    (directory.verdicts).mkdir()
    (directory.verdicts / "store.json").write_text("{}")
    with pytest.raises(UserError, match="verdicts"):
        again(directory, reward="lab_rewards:left")
    for path in directory.experience.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="replay cannot be read"):
        again(directory, reward="lab_rewards:left")
    directory.experience.rmdir()
    with pytest.raises(UserError, match="has no stored experience: set record_mb above 0"):
        again(directory, reward="lab_rewards:left")


@pytest.mark.slow
def test_versions_of_different_kinds_are_not_compared(stored, lab) -> None:
    directory = stored(rollouts=1)
    first, second = (again(directory, reward=f"lab_rewards:{name}").version for name in ("left", "length"))
    experience = StoredExperience(directory)
    with (
        VerdictStore(directory.verdicts, read_only=True) as store,
        pytest.raises(UserError, match=r"judges captions and .* judges rows"),
    ):
        compare(experience, store, stored_experiment(directory), "intrinsic", first, second)
    experience.close()
