import json
import sys
import types

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import UserError
from pipelines.trust.judges.evaluating import evaluate_judge
from pipelines.trust.judges.measures import WIDTH
from pipelines.trust.judges.problem_files import read_problems, write_problems
from rewards.evaluation.problem_sets import SETS, sums
from rewards.functions import reward


@reward(subject="response", version="1")
def exact(completion: str, answer: str) -> float:
    return float(completion.endswith(f"= {answer}"))


@reward(subject="pair", version="1")
def vain(first: str, second: str) -> float:
    """Prefers whatever stands first, and a little more where it is long."""
    return 0.8 if len(first) < len(second) else 0.9


@reward(subject="pair", version="1")
def wise(first: str, second: str, answer: str) -> float | None:
    one, other = (text.rstrip(".").endswith(f"answer is {answer}") for text in (first, second))
    return None if one == other else float(one)


@reward(subject="response", version="1")
def silent(completion: str) -> float | None:
    return None


@reward(subject="pair", version="1")
def loud(first: str, second: str) -> float:
    return 3.0


@reward(subject="episode", version="1")
def episode(messages: list[dict[str, str]], turns: int, finish: str, answer: str) -> float:
    asked, said = (message["content"] for message in messages)
    return float(turns == 1 and finish == "stop" and asked.startswith("What is") and said.endswith(f"= {answer}"))


@reward(subject="episode", version="1")
def graded(completion: str, tests: list[str]) -> float:
    return float(completion in tests)


@reward(subject="step", version="1")
def moved(action: int) -> float:
    return float(action)


@reward(subject="caption", version="1")
def logit(caption: str) -> float:
    return -7.0 + len(caption)


@pytest.fixture
def judge(monkeypatch):
    module = types.ModuleType("judge_to_evaluate")
    for one in (exact, vain, wise, silent, loud, episode, graded, moved, logit):
        setattr(module, one.name, one)
    monkeypatch.setitem(sys.modules, "judge_to_evaluate", module)
    return "judge_to_evaluate:exact"


def found(lines: list[str]) -> dict[str, str]:
    return {line[:WIDTH].strip(): line[WIDTH:] for line in lines[1:]}


def test_a_verifier_is_right_about_sums_and_the_rule_book_about_its_own_captions(judge):
    lines = "\n".join(evaluate_judge(judge, {"samples": 5}))
    assert "right one above all wrong" in lines and "1.000 [0.566, 1.000] of 5" in lines and "1: 0.10" in lines
    ruled = "\n".join(evaluate_judge("rules", {"samples": 5}))
    assert "accuracy                       1.000" in ruled and "reworded" in ruled
    assert "pairs, right in both orders    1.000 [0.566, 1.000] of 5" in ruled


def test_a_verifier_of_episodes_is_asked_about_episodes_of_one_reply(judge):
    for verifier in ("quantities:number_match", "overlap:bleu"):
        lines = found(evaluate_judge(f"rewards.verifiers.{verifier}", {"samples": 5, "repeats": 1}))
        assert lines["no value"].startswith("0 of 50") and float(lines["pairs in order"][:5]) > 0.5
    own = found(evaluate_judge("judge_to_evaluate:episode", {"samples": 5, "repeats": 1}))
    assert own["right one above all wrong"].startswith("1.000")
    with pytest.raises(UserError, match="nothing provides its argument 'tests'; an episode has answer, completion"):
        evaluate_judge("judge_to_evaluate:graded", {"samples": 2})
    with pytest.raises(UserError, match=r"its argument answer is a .*Sequence.*; expected a text or a number"):
        evaluate_judge("rewards.verifiers.sets:set_f1", {})
    with pytest.raises(
        UserError, match=r'judges neither captions nor responses nor pairs of them; expected .*"episode"'
    ):
        evaluate_judge("judge_to_evaluate:moved", {})


def test_a_judge_of_pairs_that_prefers_a_place_is_found_out(judge):
    lines = found(evaluate_judge("judge_to_evaluate:vain", {"samples": 8, "repeats": 1}))
    assert lines["pairs, better one first"].startswith("1.000") and lines["pairs, better one second"].startswith(
        "0.000"
    )
    assert lines["pairs, right in both orders"].startswith("0.000") and lines["else: the first one wins"].startswith(
        "1.0"
    )
    assert 0.3 <= float(lines["shift towards the first"]) <= 0.4


