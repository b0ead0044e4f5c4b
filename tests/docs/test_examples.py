"""Each example is short, and does what it says, in a small setting."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
EXAMPLES = {  # its words, and what it must print
    "intrinsic_gymnasium": (["frames=4000"], "rnd        return "),
    "attack_your_judge": (["samples=5"], "defences on"),
    "reannotate_and_retrain": (["frames=2000"], "contrary"),
    "rubric_grpo": (["updates=1", "prompts=4", "evaluate_every=0"], "pass@1"),
}
TESTED_ELSEWHERE = {"rllib_rewards", "trl_reward", "verl_reward"}  # beside what they show


def test_every_example_is_short_and_tested():
    files = {path.stem: path for path in (HOUSE / "examples").glob("*.py")}
    assert set(files) == {*EXAMPLES, *TESTED_ELSEWHERE}
    for path in files.values():
        assert len(path.read_text(encoding="utf-8").splitlines()) < 60, path.name


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, tmp_path):
    words, printed = EXAMPLES[name]
    done = subprocess.run(
        [sys.executable, HOUSE / "examples" / f"{name}.py", *words, f"runs={tmp_path / 'runs'}"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HOUSE)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=800,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert printed in done.stdout, done.stdout[-2000:]
