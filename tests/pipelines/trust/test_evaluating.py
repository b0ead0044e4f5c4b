import json
import sys
import types

import pytest

from pipelines.errors import UserError
from pipelines.trust.evaluating import evaluate_judge, read_problems, sums
from rewards.functions import reward


@reward(subject="response", version="1")
def exact(completion: str, answer: str) -> float:
    return float(completion.endswith(f"= {answer}"))


@pytest.fixture
def judge(monkeypatch):
    module = types.ModuleType("judge_to_evaluate")
    module.exact = exact
    monkeypatch.setitem(sys.modules, "judge_to_evaluate", module)
    return "judge_to_evaluate:exact"


def test_a_verifier_is_right_about_sums_and_the_rule_book_about_its_own_captions(judge):
    lines = "\n".join(evaluate_judge(judge, {"samples": 5}))
    assert "right one above all wrong" in lines and "1.000 [0.566, 1.000] of 5" in lines and "1: 0.10" in lines
    ruled = "\n".join(evaluate_judge("rules", {"samples": 5}))
    assert "accuracy                    1.000" in ruled and "reworded" in ruled


def test_files_are_read_and_what_is_malformed_is_named(tmp_path, judge):
    good = tmp_path / "good.jsonl"
    rows = [{"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected, "answer": p.answer} for p in sums(3, 0)]
    good.write_text("\n".join(json.dumps(row) for row in rows))
    assert read_problems(good, 10) == sums(3, 0)
    assert "of 27" in "\n".join(evaluate_judge(judge, {"data": str(good)}))
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a", "chosen": "b", "rejected": "c"}\n{"prompt": "a", "chosen": 3}\n')
    with pytest.raises(UserError, match=r"line 2: got chosen, prompt; expected texts prompt, chosen, rejected"):
        read_problems(bad, 10)
    bad.write_text('\n\n{"prompt": "a", "chosen": "b", "rejected": "c", "answer": 0}\n\n{"prompt": "a"}\n')
    assert read_problems(bad, 1)[0].answer == "0"
    with pytest.raises(UserError, match=r"line 5: got prompt"):
        read_problems(bad, 10)
    for said in ("no json", "[" * 200_000):
        bad.write_text(said)
        with pytest.raises(UserError, match="cannot be read"):
            read_problems(bad, 10)
    bad.write_text("")
    with pytest.raises(UserError, match="is empty"):
        read_problems(bad, 10)
    with pytest.raises(UserError, match="judges captions"):
        evaluate_judge("rules", {"data": str(good)})
