"""With staleness 0 the distributed runner does what the local one does, bit for bit."""

from __future__ import annotations

import pytest

from envs.captions import caption_id
from pipelines import checkpoint
from pipelines.display import LineDisplay
from pipelines.environment.run import Run
from pipelines.local import run_local
from pipelines.overrides import apply
from pipelines.run_directory import RunDirectory
from pipelines.stored.stored_experience import stored_rows
from pipelines.train import stored_experiment
from rewards.verdict_store import VerdictStore
from rewards.verdicts import Status, Verdict, to_arrow

pytestmark = pytest.mark.cluster


def as_bytes(tree):
    """Arrays as bytes, so that equality means every bit."""
    if isinstance(tree, dict):
        return {key: as_bytes(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [as_bytes(value) for value in tree]
    array = tree.numpy() if hasattr(tree, "numpy") else tree
    return array.tobytes() if hasattr(array, "tobytes") else array


def recorded(path):
    """An opinion on what catch says."""
    opinions = {"You catch the ball.": 1.0, "The ball is above you.": 0.75, "You miss the ball.": 0.0}
    opinions |= {"The ball is to your left.": 0.25, "The ball is to your right.": 0.5}
    verdicts = [
        Verdict(str(caption_id(text)), "caption", "intrinsic", "1", value, Status.OK, "me", text=text)
        for text, value in opinions.items()
    ]
    with VerdictStore(path) as store:
        store.put(to_arrow(verdicts))
    return str(path)


@pytest.mark.parametrize("actors", [1, 2])
def test_distributed_in_lockstep_equals_local_bit_for_bit(training, tmp_path, actors):
    if actors == 1:
        settings = {"task": "minihack-room-15x15", "judge": "rules", "reward": "retrieval"}
        # One question at a time, so that the server's batches are the actor's: sums of floats depend on the batch.
        settings |= {"actors.inference": "server", "actors.parts": 1}
    else:
        settings = {"judge": "recorded", "judge.path": recorded(tmp_path / "opinions"), "reward": "classification"}
        settings |= {"reward.classification.min_labels": 2, "reward.train_steps": 2, "judge.goal": "null"}
    settings |= {"actors.count": actors, "max_staleness": 0, "batch_fragments": 2, "frames": 640}
    distributed = training("catch", **{k.replace(".", "__"): v for k, v in settings.items()})
    assert distributed.wait() == 0, distributed.output

    experiment = apply(stored_experiment(distributed.directory), {"runner": "local", "checkpoint.every_s": 1e6})
    directory = RunDirectory(tmp_path / "local")
    directory.root.mkdir()
    local = Run(experiment, directory, LineDisplay(0, every_s=1e9), "the same")
    run_local(local, None)
    local.close()

    one, other = distributed.tree, checkpoint.load(directory.checkpoints)[1]
    assert one["status"]["updates"] == other["status"]["updates"] == 640 // (4 * 10 * 2)
    assert as_bytes(one["roles"]["learner"]) == as_bytes(other["roles"]["learner"])
    assert as_bytes(one["roles"]["trainer"]) == as_bytes(other["roles"]["trainer"])
    assert one["captions"] == other["captions"] and one["caption_frequency"] == other["caption_frequency"]
    ours, theirs = ([b.to_pydict() for b in stored_rows(d)] for d in (distributed.directory, directory))
    assert ours == theirs
    assert one["status"]["latest"]["reward_intrinsic"] == other["status"]["latest"]["reward_intrinsic"]
    if actors == 2:
        assert one["status"]["latest"]["reward_intrinsic"] > 0
