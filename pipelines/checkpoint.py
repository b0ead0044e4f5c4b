"""Checkpoints: a tree of plain values and arrays, written at once or not at all, never as pickle.

A checkpoint is a directory with `tree.json` (structure and plain values), `arrays.safetensors` (every array and
tensor, by path), optional Arrow files, and `manifest.json` with the SHA-256 of each file. It is written beside its
place, synced, and renamed; the newest few are kept. Reading verifies every hash. Long lists that only grow are handed
over packed (growing.py), and come back as lists.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as pack_tensors

from pipelines.errors import UserError
from pipelines.growing import Packed

FORMAT = 2  # 1 had no packed rows and no whole numbers by whole numbers
READABLE = (1, 2)
NAME = re.compile(r"\d{9}|[1-9]\d{9,}")
ARRAY = "__array__"
NUMPY = "__numpy__"
BYTES = "__bytes__"
PAIRS = "__pairs__"
TUPLE = "__tuple__"
ROWS = "__rows__"
INTEGERS = "__integers__"
PLAIN = frozenset({type(None), bool, int, float, str})


class CorruptCheckpoint(UserError):
    """A checkpoint that is not what its manifest says."""


def _split(value: Any, path: str, arrays: dict[str, torch.Tensor]) -> Any:
    """Plain JSON for `value`; arrays go to `arrays` and leave their path behind."""
    name = f"{len(arrays)}{path}"  # the number keeps names apart where a key holds a slash
    if isinstance(value, torch.Tensor):
        arrays[name] = value.detach().cpu().contiguous().clone()
        return {ARRAY: name}
    if isinstance(value, np.ndarray):
        if value.dtype == np.uint64:  # torch and safetensors agree on int64; the bits are the same
            arrays[name] = torch.from_numpy(value.copy().view(np.int64))
            return {NUMPY: name, "view": "uint64"}
        arrays[name] = torch.from_numpy(value.copy())
        return {NUMPY: name}
    if isinstance(value, bytes):
        arrays[name] = torch.frombuffer(bytearray(value or b"\0"), dtype=torch.uint8)
        return {BYTES: name, "length": len(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Packed):
        return {ROWS: _split(value.blob, path, arrays)}
    if isinstance(value, Mapping):
        if (both := _integers(value)) is not None:
            return {INTEGERS: [_split(one, path, arrays) for one in both]}
        if all(isinstance(k, str) and not k.startswith("__") for k in value):
            # Of what is there a thousandfold, such as verdicts, most is plain: a path and a call for each cost much.
            return {k: v if type(v) in PLAIN else _split(v, f"{path}/{k}", arrays) for k, v in value.items()}
        items = enumerate(value.items())
        return {PAIRS: [[_split(k, f"{path}/{i}k", arrays), _split(v, f"{path}/{i}", arrays)] for i, (k, v) in items]}
    if isinstance(value, tuple):
        return {TUPLE: _split(list(value), path, arrays)}
    if isinstance(value, list):
        return [v if type(v) in PLAIN else _split(v, f"{path}/{i}", arrays) for i, v in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(
        f"{path}: got a {type(value).__name__}; expected plain values, arrays, tensors or containers of them"
    )


def _integers(value: Mapping[Any, Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Keys and values as arrays, where all of them are whole numbers that fit; there may be very many."""
    if not value or not all(type(k) is int and type(v) is int for k, v in value.items()):
        return None
    try:
        return np.array([*value.keys()], np.int64), np.array([*value.values()], np.int64)
    except OverflowError:
        return None


