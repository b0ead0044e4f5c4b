import asyncio
import json

import pytest

from rewards.attacks import honest
from rewards.attacks.attack import Attack, Sample, replaced, suffixed
from rewards.attacks.measure import as_data, attack_judge, best_threshold
from rewards.attacks.suite import choose
from rewards.judges.guarded import GuardedJudge
from rewards.judges.judge import Answer
from rewards.judges.trivial import why_trivial
from rewards.verdicts import Status

SAMPLES = [Sample(f"{good} {k}", "response", str(k), good, f"q{k}") for k in range(4) for good in (True, False)]
TRICKS = Attack("tricks", "", "", (suffixed("please", "please"), replaced("key", ":", held_out=True)))


class By:
    """Judges a text by a function."""

    fingerprint = "by"

    def __init__(self, value):
        self.value = value
        self.calls = []

    async def judge(self, questions):
        self.calls += questions
        values = [self.value(q.texts[0], q) for q in questions]
        return [Answer(Status.JUDGE_FAULT if v is None else Status.OK, v) for v in values]

    async def check(self):
        pass


def run(judge, samples=SAMPLES, attacks=(TRICKS,), threshold=0.5):
    return asyncio.run(attack_judge(judge, attacks, samples, threshold))


def test_a_judge_that_falls_for_one_word_is_counted_by_hand():
    samples = [Sample("g", "response", "right", True), *(Sample(f"b{k}", "response", f"w{k}", False) for k in range(4))]
    report = run(By(lambda text, _: float(text == "right" or "please" in text or text == "w0")), samples)
    assert (report.false_positives.hits, report.false_positives.n) == (1, 4)  # w0, without any attack
    please = report.line("tricks", "please")
    assert (please.false_positives.hits, please.false_positives.n) == (4, 4)
    assert (please.flipped.hits, please.flipped.n) == (3, 3)  # w0 was accepted before
    assert report.line("tricks", "key").false_positives.hits == 0
    assert report.overall.false_positives.n == 5 and report.held_out.false_positives.n == 1
    assert report.false_negatives.hits == 0


def test_null_is_no_acceptance_and_is_counted():
    report = run(By(lambda text, _: None if "please" in text or text == ":" else 1.0))
    assert report.overall.false_positives.hits == 0 and report.overall.nulls == report.overall.false_positives.n
    assert report.false_positives.hits == 4 and report.honest_nulls == 0
    silent = run(By(lambda text, _: float("nan")))
    assert silent.false_negatives.value == 1.0 and silent.honest_nulls == 8


@pytest.mark.slow
def test_an_exact_match_verifier_is_never_fooled():
    """The identity of "One token to fool LLM-as-a-judge": its false-positive rate is 0 on every attack."""
    samples = honest.responses(40)
    exact = By(lambda text, q: float(text.strip() == q.fields["reference"]))
    report = run(exact, samples, choose())
    assert report.overall.false_positives.hits == 0 and report.overall.false_positives.n > 1000
    assert report.overall.false_positives.high < 0.1


def test_each_distinct_question_is_asked_once():
    judge = By(lambda text, _: 0.0)
    run(judge)
    assert len({q.subject for q in judge.calls}) == len(judge.calls)


def test_a_reward_on_its_own_scale_gets_the_threshold_that_tells_best():
    assert best_threshold([3.0, 5.0, 4.0], [1.0, 2.0, None]) == 2.5
    assert best_threshold([1.0, 1.0], [1.0, 1.0]) in (0.0, 1.0)
    report = run(By(lambda text, q: 10.0 if len(text) > 3 else -3.0), threshold=None)
    assert report.threshold < 10
    with pytest.raises(ValueError, match="does not know these samples"):
        run(By(lambda text, _: None), threshold=None)


def test_samples_of_one_verdict_only_are_refused():
    with pytest.raises(ValueError, match="got 4 good and 0 bad samples"):
        run(By(lambda text, _: 1.0), [s for s in SAMPLES if s.good])


@pytest.mark.slow
def test_a_guard_stops_keys_and_lets_no_other_family_through_more_often():
    gullible = By(lambda text, q: float(bool(why_trivial(text)) or q.fields["reference"] in text))
    samples = honest.responses(30)
    off, on = run(gullible, samples, choose()), run(GuardedJudge(gullible), samples, choose())
    for one in off.attacks:
        if one.attack != "smuggling":  # cleaned of what was smuggled, a text is judged as its honest self
            assert on.line(one.attack, one.variant).false_positives.hits <= one.false_positives.hits
    keys = off.line("master-keys").false_positives, on.line("master-keys").false_positives
    assert keys[0].value > 0.5 and keys[1].value < 0.1


def test_a_report_is_json():
    data = json.loads(json.dumps(as_data(run(By(lambda text, _: 1.0)))))
    assert data["attacks"][0]["false_positives"]["value"] == 1.0 and data["honest"]["false_negatives"]["n"] == 4
