"""Checkpoints: what goes in comes out, what was damaged is found out, and nothing is ever half there."""

from __future__ import annotations

import hashlib
import json
import math
import pickletools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines import checkpoint
from pipelines.checkpoint import CorruptCheckpoint

TREE = {
    "plain": [1, -2.5, "text", None, True, 2**200, "§ ☃ \ud83d"],
    "float": [0.1, 1e-310, math.inf, -math.inf],
    "tuple": (1, (2, "x"), ()),
    "int keys": {7: "seven", -3: {1: 2}},
    "counts": {7: 3, -3: 2**63 - 1, 0: 0},
    "large counts": {7: 2**63},
    "truths": {7: True},
    "tuple keys": {(1, 2): 0.5, ("a", "b"): 1},
    "bytes": b"\x00\xff" * 9,
    "no bytes": b"",
    "tensor": torch.arange(6.0).reshape(2, 3),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "scalar": torch.tensor(3),
    "empty": torch.zeros(0, 4),
    "numpy": np.arange(4, dtype=np.int32),
    "bool": np.array([True, False]),
    "uint64": np.array([0, 2**63, 2**64 - 1], np.uint64),
    "no axes": np.array(2.5),
    "no axes, uint64": np.array(2**63, np.uint64),
    "nested": {"a": {"b": {"c": [{"d": torch.ones(2)}]}}, "": {}},
    # What a careless encoding would mix up:
    "__array__": {"__tuple__": [1], "__pairs__": None, "__rows__": b"", "__integers__": [{1: 1}]},
    "a/b": torch.tensor([1]),
    "a": {"b": torch.tensor([2]), "0": [np.zeros(1)], "0k": np.ones(1)},
}


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and a.shape == b.shape and bool((a == b).all())
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_a_tree_comes_back_as_it_was(tmp_path):
    path = checkpoint.save(tmp_path, 5, TREE)
    number, tree, found = checkpoint.load(tmp_path)
    assert (number, found) == (5, path)
    assert same(tree, TREE)


leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=20)
leaves |= st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4).map(lambda v: np.array(v, np.int64))
keys = st.text(max_size=6) | st.integers() | st.tuples(st.integers(), st.text(max_size=3))
keys |= st.sampled_from(["__array__", "__numpy__", "__bytes__", "__pairs__", "__tuple__", "__rows__", "a/b"])
trees = st.recursive(
    leaves,
    lambda t: st.lists(t, max_size=4) | st.dictionaries(keys, t, max_size=4) | st.lists(t, max_size=3).map(tuple),
)


@given(trees)
def test_every_tree_comes_back_as_it_was(value):
    arrays: dict[str, torch.Tensor] = {}
    plain = json.loads(json.dumps(checkpoint._split({"it": value}, "", arrays)))
    assert same(checkpoint._join(plain, arrays), {"it": value})


def test_further_files_are_kept_as_they_are_and_hashed(tmp_path):
    path = checkpoint.save(tmp_path, 1, {}, {"waiting.arrows": b"rows"})
    assert (path / "waiting.arrows").read_bytes() == b"rows"
    (path / "waiting.arrows").write_bytes(b"rowz")
    with pytest.raises(CorruptCheckpoint, match=r"waiting\.arrows is not what was written"):
        checkpoint.load(tmp_path)


def test_what_cannot_be_written_without_pickle_is_refused(tmp_path):
    with pytest.raises(TypeError, match="/roles/0: got a set"):
        checkpoint.save(tmp_path, 1, {"roles": [{1, 2}]})
    assert list(tmp_path.iterdir()) == []


def test_nothing_on_disk_is_a_pickle(tmp_path):
    path = checkpoint.save(tmp_path, 1, TREE)
    for file in path.iterdir():
        with pytest.raises(ValueError):
            list(pickletools.genops(file.read_bytes()))


def test_the_newest_are_kept(tmp_path):
    for number in (10, 20, 30, 40):
        checkpoint.save(tmp_path, number, {"n": number}, keep=2)
    assert checkpoint.numbers(tmp_path) == [30, 40]
    assert checkpoint.load(tmp_path)[1] == {"n": 40}


def test_numbers_of_any_length_are_found_in_their_order(tmp_path):
    for number in (999_999_999, 1_000_000_000, 12_000_000_000):
        checkpoint.save(tmp_path, number, {"n": number})
    assert checkpoint.numbers(tmp_path) == [999_999_999, 1_000_000_000, 12_000_000_000]
    assert checkpoint.load(tmp_path)[1] == {"n": 12_000_000_000}


def test_a_second_save_at_the_same_frame_is_not_left_out(tmp_path):
    """Verdicts arrive and actors restart while the learner stands still."""
    checkpoint.save(tmp_path, 10, {"verdicts": 1})
    checkpoint.save(tmp_path, 10, {"verdicts": 2})
    assert checkpoint.load(tmp_path)[1] == {"verdicts": 2}
    assert len(checkpoint.numbers(tmp_path)) == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", "tree.json", "arrays.safetensors"])
