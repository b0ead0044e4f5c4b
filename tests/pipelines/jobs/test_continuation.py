from __future__ import annotations

import pytest

from pipelines import checkpoint
from pipelines.errors import UserError
from pipelines.jobs.continuation import continued
from pipelines.run_directory import RunDirectory


def begun(runs, name="mine", saved=True):
    root = runs / name
    root.mkdir(parents=True)
    (root / "config.yaml").write_text("name: mine\n")
    if saved:
        checkpoint.save(root / "checkpoints", 5, {"a": 1})
    return root


def test_a_name_that_is_new_is_made_and_one_that_was_saved_is_gone_on_with(tmp_path):
    assert continued(tmp_path, "mine") is None
    root = begun(tmp_path)
    assert continued(tmp_path, "mine") == str(root)
    RunDirectory(root).lock()  # it was let go of


def test_what_was_never_saved_is_moved_aside_and_nothing_is_lost(tmp_path):
    for number in (1, 2):
        begun(tmp_path, saved=False)
        assert continued(tmp_path, "mine") is None
        assert (tmp_path / f"mine.unsaved-{number}" / "config.yaml").is_file() and not (tmp_path / "mine").exists()


def test_a_run_that_another_process_writes_is_waited_for_and_not_for_ever(tmp_path):
    other, now = RunDirectory(begun(tmp_path)), [0.0]
    other.lock()
    with pytest.raises(UserError, match="another process is writing"):
        continued(tmp_path, "mine", 90, lambda: now[0], lambda s: now.__setitem__(0, now[0] + s))
    assert 90 < now[0] <= 92

    def it_dies(seconds):
        now[0] += seconds
        if now[0] > 100:
            other.unlock()

    assert continued(tmp_path, "mine", 90, lambda: now[0], it_dies) == str(other.root)


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/b", ".hidden", "", "a\nb"])
def test_a_name_cannot_lead_out_of_the_folder_of_runs(name, tmp_path):
    with pytest.raises(UserError, match="expected letters"):
        continued(tmp_path, name)


def test_a_link_is_no_run(tmp_path):
    root = begun(tmp_path / "elsewhere")
    (tmp_path / "mine").symlink_to(root)
    with pytest.raises(UserError, match="is a link"):
        continued(tmp_path, "mine")
