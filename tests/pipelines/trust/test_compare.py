import json

import pytest
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.errors import UserError
from pipelines.run_directory import RunDirectory
from pipelines.stored.reannotate import reannotate
from pipelines.trust.distances import compare_rewards
from rewards.functions import reward


@reward(subject="step", version="1")
def paid(env_reward: float) -> float:
    return 2 * env_reward + 0.0


@reward(subject="step", version="1")
def against(env_reward: float) -> float:
    return -env_reward


@reward(subject="caption", version="1")
def caught(caption: str) -> float:
    return float("catch" in caption)


@reward(subject="step", version="1")
def never(env_reward: float) -> float | None:
    return None


@pytest.fixture
def here(monkeypatch):
    import sys
    import types

    module = types.ModuleType("rewards_to_compare")
    for function in (paid, against, caught, never):
        setattr(module, function.name.rpartition(".")[2], function)
    monkeypatch.setitem(sys.modules, "rewards_to_compare", module)
    return "rewards_to_compare:"


@pytest.mark.slow
def test_a_reward_and_its_double_are_the_same_and_its_opposite_is_as_far_as_can_be(stored, here):
    run = stored(rollouts=10)
    same = compare_rewards(run, "extrinsic", here + "paid")
    assert same.how == "exact" and same.states > 10 and same.both == same.count
    assert same.starc == pytest.approx(0, abs=1e-6) and same.epic == pytest.approx(0, abs=1e-6)
    assert same.regret.regret == pytest.approx(0, abs=1e-9) and same.advantages.turned == 0 and not same.examples
    other = compare_rewards(run, "extrinsic", here + "against")
    assert other.starc == pytest.approx(1) and other.pearson == pytest.approx(-1)
    assert 0 < other.regret.regret <= other.regret.bound and other.regret.share == pytest.approx(1)


@pytest.mark.slow
def test_rewards_of_captions_are_near_what_the_game_pays_and_examples_name_where_not(stored, here, tmp_path):
    run = stored(rollouts=10)
    reannotate(run, {"reward": here + "caught"}, say=lambda _: None)
    found = compare_rewards(run, "extrinsic", caught.version)
    asked = compare_rewards(run, "extrinsic", here + "caught")
    assert found.starc == pytest.approx(asked.starc) and 0 < found.starc < 0.5 and found.regret.regret < 1e-9
    (tmp_path / "view.yaml").write_text(
        "name: mix\nparts:\n- {part: weighted_sum, coefficients: {extrinsic: 1.0, "
        + f"'{caught.version}'"
        + ": 1.0}}\n"
    )
    assert 0 < compare_rewards(run, "extrinsic", str(tmp_path / "view.yaml")).starc < found.starc
    out = CliRunner().invoke(
        app, ["compare", "extrinsic", caught.version[:6], f"on={run.root}", f"to={tmp_path / 'found.json'}"]
    )
    assert out.exit_code == 0, out.exception
    assert "STARC distance" in out.stdout and "You miss the ball" in out.stdout
    assert json.loads((tmp_path / "found.json").read_text())["starc"] == pytest.approx(found.starc)


@pytest.mark.slow
def test_with_too_many_states_distances_are_sampled(stored, here, monkeypatch):
    run = stored(rollouts=10)
    monkeypatch.setattr("pipelines.trust.distances.CELLS", 10)
    assert compare_rewards(run, "extrinsic", here + "paid").starc == pytest.approx(0, abs=1e-6)
    found = compare_rewards(run, "extrinsic", here + "against")
    assert found.how == "sampled" and found.starc == pytest.approx(1) and found.regret is None


@pytest.mark.slow
def test_what_cannot_be_compared_is_said(stored, here, tmp_path):
    run = stored()
    with pytest.raises(UserError, match="nothing is judged"):
        compare_rewards(run, "extrinsic", "abc123")
    with pytest.raises(UserError, match="for 0 of the same steps"):
        compare_rewards(run, "extrinsic", here + "never")
    with pytest.raises(UserError, match="discount in"):
        compare_rewards(run, "extrinsic", "extrinsic", gamma=1.0)
    (tmp_path / "bad.yaml").write_text("name: x\nparts: []\n")
    with pytest.raises(UserError, match=r"bad.yaml: parts"):
        compare_rewards(run, "extrinsic", str(tmp_path / "bad.yaml"))
    (tmp_path / "itself.yaml").write_text(
        f"name: x\nparts:\n- {{part: weighted_sum, coefficients: {{'{tmp_path / 'itself.yaml'}': 1.0}}}}\n"
    )
    with pytest.raises(UserError, match=r"itself.yaml' as a column; expected extrinsic"):
        compare_rewards(run, "extrinsic", str(tmp_path / "itself.yaml"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"cannot be read|no stored experience"):
        compare_rewards(RunDirectory(tmp_path / "empty"), "extrinsic", "extrinsic")