def _join(value: Any, arrays: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_join(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if ARRAY in value:
        return arrays[value[ARRAY]]
    if NUMPY in value:
        array = arrays[value[NUMPY]].numpy()
        return array.view(value["view"]) if "view" in value else array
    if BYTES in value:
        return arrays[value[BYTES]].numpy().tobytes()[: value["length"]]
    if ROWS in value:
        return Packed(_join(value[ROWS], arrays)).rows()
    if INTEGERS in value:
        keys, values = (_join(one, arrays).tolist() for one in value[INTEGERS])
        return dict(zip(keys, values, strict=True))
    if PAIRS in value:
        return {_join(k, arrays): _join(v, arrays) for k, v in value[PAIRS]}
    if TUPLE in value:
        return tuple(_join(v, arrays) for v in value[TUPLE])
    return {k: _join(v, arrays) for k, v in value.items()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def save(
    root: Path, number: int, tree: Mapping[str, Any], files: Mapping[str, bytes] | None = None, keep: int = 3
) -> Path:
    """Write checkpoint `number` below `root`, and delete all but the newest `keep`.

    One that is there is never written over: if `number` is not above all others (nothing was learnt since, or the
    newest turned out to be corrupt and an older one was gone on with), the next free number is taken.

    Args:
        root: directory of checkpoints; one process at a time writes there.
        number: grows with time, such as the frame count.
        tree: nested dictionaries, lists and tuples of plain values, bytes, arrays, tensors and packed rows.
        files: further files by name, such as Arrow data.
        keep: checkpoints to keep.

    Raises:
        OSError: it could not be written; older checkpoints are untouched.
    """
    root.mkdir(parents=True, exist_ok=True)
    for left_over in root.glob(".*.partial"):  # of a process that was killed while it wrote
        shutil.rmtree(left_over, ignore_errors=True)
    number = max(number, *(found + 1 for found in numbers(root)[-1:]), 0)
    final = root / f"{number:09d}"
    temporary = root / f".{number:09d}.partial"
    temporary.mkdir()
    try:
        arrays: dict[str, torch.Tensor] = {}
        plain = _split(dict(tree), "", arrays)
        (temporary / "tree.json").write_text(json.dumps(plain))
        (temporary / "arrays.safetensors").write_bytes(pack_tensors(arrays))
        for name, content in (files or {}).items():
            (temporary / name).write_bytes(content)
        hashes = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(temporary.iterdir())}
        (temporary / "manifest.json").write_text(json.dumps({"format": FORMAT, "sha256": hashes}, indent=1))
        for path in (*temporary.iterdir(), temporary):
            _sync(path)
        os.rename(temporary, final)
        _sync(root)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    for old in numbers(root)[:-keep]:
        shutil.rmtree(root / f"{old:09d}", ignore_errors=True)
    return final


def numbers(root: Path) -> list[int]:
    """Numbers of the finished checkpoints below `root`, oldest first; links are not followed."""
    if not root.is_dir():
        return []
    return sorted(int(p.name) for p in root.iterdir() if NAME.fullmatch(p.name) and p.is_dir() and not p.is_symlink())


def load(root: Path) -> tuple[int, dict[str, Any], Path]:
    """The newest checkpoint that is whole: its number, its tree, and its directory.

    A checkpoint that fails its hashes is passed over in favour of an older one.

    Raises:
        CorruptCheckpoint: there is none that is whole.
    """
    found = numbers(root)
    if not found:
        raise CorruptCheckpoint(f"there is no checkpoint below {root}; start anew without resume=")
    problems = []
    for number in reversed(found):
        try:
            return number, _read(root / f"{number:09d}"), root / f"{number:09d}"
        except CorruptCheckpoint as error:
            problems.append(str(error))
    raise CorruptCheckpoint("; ".join(problems) + ". No checkpoint is whole; start anew without resume=")


def _read(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((path / "manifest.json").read_text())
        if manifest["format"] not in READABLE:
            raise CorruptCheckpoint(
                f"{path}: got format {manifest['format']}; expected one of {READABLE}: use the release that wrote it"
            )
        expected: Mapping[str, str] = manifest["sha256"]
        if not {"tree.json", "arrays.safetensors"} <= set(expected):
            raise CorruptCheckpoint(f"{path}: the manifest names no tree")
        content: dict[str, bytes] = {}
        for name, digest in expected.items():
            if Path(name).name != name:
                raise CorruptCheckpoint(f"{path}: the manifest names {name!r}, which is not a plain file name")
            content[name] = (path / name).read_bytes()
            if hashlib.sha256(content[name]).hexdigest() != digest:
                raise CorruptCheckpoint(f"{path}: {name} is not what was written (SHA-256 differs)")
        tree = _join(json.loads(content["tree.json"]), load_tensors(content["arrays.safetensors"]))
    except (OSError, KeyError, ValueError, TypeError, AttributeError, SafetensorError) as error:
        raise CorruptCheckpoint(f"{path}: {error}") from None
    if not isinstance(tree, dict):
        raise CorruptCheckpoint(f"{path}: got a {type(tree).__name__}; expected a tree")
    return tree
