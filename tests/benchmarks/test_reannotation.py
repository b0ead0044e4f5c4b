"""The benchmark of re-annotation, on a run of a few hundred steps of catch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.reannotation import build_run, main
from envs.trajectory import validate
from pipelines.errors import UserError
from pipelines.results import read_result
from pipelines.run_directory import RunDirectory
from pipelines.stored.stored_experience import StoredExperience


@pytest.mark.slow
def test_a_run_is_played_once_and_stored_under_names_of_its_own(tmp_path: Path) -> None:
    directory = RunDirectory(tmp_path / "run")
    build_run(directory, "catch", steps=5_000, played=2_000)
    experience = StoredExperience(directory)
    assert experience.steps >= 5_000 and len(experience.batches) == 5
    ids = [ident for batch in experience.batches for ident in batch.column("row_id").to_pylist()]
    assert len(set(ids)) == len(ids) == experience.rows
    assert {batch.column("actor")[0].as_py() for batch in experience.batches} == {0, 1, 2}
    for batch in experience.batches:
        validate(batch)
        assert {i.split("/")[0] for i in batch.column("episode_id").to_pylist()} == {str(batch.column("actor")[0])}
    assert {0, *experience.captions} >= set(np.unique(experience.flat("caption_id")).tolist())
    experience.close()


@pytest.mark.slow
def test_all_is_measured_and_written_down_and_the_run_is_deleted(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    work, results = tmp_path / "work", tmp_path / "results"
    keys = ["recipe=catch", "steps=2000", "played=1000", "repeats=2", "sample=50", "judge=rules"]
    # Both sides ask the rule book here: the second time everything is judged already.
    main([*keys, f"work={work}", f"results={results}"])
    found = read_result(results / "reannotation.json")
    assert found.figures["caption reward, seconds"].n == 2
    assert found.figures["judge, questions a step"].value < 0.01
    lines = [row["what"] for row in found.rows]
    assert lines.count("caption function") == 2 and lines.count("caption function, A/B") == 4
    assert not work.exists()
    assert "holds" in capsys.readouterr().out


@pytest.mark.parametrize(("key", "message"), [("speed=1", "unknown key 'speed'"), ("work=.", "is there already")])
def test_wrong_keys_are_refused_before_anything_is_played(key: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        main([key, f"results={tmp_path}"])
