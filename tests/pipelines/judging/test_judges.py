import asyncio

import pytest

from pipelines.errors import UserError
from pipelines.judging.judges import build_judge, judge_identity, prepare_judge
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge, ServedModel, TransformersModel, VllmJudge
from rewards.judges.judge import question

GRADED = "id: g\nversion: 1\nkind: graded\n"


def write(tmp_path, text, name="r.yaml"):
    (tmp_path / name).write_text(text)
    return str(tmp_path / name)


def test_a_rubric_and_a_server_make_a_judge(tmp_path):
    served = ServedModel(url="http://127.0.0.1:9/v1", model="m", timeout_s=5)
    judge = build_judge(RubricJudge(path=write(tmp_path, GRADED), model=served), "any goal")
    (answer,) = asyncio.run(judge.judge([question("response", ["x"])]))
    assert answer.value is None and judge.fingerprint.startswith("rubric-")


def test_a_rubric_that_cannot_be_used_is_the_users_error_with_file_and_line_before_anything_starts(tmp_path):
    path = write(tmp_path, GRADED + "levles: 3\n")
    with pytest.raises(UserError, match=r"r\.yaml:4: levles: no such setting"):
        prepare_judge(RubricJudge(path=path))
    with pytest.raises(UserError, match="is no file"):
        prepare_judge(RubricJudge(path=str(tmp_path / "none.yaml")))
    with pytest.raises(UserError, match=r"judge\.model"):
        build_judge(RubricJudge(path=write(tmp_path, GRADED)), "goal")


def test_a_model_that_is_not_there_is_the_users_error(tmp_path):
    path = write(tmp_path, GRADED)
    with pytest.raises(UserError, match="cannot be loaded"):
        build_judge(RubricJudge(path=path, model=TransformersModel(model=str(tmp_path / "m"))), "goal")
    with pytest.raises(UserError, match="cannot be loaded"):
        build_judge(RewardModelJudge(model=str(tmp_path / "m")), "goal")


def test_the_identity_of_a_judge_changes_with_what_its_rubrics_say(tmp_path):
    write(tmp_path, "id: p\nversion: 1\nkind: pairwise\n", "p.yaml")
    path = write(tmp_path, "id: t\nversion: 1\nkind: tournament\nmatch: {rubric: p.yaml}\n")
    config = RubricJudge(path=path)
    before = judge_identity(config, "goal")
    assert before == judge_identity(config, "goal") != judge_identity(config, "another")
    write(tmp_path, "id: p\nversion: 2\nkind: pairwise\n", "p.yaml")
    assert judge_identity(config, "goal") != before


def test_vllm_that_is_not_installed_is_the_users_error(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match="need vllm"):
        build_judge(VllmJudge(model=str(tmp_path)), "goal")