def test_a_scale_of_its_own_has_an_order_and_no_calibration_and_a_pair_has_a_probability(judge):
    lines = found(evaluate_judge("judge_to_evaluate:logit", {"samples": 8, "repeats": 1}))
    assert "accuracy" not in lines and "calibration error, Brier" not in lines
    assert lines["accepted above rejected"].endswith("of 64") and lines["same verdict, reworded"].endswith("of 8")
    with pytest.raises(UserError, match="got 3 of a pair; expected probabilities"):
        evaluate_judge("judge_to_evaluate:loud", {"samples": 2})


def test_other_words_turn_a_judge_that_goes_by_them_and_only_there(judge):
    lines = found(evaluate_judge("judge_to_evaluate:wise", {"samples": 8, "problems": "steps", "repeats": 1}))
    assert lines["pairs, right in both orders"].startswith("1.000")
    assert lines["same winner, prompt reworded"].startswith("1.000")
    # the other words end in "So there are N": it cannot tell any more, and that is no opinion
    assert lines["same winner, answers reworded"].endswith("nothing")
    lines = found(evaluate_judge(judge, {"samples": 8, "repeats": 1}))
    assert lines["same order, answers reworded"].startswith("1.000")


def test_all_numbers_are_written_and_each_set_has_its_line(judge, tmp_path):
    to, written = tmp_path / "found.json", tmp_path / "problems.jsonl"
    values = {"samples": 4, "repeats": 2, "problems": "all", "to": str(to), "write": str(written)}
    lines = found(evaluate_judge(judge, values))
    assert lines["sums"].startswith("1.000") and lines["length"].startswith("0.500")
    rows = {row["measure"]: row for row in json.loads(to.read_text())["measures"]}
    assert rows["right one, best of N"]["1"] == pytest.approx((4 / 10 + 4 / 6 + 4 / 4) / 12)
    assert rows["deviation when repeated"]["value"] == 0.0
    made = [problem for make in SETS.values() for problem in make(4, 0)]
    assert read_problems(written, 100) == made
    assert read_problems(written, 5) == made[:5]


def test_files_are_read_and_what_is_malformed_is_named(tmp_path, judge):
    good = tmp_path / "good.jsonl"
    write_problems(sums(3, 0), good)
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
    bad.write_text('{"prompt": "a", "chosen": "b", "rejected": "c", "reworded": ["d"]}')
    with pytest.raises(UserError, match="line 1: got 1 reworded texts; expected 3"):
        read_problems(bad, 10)
    bad.write_text("")
    with pytest.raises(UserError, match="is empty"):
        read_problems(bad, 10)
    with pytest.raises(UserError, match="judges captions"):
        evaluate_judge("rules", {"data": str(good)})
    with pytest.raises(UserError, match="cannot be written"):
        evaluate_judge(judge, {"write": str(tmp_path / "nowhere" / "file")})
    with pytest.raises(UserError, match="no value for any question: the reward function abstained"):
        evaluate_judge("judge_to_evaluate:silent", {"samples": 2})


def test_parquet_as_rewardbench_has_it_with_lists_and_subsets(tmp_path, judge):
    path = tmp_path / "bench.parquet"
    rows = [
        {"prompt": "1 + 1?", "chosen": ["= 2", "It = 2"], "rejected": ["= 3", "= 4"], "subset": "Math", "answer": "2"},
        {"prompt": "2 + 2?", "chosen": ["= 5"], "rejected": ["= 4"], "subset": "Ties", "answer": "4"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    problems = read_problems(path, 10)
    assert problems[0].chosen == ("= 2", "It = 2") and problems[1].subset == "Ties"
    lines = found(evaluate_judge(judge, {"data": str(path), "repeats": 1}))
    assert (
        lines["Math"].startswith("1.000") and lines["Ties"].startswith("0.000") and lines["pairs in order"][:3] == "0.8"
    )
    path.write_bytes(b"PAR1 but no more")
    with pytest.raises(UserError, match="cannot be read"):
        read_problems(path, 10)