def test_any_flipped_bit_is_found_out(tmp_path, name):
    path = checkpoint.save(tmp_path, 1, {"a": torch.arange(3), "b": ["x", 1]}) / name
    original = path.read_bytes()
    tree = checkpoint.load(tmp_path)[1]
    for bit in range(0, 8 * len(original), 3 if name == "tree.json" else 7):
        damaged = bytearray(original)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        try:
            found = checkpoint.load(tmp_path)[1]
        except CorruptCheckpoint:
            continue
        # White space in the manifest may change without a loss; nothing else may.
        assert name == "manifest.json" and same(found, tree)


@pytest.mark.parametrize("name", ["manifest.json", "tree.json", "arrays.safetensors"])
def test_a_file_cut_short_or_missing_is_found_out(tmp_path, name):
    path = checkpoint.save(tmp_path, 1, {"a": torch.arange(3)}) / name
    original = path.read_bytes()
    for end in range(0, len(original), 5):
        path.write_bytes(original[:end])
        with pytest.raises(CorruptCheckpoint):
            checkpoint.load(tmp_path)
    path.unlink()
    with pytest.raises(CorruptCheckpoint, match=name):
        checkpoint.load(tmp_path)


def test_an_older_whole_checkpoint_is_used_where_the_newest_is_damaged(tmp_path):
    checkpoint.save(tmp_path, 1, {"n": 1})
    path = checkpoint.save(tmp_path, 2, {"n": 2})
    (path / "tree.json").write_text("{}")
    number, tree, _ = checkpoint.load(tmp_path)
    assert (number, tree) == (1, {"n": 1})


def test_going_on_from_an_older_checkpoint_never_loses_to_the_damaged_one(tmp_path):
    """What is written next is the newest, and is not swept away in favour of what cannot be read."""
    checkpoint.save(tmp_path, 1000, {"n": 1000}, keep=1)
    path = checkpoint.save(tmp_path, 2000, {"n": 2000}, keep=2)
    (path / "tree.json").write_text("{}")
    assert checkpoint.load(tmp_path)[0] == 1000
    checkpoint.save(tmp_path, 1500, {"n": 1500}, keep=1)
    assert checkpoint.load(tmp_path)[1] == {"n": 1500}


def test_no_checkpoint_and_no_whole_checkpoint_are_said_in_one_line(tmp_path):
    with pytest.raises(CorruptCheckpoint, match="there is no checkpoint below"):
        checkpoint.load(tmp_path / "nowhere")
    (checkpoint.save(tmp_path, 1, {}) / "tree.json").unlink()
    with pytest.raises(CorruptCheckpoint, match="No checkpoint is whole; start anew") as caught:
        checkpoint.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_manifest_cannot_lead_outside(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    path = checkpoint.save(tmp_path / "c", 1, {})
    manifest = json.loads((path / "manifest.json").read_text())
    for name in ("../../secret", str(secret), "..", "sub/../tree.json"):
        hashes = {**manifest["sha256"], name: hashlib.sha256(b"x").hexdigest()}
        (path / "manifest.json").write_text(json.dumps({**manifest, "sha256": hashes}))
        with pytest.raises(CorruptCheckpoint):
            checkpoint.load(tmp_path / "c")


@pytest.mark.parametrize(
    "manifest", ["null", "[]", "3", '{"format": 1}', '{"format": 1, "sha256": []}', '{"format": 9}']
)
def test_a_manifest_of_another_form_is_refused(tmp_path, manifest):
    path = checkpoint.save(tmp_path, 1, {})
    (path / "manifest.json").write_text(manifest)
    with pytest.raises(CorruptCheckpoint):
        checkpoint.load(tmp_path)


def test_links_and_strangers_are_passed_over(tmp_path):
    elsewhere = checkpoint.save(tmp_path / "elsewhere", 9, {"n": 9})
    root = tmp_path / "c"
    checkpoint.save(root, 1, {"n": 1})
    (root / "000000009").symlink_to(elsewhere)
    (root / "000000010").write_text("a file")
    (root / "12").mkdir()
    (root / "notes").mkdir()
    assert checkpoint.numbers(root) == [1]
    assert checkpoint.load(root)[1] == {"n": 1}


def test_an_error_in_the_middle_leaves_what_was_there(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"n": 1})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "pack_tensors", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(tmp_path, 2, {"n": 2})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000001"]


def test_a_process_killed_in_the_middle_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, 1, {"n": 1})

    def killed(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_sync", killed)
        patch.setattr(checkpoint.shutil, "rmtree", lambda *_, **__: None)  # the dead clean nothing up
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(tmp_path, 2, {"n": 2})
    assert checkpoint.numbers(tmp_path) == [1]
    assert checkpoint.load(tmp_path)[1] == {"n": 1}
    assert any(p.name.startswith(".") for p in tmp_path.iterdir())  # the half one, out of sight …
    checkpoint.save(tmp_path, 3, {"n": 3})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["000000001", "000000003"]  # … and swept away


def test_what_was_loaded_does_not_depend_on_the_files_any_more(tmp_path):
    path = checkpoint.save(tmp_path, 1, {"a": torch.arange(1000.0)})
    tree = checkpoint.load(tmp_path)[1]
    (path / "arrays.safetensors").write_bytes(b"")
    tree["a"] += 1  # and may be written to
    assert tree["a"][-1] == 1000
