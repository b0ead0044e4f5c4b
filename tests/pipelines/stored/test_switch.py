"""Switching a running learner to another reward version: what is asked for, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from envs.captions import caption_id
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.stored.reannotate import reannotate
from pipelines.stored.stored_experience import StoredExperience
from pipelines.stored.switch import request_switch, requested_switch
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status

LAB = """
from rewards.functions import reward

@reward(subject="caption")
def all_of(caption):
    return 1.0

@reward(subject="caption")
def half_of(caption):
    return None if "right" in caption or "left" in caption else 1.0

@reward(subject="row")
def rows(captions):
    return None if len(captions) < 0 else 0.5
"""


@pytest.fixture
def judged(stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A run with stored experience, and the names of its reward versions."""
    (tmp_path / "lab_switch.py").write_text(LAB)
    monkeypatch.syspath_prepend(str(tmp_path))
    directory = stored()
    versions = {
        name: reannotate(directory, {"reward": f"lab_switch:{name}"}, say=lambda _: None).version
        for name in ("all_of", "half_of", "rows")
    }
    yield directory, versions
    sys.modules.pop("lab_switch", None)


@pytest.mark.slow
def test_a_request_is_read_back_by_the_run(judged) -> None:
    directory, versions = judged
    assert requested_switch(directory) is None
    asked = request_switch(directory, versions["all_of"])
    assert requested_switch(directory) == asked
    assert (asked.reward_version, asked.kind, asked.share_judged) == (versions["all_of"], "caption", 1.0)
    assert (asked.reward, asked.judge) == ("lab_switch:all_of", None)
    other = request_switch(directory, versions["rows"][:8])
    assert requested_switch(directory) == other and other.reward_version == versions["rows"]
    assert not list(directory.root.glob("*.partial"))


@pytest.mark.slow
def test_a_version_that_says_too_little_is_refused_unless_that_is_meant(judged) -> None:
    directory, versions = judged
    experience = StoredExperience(directory)
    ids = experience.flat("caption_id")
    experience.close()
    sides = [caption_id(f"The ball is to your {side}.") for side in ("left", "right")]
    share = 1 - np.isin(ids, sides).mean()
    assert 0 < share < 0.9
    with pytest.raises(UserError, match=f"has a value for {100 * share:.1f} % of what is stored; expected 90.0 %"):
        request_switch(directory, versions["half_of"])
    assert requested_switch(directory) is None
    assert request_switch(directory, versions["half_of"], least=0.1).share_judged == pytest.approx(share)


@pytest.mark.slow
def test_a_version_that_is_not_there_is_refused_with_those_that_are(judged) -> None:
    directory, versions = judged
    for name in ("nothing", ""):
        with pytest.raises(UserError, match=rf"got reward version '{name}'; expected one of {versions['all_of']} \("):
            request_switch(directory, name)
    with pytest.raises(UserError, match="least: got 2"):
        request_switch(directory, versions["all_of"], least=2)
    for path in directory.verdicts.iterdir():
        path.unlink()
    with pytest.raises(UserError, match="verdicts cannot be read"):
        request_switch(directory, versions["all_of"])


@pytest.mark.slow
@pytest.mark.parametrize("text", ["", "{}", '{"format": 2}', "no JSON"])
def test_a_damaged_request_is_refused_in_one_line(text: str, judged) -> None:
    directory, versions = judged
    request_switch(directory, versions["all_of"])
    whole = json.loads((directory.root / "switch.json").read_text())
    damaged = json.dumps(whole | {"share_judged": 2.0}) if text == "{}" else text
    (directory.root / "switch.json").write_text(damaged)
    with pytest.raises(UserError, match=r"switch\.json: .*ask again") as error:
        requested_switch(directory)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_verdicts_to_go_on_with_are_the_newest_of_each_subject(judged) -> None:
    directory, versions = judged
    reannotate(directory, {"reward": "lab_switch:half_of", "again": True}, say=lambda _: None)
    with VerdictStore(directory.verdicts, read_only=True) as store:
        found = store.verdicts(version=versions["half_of"])
    assert len(found) == len({verdict.subject for verdict in found})
    null = {verdict.text for verdict in found if verdict.status is Status.UNPARSEABLE}
    assert null == {"The ball is to your left.", "The ball is to your right."}


def test_a_run_without_verdicts_has_nothing_to_switch_to(stored) -> None:
    directory: RunDirectory = stored(rollouts=1)
    with pytest.raises(UserError, match="cannot be read"):
        request_switch(directory, "v1")
