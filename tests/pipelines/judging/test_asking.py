"""Runs that ask their judges through cache, budget, canaries and fallback, in this process."""

from __future__ import annotations

import asyncio
import json

import pytest

from envs.captions import caption_id
from envs.trajectory import Fragment
from pipelines.errors import UserError
from pipelines.judging.quarantine import canary_lines, lift_quarantine, quarantined
from pipelines.judging.served_judge import ForFallback, ServedJudge
from pipelines.reports.page import write_report
from pipelines.reports.summary import summary
from pipelines.stored.reannotate import reannotate
from pipelines.stored.replay_tools import ledger_report
from pipelines.stored.stored_run import StoredRun
from pipelines.stored.switch import request_switch
from rewards.judges.judge import Answer
from rewards.judges.rules import RulesJudge
from rewards.questions import caption_question
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status

CANARIES = '- {accept: true, text: "It is good."}\n- {accept: false, text: "It is bad."}\n'
KNOWN = {"It is good.": 1.0, "It is bad.": 0.0}


class Turncoat:
    """Sound, until it has answered so many questions; from then on it accepts whatever it is asked."""

    fingerprint = "turncoat"

    def __init__(self, sound: float = float("inf"), status: Status = Status.OK) -> None:
        self.sound, self.status, self.asked = sound, status, []

    async def judge(self, questions):
        answers = []
        for question in questions:
            text = question.texts[0]
            self.asked += [] if text in KNOWN else [text]
            value = KNOWN.get(text, float(len(text) % 2)) if len(self.asked) <= self.sound else 1.0
            answers.append(Answer(self.status, value if self.status is Status.OK else None, tokens=10))
        return answers

    async def check(self) -> None:
        pass


@pytest.fixture
def judged(small, tmp_path):
    """A judged experiment, one question a call; with canaries for each, of which one wrong verdict is enough."""
    (tmp_path / "canaries.yaml").write_text(CANARIES)

    def make(values=None, canaries=False):
        watched = {"file": str(tmp_path / "canaries.yaml"), "share": 1.0, "false_alarm": 0.2}
        own = {"reward": "retrieval", "annotation.batch_size": 1, "annotation.backoff_s": 0.0}
        return small(
            {**own, **({f"canaries.{k}": v for k, v in watched.items()} if canaries else {}), **(values or {})}
        )

    return make


@pytest.mark.slow
def test_a_judge_that_turns_is_quarantined_and_what_it_said_before_no_longer_counts(judged, run, tmp_path):
    judge = Turncoat(sound=0)
    made = run(judged(canaries=True), tmp_path / "run", judge=judge)
    assert made.status.updates == 4, "training goes on"
    assert len(judge.asked) == 3, "and nobody is asked, or paid, any more"
    with VerdictStore(made.directory.verdicts, read_only=True) as store:
        assert len(store.verdicts()) == 2, "verdicts stay stored as they are"
    assert made.verdicts.counted == [] and made.reward_model["labels"] == 0
    books = made.verdicts.annotation.ledger()
    assert (books.ok, books.pending, books.failures, books.balanced) == (2, books.asked - 2, {}, True)
    (entry,) = quarantined(made.directory).values()
    assert (entry.judge, entry.reward_version) == ("turncoat", made.verdicts.reward_version)
    told = [event for event in made.directory.lines(made.directory.events) if event["what"] == "quarantined"]
    assert len(told) == 1 and f"reward version {made.verdicts.reward_version}" in told[0]["cause"]
    assert any("accepts what it should reject" in text for text in made.display.said)
    write_report([made.directory], made.directory.report)
    assert any("turncoat: quarantined" in line for line in canary_lines(made.directory))
    assert "in quarantine, not believed: turncoat" in ledger_report(made.directory).lines
    told = "not believed: turncoat"
    assert told in summary(made.directory) and told in made.directory.report.read_text()
    assert StoredRun(made.directory).verdicts(made.verdicts.reward_version) == [], (
        "nor does who learns offline believe it"
    )
    with pytest.raises(
        UserError, match=f"reward version {made.verdicts.reward_version}: judge turncoat is quarantined"
    ):
        request_switch(made.directory, made.verdicts.reward_version, least=0.0)


@pytest.mark.slow
def test_a_quarantine_outlives_the_run_until_a_person_lifts_it(judged, run, tmp_path):
    run(judged(canaries=True), tmp_path / "run", judge=Turncoat(sound=0))
    judge = Turncoat()
    longer = judged({"frames": 480}, canaries=True)
    made = run(longer, tmp_path / "run", resume=True, judge=judge)
    assert not judge.asked and made.verdicts.counted == [] and made.verdicts.annotation.held
    with pytest.raises(UserError, match="got judge 'nobody'; expected one of turncoat"):
        lift_quarantine(made.directory, "nobody")
    assert lift_quarantine(made.directory, "turn").judge == "turncoat" and not quarantined(made.directory)
    made = run(longer.model_copy(update={"frames": 600}), tmp_path / "run", resume=True, judge=judge)
    assert (
        judge.asked
        and len(made.verdicts.counted)
        == made.verdicts.annotation.ledger().ok
        == made.verdicts.annotation.ledger().asked
    )
    assert made.reward_model["labels"] == len(made.verdicts.counted)


