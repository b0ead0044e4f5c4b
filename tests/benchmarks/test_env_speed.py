"""The speed benchmarks: what peers say, what is compared, and that nobody is left out in silence."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
import torch

from actors.encoders import SmallNetHackEncoder
from benchmarks import env_speed
from benchmarks.env_speed import GUERDON, SYSTEMS, Found, Peer, ratios, report, row, run_peer, spoken
from benchmarks.env_speed_scaling import BATCH, cells, drift, settings_of
from pipelines.overrides import apply
from pipelines.recipes.table import find_recipe
from pipelines.results import read_result

PEERS = Path(env_speed.__file__).parent / "peers"


def rows_of(**speeds):
    return [
        row(system.replace("_", "-"), "cartpole", number, Found(speed))
        for system, values in speeds.items()
        for number, speed in enumerate(values)
    ]


@pytest.mark.parametrize("world", GUERDON)
def test_guerdon_is_given_what_its_peers_are_given(world):
    recipe, settings = GUERDON[world]
    experiment = apply(find_recipe(recipe), settings)
    frames = experiment.actors.environments * experiment.actors.unroll_length * experiment.batch_fragments
    assert frames == 2048 and experiment.learner.epochs == 1 and not experiment.policy.recurrent
    assert experiment.policy.hidden == {"nethack": 128, "cartpole": 64}[world]


def test_the_small_net_is_as_large_as_that_of_the_peers():
    """Embedding 256·16, window 1296·128 + 128, status 27·64 + 64, merge 192·128 + 128."""
    assert sum(p.numel() for p in SmallNetHackEncoder(9, 128).parameters()) == 4096 + 166016 + 1792 + 24704


def test_the_peers_net_computes_what_guerdons_does(monkeypatch):
    monkeypatch.syspath_prepend(str(PEERS))
    import small_net

    theirs, ours = small_net.NetHackFeatures(), SmallNetHackEncoder(9, 128)
    with torch.no_grad():
        for mine, other in (("embedding", "symbols"), ("crop", "window"), ("status", "status"), ("merge", "merge")):
            getattr(ours, mine).load_state_dict(getattr(theirs, other).state_dict())
    chars = torch.randint(0, 256, (6, 21, 79), dtype=torch.uint8)
    status = torch.randint(-3, 400, (6, 27), dtype=torch.int32)
    status[:, 0] = torch.tensor([0, 78, 40, 1, 3, 77])
    status[:, 1] = torch.tensor([0, 20, 10, 20, 0, 2])
    flat = torch.cat([chars.flatten(1), status.float().view(torch.uint8)], 1)
    torch.testing.assert_close(ours({"chars": chars, "blstats": status}), theirs(flat))


def test_a_peer_without_an_interpreter_is_told_of(tmp_path):
    found = run_peer("", SYSTEMS["sb3"], "cartpole", {}, tmp_path / "log", 1.0)
    assert found.frames_per_s is None and "absent" in found.problem and "sb3=PYTHON" in found.problem


@pytest.mark.slow
def test_what_a_peer_says_last_counts_and_one_that_fails_has_its_reason(tmp_path, monkeypatch):
    log = tmp_path / "log"
    said = 'noise\n{"frames_per_s": 5.0, "frames": 100, "episode_return": null, "settings": {}}\nmore noise\n'
    assert spoken(said, 0, log) == Found(5.0, None, 100)
    assert spoken(said.replace("null", "NaN"), 0, log) == Found(5.0, None, 100)
    monkeypatch.setattr(env_speed, "PEERS", tmp_path)
    (tmp_path / "broken.py").write_text("raise SystemExit('no such thing')")
    found = run_peer(sys.executable, Peer("broken.py", "x", {}), "cartpole", {"envs": 3}, log, 250.0)
    assert found.frames_per_s is None and "no such thing" in found.problem
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    assert "did not end" in run_peer(sys.executable, Peer("slow.py", "x", {}), "cartpole", {}, log, 0.5).problem


@pytest.mark.slow
def test_ratios_are_of_the_same_repetition_and_the_claim_needs_the_peers(tmp_path):
    rows = rows_of(guerdon=[300.0, 400.0], sample_factory=[150.0, None], rllib_impala=[100.0, 100.0])
    assert ratios(rows, "cartpole", "sample-factory") == [2.0]
    assert ratios(rows, "cartpole", "rllib-impala") == [3.0, 4.0]
    assert report(rows, ["cartpole"], "x", tmp_path).holds
    rows += rows_of(rllib_appo=[200.0, 200.0])  # RLlib's best counts: 1.75 is not 2.5
    assert not report(rows, ["cartpole"], "x", tmp_path).holds
    assert not report(rows_of(guerdon=[300.0]), ["cartpole"], "x", tmp_path).holds
    rows.append(row("sb3", "cartpole", 0, Found(problem="absent")))
    report(rows, ["cartpole"], "x", tmp_path)
    assert read_result(tmp_path / "env-speed.json").rows[-1]["problem"] == "absent"


def test_one_thing_is_varied_at_a_time_and_updates_stay_as_large():
    found = list(cells([8, 32, 128], [1, 2, 4], [8, 32, 128], ["small"]))
    assert len(found) == 9
    for varied, environments, actors, unroll, _ in found:
        middle = {"environments": environments == 32, "actors": actors == 2, "unroll": unroll == 32}
        assert all(at for name, at in middle.items() if name != varied)
        settings = settings_of(environments, actors, unroll, "small")
        frames = settings["batch_fragments"] * environments * unroll
        assert frames == max(BATCH, environments * unroll)
        apply(find_recipe("nethack-score"), settings)


def test_drift_of_a_line_and_of_nothing():
    even = drift([0.0, 1.0, 2.0], [100.0, 101.0, 102.0])
    assert (even.value, even.low, even.high) == pytest.approx((2 / 101, 2 / 101, 2 / 101), abs=1e-9)
    # Slope 0, and 1, -2, 1 are left over: a standard error of sqrt(6 / 1 / 2), 12.706 of them at one degree of freedom.
    uneven = drift([0.0, 1.0, 2.0], [101.0, 98.0, 101.0])
    assert (uneven.value, uneven.high) == pytest.approx((0.0, 2 / 100 * 12.7062 * 3**0.5), abs=1e-6)


@pytest.mark.parametrize("script", sorted(PEERS.glob("*.py")), ids=lambda path: path.name)
def test_peers_import_nothing_of_guerdon(script):
    rooms = {"actors", "cluster", "envs", "learners", "pipelines", "rewards", "benchmarks"}
    for node in ast.walk(ast.parse(script.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
        assert not {name.split(".")[0] for name in names} & rooms
