"""The model that a language run began with: in the run whole, or not at all."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from pipelines.errors import UserError
from pipelines.judging.rubric_judges import RewardModelJudge, RubricJudge, ServedModel, TransformersModel
from pipelines.language.kept_models import judge_of, keep_judge, keep_model, model_of
from pipelines.mirror.snapshot import copy_rest
from pipelines.run_directory import RunDirectory


@pytest.fixture
def model(tmp_path):
    folder = tmp_path / "model"
    (folder / ".git").mkdir(parents=True)
    (tmp_path / "blob").write_bytes(b"weights")
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")  # as in a hub's cache
    (folder / "config.json").write_text("{}")
    (folder / ".lock").write_text("")
    return folder


@pytest.fixture
def directory(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.root.mkdir()
    return directory


def test_a_folder_is_copied_once_with_what_its_links_lead_to(model, directory, tmp_path):
    keep_model(directory, str(model))
    shutil.rmtree(model)
    keep_model(directory, str(model))
    kept = directory.root / "models" / "policy"
    assert model_of(directory, str(model)) == str(kept)
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        "model.safetensors": b"weights",
        "config.json": b"{}",
    }
    assert not (kept / "model.safetensors").is_symlink()
    copy_rest(directory, tmp_path / "snapshot", logs=False)
    assert (tmp_path / "snapshot" / "models" / "policy" / "config.json").samefile(kept / "config.json")


def test_the_name_of_a_hub_stays_a_name(directory):
    keep_model(directory, "somebody/model")
    assert model_of(directory, "somebody/model") == "somebody/model" and not list(directory.root.iterdir())


def test_a_copy_that_broke_off_is_none_and_what_it_left_is_cleared_away(model, directory, tmp_path, monkeypatch):
    done = []

    def full(source, to):
        if done:
            raise OSError(28, "No space left on device")
        done.append(to.write_bytes(source.read_bytes()))

    with monkeypatch.context() as patch:
        patch.setattr("pipelines.language.kept_models.shutil.copyfile", full)
        with pytest.raises(UserError, match=r"cannot be copied into .*: No space left on device; mend that, or leave"):
            keep_model(directory, str(model))
    assert done and model_of(directory, None) is None and not list((directory.root / "models").iterdir())
    left = directory.root / "models" / ".policy-killed"
    left.mkdir()
    copy_rest(directory, tmp_path / "snapshot", logs=False)
    assert not list((tmp_path / "snapshot" / "models").iterdir())
    keep_model(directory, str(model))
    assert [path.name for path in left.parent.iterdir()] == ["policy"]


def test_a_model_for_which_there_is_no_room_is_refused(model, directory, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("pipelines.language.kept_models.shutil.disk_usage", lambda path: usage(1, 1, 2**20))
    with pytest.raises(UserError, match="1 MB are free below"):
        keep_model(directory, str(model))
    assert not list(directory.root.iterdir())


def test_what_a_judge_reads_is_kept_and_found_again_where_its_own_folders_are_gone(model, directory, tmp_path):
    rubric = tmp_path / "mine.yaml"
    rubric.write_text("id: mine")
    judge = RubricJudge(
        path=str(rubric),
        model=TransformersModel(model="somebody/model"),
        models={"other": TransformersModel(model=str(model)), "far": ServedModel(url="http://there/v1", model="big")},
        judges={"learnt": RewardModelJudge(model=str(model), scale=2.0)},
    )
    assert judge_of(directory, judge) == judge and judge_of(directory, None) is None
    keep_judge(directory, judge)
    shutil.rmtree(model)
    rubric.unlink()
    keep_judge(directory, judge)  # on the other machine
    found = judge_of(directory, judge)
    assert Path(found.path).name == "mine.yaml" and Path(found.path).read_text() == "id: mine"
    assert found.model == judge.model and found.models["far"] == judge.models["far"]
    for moved in (found.models["other"], found.judges["learnt"]):
        assert (Path(moved.model) / "model.safetensors").read_bytes() == b"weights"
    assert found.judges["learnt"].scale == 2.0 and len(list((directory.root / "models").iterdir())) == 2
