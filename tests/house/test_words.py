"""What no committed file may say: where packages come from, whose machine it was, or how to run data as code."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
LARGEST_BYTES = 2_000_000

# A clone must install from wherever its user's pip looks, and must not tell on whose disk it was written.
WORDS = {
    "a package host": re.compile(
        r"\b(?:(?:test\.)?pypi\.(?:org|python)|pythonhosted\.|download\.pytorch\.|conda\.anaconda\.)", re.I
    ),
    "an option that names a package host": re.compile(r"--(?:find-links|trusted-host|(?:extra-)?index-url)\b"),
    "a path of one machine": re.compile(r"(?<![\w.$}~-])/(?:root|home|Users|work|mnt|opt|srv)/(?=[\w.])"),
}

# Loading these runs code that the file brings along.
UNSAFE_CALLS = {
    "cloudpickle.load",
    "cloudpickle.loads",
    "dill.load",
    "dill.loads",
    "joblib.load",
    "marshal.load",
    "marshal.loads",
    "pandas.read_pickle",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "shelve.open",
    "yaml.full_load",
    "yaml.load",
    "yaml.load_all",
    "yaml.unsafe_load",
}
UNSAFE_ARGUMENTS = {"allow_pickle", "trust_remote_code", "shell"}


def committed(house: Path) -> list[Path]:
    """Text files that are in git or would be; without git, all outside hidden folders."""
    listing = subprocess.run(
        ["git", "-C", str(house), "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        capture_output=True,
        text=True,
    )
    if listing.returncode == 0 and (house / ".git").exists():
        paths = [house / name for name in listing.stdout.split("\0") if name]
    else:
        paths = [path for path in house.rglob("*") if not any(p.startswith(".") for p in path.relative_to(house).parts)]
    return sorted(path for path in paths if path.is_file() and path.stat().st_size <= LARGEST_BYTES)


def word_offences(house: Path) -> list[str]:
    """Each line of a committed file that says what `WORDS` forbids."""
    found = []
    for path in committed(house):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:  # a picture or another binary file
            continue
        found += [
            f"{path.relative_to(house)}:{number}: {what}: {line.strip()[:100]}"
            for number, line in enumerate(lines, start=1)
            for what, pattern in WORDS.items()
            if pattern.search(line)
        ]
    return found


def unsafe_loads(source: str) -> list[tuple[int, str]]:
    """Line and reason of each call in `source` that could run code out of a file, a string or a shell."""
    tree = ast.parse(source)
    full_names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            full_names |= {
                (a.asname or a.name.split(".")[0]): (a.name if a.asname else a.name.split(".")[0]) for a in node.names
            }
        elif isinstance(node, ast.ImportFrom):
            full_names |= {(a.asname or a.name): f"{node.module}.{a.name}" for a in node.names}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        head, _, rest = ast.unparse(node.func).partition(".")
        called = ".".join(filter(None, (full_names.get(head, head), rest)))
        arguments = {keyword.arg: getattr(keyword.value, "value", ...) for keyword in node.keywords}
        # What a test wrote itself in the same expression may be read back: it asks whether a thing can travel.
        own = bool(node.args) and re.match(r"(\w+\.)?dumps\(", ast.unparse(node.args[0]))
        if called in UNSAFE_CALLS and not own:
            found.append((node.lineno, f"{called} runs code from what it reads"))
        if called == "torch.load" and arguments.get("weights_only") is not True:
            found.append((node.lineno, "torch.load without weights_only=True runs code from what it reads"))
        if called in ("eval", "exec"):
            found.append((node.lineno, f"{called} runs what it is given"))
        found += [(node.lineno, f"{name}={arguments[name]}") for name in UNSAFE_ARGUMENTS if arguments.get(name)]
    return sorted(found)


RUNS_CODE = "rewards/sandbox/inside"  # what runs in the sandbox: to run code is what it is for


def load_offences(house: Path) -> list[str]:
    """Each unsafe load in a committed Python file."""
    return [
        f"{path.relative_to(house)}:{line}: {why}"
        for path in committed(house)
        if path.suffix == ".py"
        for line, why in unsafe_loads(path.read_text(encoding="utf-8"))
        if not (why.startswith("exec") and path.is_relative_to(house / RUNS_CODE))
    ]


@pytest.mark.slow
def test_no_committed_file_names_a_package_host_or_a_path_of_one_machine():
    found = word_offences(HOUSE)
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_no_committed_file_loads_code_as_data():
    found = load_offences(HOUSE)
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("see https://pypi" + ".org/simple", "a package host"),
        ("pip install --extra-index" + "-url X torch", "an option that names a package host"),
        ("cache: /ho" + "me/ada/.cache", "a path of one machine"),
        ("open('/wo" + "rk/data.json')", "a path of one machine"),
    ],
)
def test_a_planted_word_is_named_with_its_line(tmp_path, line, what):
    (tmp_path / "notes.md").write_text(f"first\n{line}\n")
    assert word_offences(tmp_path) == [f"notes.md:2: {what}: {line}"]


def test_paths_below_a_folder_of_ones_own_are_no_offence(tmp_path):
    (tmp_path / "notes.md").write_text("docs/work/x, ~/work/x, $TMPDIR/opt/x, ${HOME}/root/x and /dev/shm are fine\n")
    assert word_offences(tmp_path) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle\npickle.load(f)",
        "from pickle import loads as read\nread(b)",
        "import torch as t\nt.load(f)",
        "import torch\ntorch.load(f, weights_only=False)",
        "import yaml\nyaml.load(f, Loader=yaml.Loader)",
        "import numpy as np\nnp.load(f, allow_pickle=True)",
        "import subprocess\nsubprocess.run(c, shell=True)",
        "from transformers import AutoModel\nAutoModel.from_pretrained(d, trust_remote_code=True)",
        "import os\neval(os.environ['X'])",
    ],
)
def test_a_planted_unsafe_load_is_named(tmp_path, source):
    (tmp_path / "load.py").write_text(source)
    (offence,) = load_offences(tmp_path)
    assert offence.startswith("load.py:2: ")


def test_safe_loads_are_no_offence():
    source = """
import yaml, torch, numpy as np
yaml.safe_load(f), torch.load(f, weights_only=True), np.load(f, allow_pickle=False), model.eval()
import pickle
pickle.loads(pickle.dumps(task))
"""
    assert unsafe_loads(source) == []