@pytest.mark.slow
def test_a_person_lifts_the_quarantine_of_a_run_that_goes_on(judged, books, run, tmp_path):
    run(judged(canaries=True), tmp_path / "run", judge=Turncoat(sound=0))
    made = books(judged(canaries=True), tmp_path / "run")
    made.restore()
    made.verdicts.asks_through(made.verdicts.post, lambda judge: None, "turncoat")
    assert made.verdicts.annotation.held and not made.verdicts.reward_begins_anew()
    lift_quarantine(made.directory, "turncoat")
    made.report(force=True)
    assert not made.verdicts.annotation.held and made.verdicts.reward_begins_anew() and len(made.verdicts.counted) == 2
    made.close()


def test_a_judge_that_fails_its_canaries_at_the_start_ends_the_run_before_any_work(judged, run, tmp_path):
    with pytest.raises(UserError, match=r"judge turncoat is quarantined.*Mend the judge, or .*canaries.yaml"):
        run(judged(canaries=True), tmp_path / "run", judge=Turncoat(sound=-1))
    assert not (tmp_path / "run" / "replay" / "0" / "rows" / "0").exists()


@pytest.mark.slow
def test_canaries_change_no_verdict_and_no_weight(judged, run, tmp_path):
    plain = run(judged(), tmp_path / "plain", judge=Turncoat())
    watched = run(judged(canaries=True), tmp_path / "watched", judge=Turncoat())
    assert [(v.subject, v.value) for v in plain.verdicts.counted] == [
        (v.subject, v.value) for v in watched.verdicts.counted
    ]
    assert watched.accounts()["canaries"]["turncoat"]["reject"]["right"] > 0
    tokens = [made.verdicts.annotation.ledger().tokens for made in (plain, watched)]
    assert tokens[1] == 2 * tokens[0], "and what they took is booked"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello: there", "got a dict; expected a list of canaries"),
        ("- {accept: maybe, text: It is good.}", "canary 1: accept: Input should be a valid boolean"),
        ("- {accept: true, text: a}\n- {accept: true}", "canary 2: expected either text or texts"),
        ("- {accept: true, text: a, colour: red}", "canary 1: colour: Extra inputs are not permitted"),
        ("- {accept: true, kind: pair, texts: [a]}", "got a pair of 1 texts"),
        ("- {accept: true, text: a}", "none of them to reject"),
        ("- {accept: true, kind: response, text: a}", "got a canary of kind 'response'; expected 'caption'"),
        ("[", "cannot be read"),
    ],
)
def test_canaries_that_cannot_be_used_are_refused_with_their_place(judged, books, tmp_path, text, message):
    (tmp_path / "other.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        books(judged({"canaries.file": str(tmp_path / "other.yaml")}), tmp_path / "run")


@pytest.mark.slow
def test_a_cheaper_judge_takes_over_when_the_budget_is_used_up_and_can_be_told_apart(judged, run, tmp_path):
    values = {"budget.requests": 1, "budget.degrade": "fallback", "fallback": "rules", "judge.kind": "rules"}
    made = run(judged(values), tmp_path / "counts", judge=Turncoat())
    judges = made.verdicts.annotation.ledger().judges
    second = RulesJudge("catch the ball").fingerprint
    assert (
        judges["turncoat"] == 1
        and made.verdicts.belief.fallback_judges == set(judges) - {"turncoat"}
        and len(judges) == 2
    ), second
    assert len(made.verdicts.counted) == made.verdicts.annotation.ledger().ok == sum(judges.values()) > 1
    assert any("(fallback)" in line for line in ledger_report(made.directory).lines)
    apart = run(judged({**values, "fallback.counts": False}), tmp_path / "apart", judge=Turncoat())
    assert {verdict.judge_fingerprint for verdict in apart.verdicts.counted} == {"turncoat"}
    assert apart.verdicts.annotation.ledger().judges == judges, "its verdicts are stored; the reward sees NULL"
    again = run(judged({**values, "fallback.counts": False, "frames": 480}), tmp_path / "apart", True, Turncoat())
    assert {verdict.judge_fingerprint for verdict in again.verdicts.counted} == {"turncoat"}


@pytest.mark.slow
def test_budget_and_cache_hold_in_one_process_too(judged, run, tmp_path):
    judge = Turncoat()
    made = run(judged({"budget.requests": 1}), tmp_path / "poor", judge=judge)
    books = made.verdicts.annotation.ledger()
    assert len(judge.asked) == books.ok == 1 and books.failures == {"over_budget": books.asked - 1}
    waits = run(judged({"budget.requests": 1, "budget.degrade": "stop"}), tmp_path / "waits", judge=Turncoat())
    assert waits.verdicts.annotation.ledger().pending == books.asked - 1
    file = {"cache.file": str(tmp_path / "cache.sqlite")}
    first, second = Turncoat(), Turncoat()
    run(judged(file), tmp_path / "first", judge=first)
    made = run(judged(file), tmp_path / "second", judge=second)
    assert first.asked and not second.asked
    assert made.verdicts.annotation.ledger().cached == made.verdicts.annotation.ledger().ok == len(first.asked)


@pytest.mark.slow
def test_what_was_pending_when_the_run_was_switched_is_dropped_and_counted(judged, run, books, tmp_path, monkeypatch):
    (tmp_path / "lab_pending.py").write_text(
        "from rewards.functions import reward\n\n@reward(subject='caption')\ndef all_of(caption):\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    patient = judged({"annotation.max_attempts": 99})
    made = run(patient, tmp_path / "run", judge=Turncoat(status=Status.TIMEOUT))
    asked = made.verdicts.annotation.ledger().asked
    assert asked == made.verdicts.annotation.pending > 0
    version = reannotate(made.directory, {"reward": "lab_pending:all_of"}, say=lambda _: None).version
    request_switch(made.directory, version)
    judge = Turncoat()
    after = books(patient, tmp_path / "run")
    after.restore()
    former = after.verdicts.annotation
    assert after.report(force=True) and after.verdicts.reward_begins_anew()
    assert former.next_batch() is None and former.pending == 0
    accounts = after.accounts()
    assert [(one["dropped"], one["reward_version"]) for one in accounts["former_verdicts"]] == [
        (asked, former.reward_version)
    ]
    assert accounts["balanced"] and accounts["verdicts"]["asked"] == 0 and len(after.verdicts.counted) > 0
    after.save(json.loads(json.dumps({"learner": None, "trainer": None})), [0])
    after.close()
    assert ledger_report(after.directory).balanced and not judge.asked
    later = books(patient, tmp_path / "run")
    later.restore()
    later.verdicts.asks_through(
        lambda *_: pytest.fail("nothing is asked after a switch"), lambda judge: None, "turncoat"
    )
    later.verdicts.post(caption_question("It is new."), 0)
    assert later.accounts()["former_verdicts"][0]["dropped"] == asked
    later.close()


def test_a_replica_holds_both_judges():
    served = ServedJudge(RulesJudge("explore and descend"), 100, fallback=Turncoat())
    questions = (caption_question("You die."),)

    async def both():
        return await served.ask(questions), await served.ask(ForFallback(questions))

    (first, _, _), (second, answers, _) = asyncio.run(both())
    assert first.startswith("rules-") and second == "turncoat" and answers[0].tokens == 10
    with pytest.raises(ValueError, match="this replica has none"):
        asyncio.run(ServedJudge(Turncoat(), 100).ask(ForFallback(questions)))


@pytest.mark.slow
def test_reannotation_stops_where_its_judge_fails_the_canaries_and_its_version_is_refused(judged, stored, tmp_path):
    directory = stored()
    (tmp_path / "canaries.yaml").write_text('- {accept: true, text: "You die."}\n- {accept: false, text: "It is."}\n')
    watched = {"canaries.file": str(tmp_path / "canaries.yaml"), "canaries.share": 1.0, "canaries.false_alarm": 0.2}
    outcome = reannotate(directory, {**watched, "annotation.batch_size": 1}, say=lambda _: None)
    assert "rejects what it should accept" in outcome.stopped and outcome.left > 0
    (entry,) = quarantined(directory).values()
    assert entry.reward_version == outcome.version
    with pytest.raises(UserError, match="is quarantined"):
        request_switch(directory, outcome.version, least=0.0)


def test_what_was_answered_after_the_checkpoint_counts_and_is_not_asked_again(judged, books, tmp_path):
    made = books(judged(), tmp_path / "run")
    ident = caption_id("It is good.")
    made.verdicts.ask(Fragment((0, 0, 0), 0, 1, 1, {ident: "It is good."}, {ident: 1}, []))
    batch = made.verdicts.annotation.next_batch()
    state = made.verdicts.state_dict()
    made.verdicts.answered(made.verdicts.annotation.complete(batch.id, [Answer(Status.OK, 1.0, tokens=10)], "rules"))
    made.close()
    again = books(judged(), tmp_path / "run")
    again.verdicts.load_state_dict(state)
    assert [(verdict.text, verdict.value) for verdict in again.verdicts.counted] == [("It is good.", 1.0)]
    assert again.verdicts.annotation.next_batch() is None and again.verdicts.annotation.ledger().tokens == 0
    again.close()
