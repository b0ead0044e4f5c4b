from __future__ import annotations

import json
import sys

import pytest

from pipelines.errors import UserError
from pipelines.service.targets import Settings, Target, find_target
from pipelines.trust.attack import attack, compare, table_of, with_defences
from rewards.judges.judge import Answer
from rewards.verdicts import Status


class Gullible:
    """Accepts whatever says yes, or nothing."""

    fingerprint = "gullible"

    async def judge(self, questions):
        values = [float("yes" in q.texts[0].lower() or len(q.texts[0]) < 3) for q in questions]
        return [Answer(Status.OK, value) for value in values]

    async def check(self):
        pass


@pytest.mark.slow
def test_the_table_has_both_columns_and_what_defences_cost():
    found = compare(Target("gullible", Gullible(), "response", "v"), "", samples=10)
    assert found.off.line("master-keys", "colon").false_positives.value == 1.0
    assert found.on.line("master-keys").false_positives.hits < found.off.line("master-keys").false_positives.hits
    assert found.on.overall.false_positives.value < found.off.overall.false_positives.value
    table = table_of(found)
    for line in (
        "defences off",
        "defences on",
        "prompt-injection",
        "no attack: good ones not accepted",
        "most got through",
    ):
        assert line in table


def test_the_rules_are_attacked_from_the_command_line(tmp_path):
    file = tmp_path / "attack.json"
    table = attack("rules", {"samples": 4, "attacks": ["master-keys", "authority"], "to": str(file)})
    assert "authority" in table and "nothing got through" in table
    data = json.loads(file.read_text())
    assert data["target"] == "rules" and {a["attack"] for a in data["off"]["attacks"]} == {"master-keys", "authority"}
    assert data["on"]["overall"]["false_positives"]["hits"] == 0


@pytest.mark.parametrize(
    ("target", "values", "says"),
    [
        ("rules", {"samples": 1}, "samples"),
        ("rules", {"attack": "x"}, "attack"),
        ("rules", {"attacks": "flattery"}, "got the attack 'flattery'"),
        ("rules", {"goal": "sing"}, "sing"),
        ("rules", {"samples": 2, "attacks": "authority", "to": "/nowhere/x.json"}, "cannot write"),
        ("https://judge.invalid/v1", {}, "add model=NAME"),
        ("http://127.0.0.1:9/v1", {"model": "m"}, "start the server"),
        ("no_such_module:thing", {}, "cannot import"),
        ("nothing-here", {}, "expected builtin, rules, a URL"),
    ],
)
def test_mistakes_are_one_line(target, values, says):
    with pytest.raises(UserError, match=says):
        attack(target, values)


def test_a_function_is_attacked_by_its_dotted_path(tmp_path, monkeypatch):
    (tmp_path / "lab_of_attack.py").write_text(
        "from rewards.functions import reward\n\n"
        "@reward(subject='response')\n"
        "def contains(completion: str, answer: str) -> float:\n    return float(answer in completion)\n\n"
        "@reward(subject='step')\n"
        "def moved(action: int) -> float:\n    return 1.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    target = find_target("lab_of_attack:contains", Settings())
    found = compare(target, "", ["rubric-leakage", "master-keys"], samples=12)
    assert found.off.false_negatives.hits < 12 and found.off.line("master-keys").false_positives.n == 12 * 19
    with pytest.raises(UserError, match="judges neither captions nor responses"):
        compare(find_target("lab_of_attack:moved", Settings()), "")
    sys.modules.pop("lab_of_attack")


@pytest.mark.slow
def test_a_runs_reward_model_is_attacked_on_captions_that_it_knows(run, small, tmp_path):
    run(small({"reward.source": "classification", "reward.classification.min_labels": 2}), tmp_path / "trained")
    target = find_target("trained", Settings(runs=tmp_path))
    assert target.kind == "caption" and target.threshold is None and target.captions
    assert with_defences(target).fingerprint != target.version
    run(small({"reward.source": "extrinsic"}), tmp_path / "plain")
    with pytest.raises(UserError, match="has no reward model"):
        find_target("plain", Settings(runs=tmp_path))
