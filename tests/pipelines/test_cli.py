"""The command line: what it offers, and how it refuses: one line with the remedy, exit code 2, nothing lost."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections import namedtuple

import click
import pytest
import typer
import yaml

from pipelines import checkpoint, cli, run_directory
from pipelines.errors import Unfinished
from pipelines.experiment import Experiment
from pipelines.run_directory import RunDirectory

TINY = [
    "catch",
    "runner=local",
    "frames=60",
    "actors.environments=3",
    "actors.unroll_length=10",
    "policy.hidden=16",
    "tracking.enabled=false",
]


def tiny(**values):
    """TINY with other values."""
    settings = dict(word.split("=") for word in TINY[1:]) | values
    return [TINY[0], *(f"{key}={value}" for key, value in settings.items())]


RULES = ["reward=retrieval", "judge=rules", "judge.goal=explore and descend"]

WORLDS = '''
"""Worlds that break the contract, each in one way."""
import numpy as np
from envs.catch import Catch
from envs.timestep import restart

class WrongShape(Catch):
    def _observe(self):
        return {"board": np.zeros((3, 3), np.uint8)}

class WrongKind(Catch):
    def _observe(self):
        return {"board": super()._observe()["board"].astype(np.float64)}

class NanReward(Catch):
    def step(self, action):
        return super().step(action)._replace(reward=float("nan"))

class LateNan(Catch):
    """Keeps the contract while it is looked at."""
    steps = 0
    def step(self, action):
        LateNan.steps += 1
        timestep = super().step(action)
        return timestep._replace(reward=float("nan")) if LateNan.steps > 600 else timestep

class LateCrash(Catch):
    """Keeps the contract while it is looked at."""
    steps = 0
    def step(self, action):
        LateCrash.steps += 1
        if LateCrash.steps > 600:
            raise OSError("the simulator has gone")
        return super().step(action)

class Unseeded(Catch):
    """By how many episodes there were, not by the seed: the first and the second begin apart."""
    episodes = 0
    def reset(self, seed):
        Unseeded.episodes += 1
        return super().reset(Unseeded.episodes)

class Crashes(Catch):
    def reset(self, seed):
        raise RuntimeError("the world is\\nbroken")

class CannotBeMade:
    def __init__(self):
        raise RuntimeError("no licence")

class NotAnEnvironment:
    pass
'''


@pytest.fixture
def guerdon(capsys, monkeypatch, tmp_path):
    """Call the command line in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["guerdon", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return call


@pytest.fixture
def refused(guerdon):
    """Call it and expect a refusal; gives its one line."""

    def call(*words):
        code, _, err = guerdon(*words)
        assert code == 2, err
        assert err.startswith("guerdon: ") and err.count("\n") == 1, err
        return err

    return call


def test_without_a_word_there_is_help_and_no_empty_error(guerdon):
    code, out, err = guerdon()
    assert code == 2 and "evaluate-judge" in out + err and not (out + err).rstrip().endswith("guerdon:")


# What there is ------------------------------------------------------------------------------------------------------


def leaves(group, prefix=""):
    """Every command by its full name."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{prefix}{name} ")
        else:
            yield prefix + name, command


def test_the_commands_and_their_options_are_exactly_these():
    """Whoever adds an option changes this test, and thinks twice: everything that can be set is a key."""
    group = typer.main.get_command(cli.app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    found = {
        name: {
            "arguments": [p.name for p in command.params if p.param_type_name == "argument"],
            "options": sorted(o for p in command.params if p.param_type_name == "option" for o in p.opts),
        }
        for name, command in leaves(group)
    }
    assert found == {
        "train": {"arguments": ["words"], "options": ["--dry-run"]},
        "evaluate": {"arguments": ["run", "settings"], "options": []},
        "compare": {"arguments": ["a", "b", "settings"], "options": []},
        "evaluate-judge": {"arguments": ["target", "settings"], "options": []},
        "inspect": {"arguments": ["run", "settings"], "options": []},
        "report": {"arguments": ["words"], "options": ["--live"]},
        "plan": {"arguments": ["words"], "options": []},
        "new": {"arguments": ["kind", "name", "settings"], "options": []},
        "ledger": {"arguments": ["run", "settings"], "options": []},
        "fetch": {"arguments": ["place", "settings"], "options": []},
        "canaries": {"arguments": ["run", "settings"], "options": []},
        "reannotate": {"arguments": ["run", "settings"], "options": []},
        "switch": {"arguments": ["run", "settings"], "options": []},
        "attack": {"arguments": ["target", "settings"], "options": []},
        "serve-rewards": {"arguments": ["target", "settings"], "options": []},
        "submit": {"arguments": ["words"], "options": []},
        "jobs list": {"arguments": ["settings"], "options": []},
        "jobs logs": {"arguments": ["job", "settings"], "options": []},
        "jobs stop": {"arguments": ["job", "settings"], "options": []},
        "jobs resume": {"arguments": ["job", "settings"], "options": []},
        "manifests": {"arguments": ["settings"], "options": []},
        "doctor": {"arguments": [], "options": ["--security"]},
        "chat": {"arguments": ["run", "settings"], "options": []},
        "explain": {"arguments": ["run", "row", "settings"], "options": []},
        "methods": {"arguments": ["words"], "options": []},
        "profile": {"arguments": ["words"], "options": []},
        "tune": {"arguments": ["words"], "options": []},
        "sweep": {"arguments": ["words"], "options": []},
        "replay inspect": {"arguments": ["run", "settings"], "options": []},
        "replay verify": {"arguments": ["run", "settings"], "options": []},
        "replay export": {"arguments": ["run", "settings"], "options": []},
        "replay import": {"arguments": ["source", "settings"], "options": []},
    }
    assert {o for p in group.params for o in p.opts} == {"--install-completion", "--show-completion"}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["", "train", "evaluate", "inspect", "ledger", "replay", "reannotate", "doctor"])
def test_every_command_explains_itself(guerdon, command):
    code, out, _ = guerdon(*[command] if command else [], "--help")
    assert code == 0 and "Usage" in out


def test_a_dry_run_prints_the_whole_experiment_as_yaml_and_touches_nothing(guerdon, tmp_path):
    code, out, err = guerdon("train", "catch", "seed=7", "reward=ranking", "--dry-run")
    assert (code, err) == (0, "")
    experiment = Experiment.model_validate(yaml.safe_load(out))
    assert (experiment.name, experiment.seed, experiment.reward.source) == ("catch", 7, "ranking")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("task", ["minihack-rivr", "no_such_module:Maze"])
def test_a_dry_run_refuses_a_task_that_there_is_not(refused, task):
    assert task in refused("train", "catch", f"task={task}", "--dry-run")


def test_bars_of_models_are_for_terminals(guerdon, monkeypatch):
    for before, after in (("", "1"), ("0", "0")):  # who asks for bars has them
        monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", before)
        if not before:
            monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS")
        assert guerdon("methods", "show", "1")[0] == 0
        assert os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] == after


def test_without_a_recipe_the_main_one_is_meant(guerdon):
    assert yaml.safe_load(guerdon("train", "--dry-run")[1])["name"] == "main"


def test_the_doctors_verdict_is_the_exit_code(guerdon, monkeypatch):
    from pipelines.machines import doctor

    monkeypatch.setattr(doctor, "diagnose", lambda: [])
    monkeypatch.setattr(doctor, "print_findings", lambda _: 1)
    assert guerdon("doctor")[0] == 1


@pytest.mark.slow
@pytest.mark.parametrize("words", [["catch", "name=a/b"], ["catch", "run=.a"], ["rlvr", "name=-a"]], ids=" ".join)
def test_a_dry_run_refuses_a_name_that_no_run_can_have(refused, words):
    assert words[1].split("=")[1] in refused("train", *words, "--dry-run")


@pytest.mark.slow
def test_a_profile_of_what_there_is_not_is_refused_before_anything_runs(refused, monkeypatch):
    monkeypatch.setattr("pipelines.machines.profile.trial", lambda *words: pytest.fail("a run was started"))
    assert "nope" in refused("profile", "nope")
    assert "framez" in refused("profile", "catch", "framez=3")
    assert "updatez" in refused("profile", "rlvr", "updatez=3")


@pytest.mark.slow
@pytest.mark.parametrize(
    "words", [["trian"], ["train", "--seed", "3"], ["train", "--dry-runn"], ["doctor", "now"], ["report", "--to=x"]]
)
def test_unknown_commands_and_options_are_refused(refused, words):
    refused(*words)


def test_a_setting_that_is_written_like_an_option_is_told_how_it_is_written(refused):
    assert "KEY=VALUE" in refused("submit", "catch", "--address", "http://127.0.0.1:1")
    assert "VALUE" not in refused("train", "--dry-runn")


@pytest.mark.parametrize(("words", "command"), [(["compare", "extrinsic"], "compare"), (["jobs", "stop"], "jobs stop")])
def test_where_a_word_is_missing_the_help_is_named(refused, words, command):
    assert f"`guerdon {command} --help`" in refused(*words)


def test_an_error_of_ours_keeps_its_traceback(guerdon, monkeypatch):
    """Only what a person can mend becomes one line."""

    def bug(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("pipelines.train.train", bug)
    monkeypatch.setattr(sys, "argv", ["guerdon", "train", "catch"])
    with pytest.raises(ZeroDivisionError):
        cli.main()


def test_a_run_that_is_to_be_started_again_says_so_by_its_exit_code(guerdon, monkeypatch):
    def drained(*_):
        raise Unfinished("stopped by the drain of the driver's node")

    monkeypatch.setattr("pipelines.train.train", drained)
    code, _, err = guerdon("train", *TINY)
    assert (code, err) == (75, "guerdon: stopped by the drain of the driver's node\n")


def test_what_the_disk_refuses_is_one_line_with_its_path(refused, tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "mine").write_text("a file")
    said = refused("train", *TINY, "run=mine")
    assert os.path.join("runs", "mine") in said and "expected a folder" in said


@pytest.mark.slow
def test_whoever_reads_no_further_is_no_error(tmp_path):
    command = [sys.executable, "-m", "pipelines.cli", "train", "--dry-run"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, timeout=250)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


# A run, from the first word to the report ---------------------------------------------------------------------------


@pytest.mark.slow
def test_a_tiny_run_trains_reports_and_is_resumed(guerdon, tmp_path):
    code, out, err = guerdon("train", *TINY, *RULES)
    assert code == 0, err
    directory = RunDirectory.existing("last", tmp_path / "runs")
    ledger = json.loads(directory.ledger.read_text())
    assert ledger["balanced"] and ledger["verdicts"]["asked"] == ledger["verdicts"]["ok"] > 0
    assert directory.report.is_file() and str(directory.root.name) in out
    lines = list(directory.lines(directory.metrics))
    assert lines[-1]["learnt_frames"] == 60 and lines[-1]["annotated_share"] == 1.0

    code, out, err = guerdon("train", "resume=last", "frames=120")
    assert code == 0, err
    assert list(directory.lines(directory.metrics))[-1]["learnt_frames"] == 120
    assert [e["what"] for e in directory.lines(directory.events)] == ["resumed"]
    again = json.loads(directory.ledger.read_text())
    assert again["verdicts"]["ok"] >= ledger["verdicts"]["ok"] and again["balanced"]
    assert [p.name for p in (tmp_path / "runs").iterdir() if p.is_dir()] == [directory.root.name]


@pytest.mark.slow
def test_a_report_that_cannot_be_drawn_costs_neither_the_books_nor_the_copy(guerdon, tmp_path, monkeypatch):
    def bug(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("pipelines.reports.page.write_report", bug)
    monkeypatch.setattr(sys, "argv", ["guerdon", "train", *TINY, "run=mine", f"storage={tmp_path / 'there'}"])
    with pytest.raises(ZeroDivisionError):
        cli.main()
    assert guerdon("fetch", tmp_path / "there" / "mine", "runs=elsewhere")[0] == 0
    copy = RunDirectory(tmp_path / "elsewhere" / "mine")
    assert json.loads(copy.ledger.read_text())["balanced"]
    assert (copy.logs / "driver.jsonl").is_file()  # logs go at the end, and not before


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cacth"], "did you mean catch"),
        (["catch", "frame=5"], "did you mean frames"),
        (["catch", "frames=many"], "frames: got 'many'"),
        (["catch", "frames=5"], "raise frames"),
        (["catch", "minihack"], "expected key=value"),
        (["catch", "judge.kind=oracle"], "judge: "),
        (["catch", "name=a/b"], "expected letters, digits"),
        (["catch", "task=minihack-rivr"], "closest: minihack-river"),
        (["catch", "task=MiniHack-Nowhere-v0"], "task MiniHack-Nowhere-v0"),
        (["catch", "task=no_such_module:Maze"], "cannot load 'no_such_module:Maze'"),
        (["catch", "task=NoSuchGame-v0"], "NoSuchGame-v0"),
        (["catch", "task_options.colums=3"], "colums"),
        (["catch", "task_options.rows=1"], "got a board of 1 x 5"),
        (["catch", "reward=count", "reward.count.keys=[chars]"], "expected ['chars'] too"),
        (["catch", "reward=retrieval", "judge=rules", "judge.goal=be kind"], "judge rules: got the goal 'be kind'"),
        (["catch", "reward=retrieval", "judge=recorded", "judge.path=nowhere"], "judge recorded: "),
        (
            ["catch", "reward=retrieval", "judge=openai", "judge.url=localhost:1/v1", "judge.model=m"],
            "judge openai: url",
        ),
        (["resume=nowhere"], "got run 'nowhere'"),
        (["resume=123"], "got run '123'"),
        (["resume=last"], "there is no run below"),
        (["catch", "resume=x"], "a resumed run keeps its recipe"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(refused, tmp_path, words, said):
    assert said in refused("train", *words)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/checkpoints"))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["evaluate", "inspect", "report"])
def test_a_run_that_does_not_exist_is_refused_by_every_command(refused, command):
    assert "nowhere" in refused(command, "nowhere")
    assert "there is no run below" in refused(command)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "said"),
    [
        ("WrongShape", "got shape (3, 3)"),
        ("WrongKind", "of float64"),
        ("NanReward", "got reward nan; expected a finite number"),
        ("Unseeded", "Let reset(seed) alone determine the episode"),
        ("Crashes", "the world is broken"),
        ("CannotBeMade", "no licence"),
        ("NotAnEnvironment", "gave a NotAnEnvironment"),
        ("Missing", "Missing"),
    ],
)
def test_an_environment_that_breaks_the_contract_is_refused(refused, tmp_path, monkeypatch, world, said):
    (tmp_path / "broken_worlds.py").write_text(WORLDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_worlds", raising=False)
    assert said in refused("train", *TINY, f"task=broken_worlds:{world}")
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "what"), [("LateNan", "got reward nan"), ("LateCrash", "it raised OSError: the simulator has gone")]
)
def test_an_environment_that_breaks_it_late_ends_the_run_in_one_line_and_saves_it(
    refused, tmp_path, monkeypatch, world, what
):
    (tmp_path / "broken_worlds.py").write_text(WORLDS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_worlds", raising=False)
    said = refused("train", *tiny(frames=100000), f"task=broken_worlds:{world}")
    assert "environment" in said and what in said
    directory = RunDirectory.existing("last", tmp_path / "runs")
    assert directory.report.is_file() and json.loads(directory.ledger.read_text())["balanced"]
    assert list(directory.checkpoints.iterdir())


def test_a_judge_that_cannot_be_reached_is_refused_at_once(refused, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        said = refused("train", *TINY, "reward=retrieval", "judge=openai", f"judge.url={url}", "judge.model=m")
    assert "start the server" in said
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def finished(guerdon, tmp_path):
    """A finished run and its files' contents."""
    assert guerdon("train", *TINY, *RULES)[0] == 0
    return RunDirectory.existing("last", tmp_path / "runs")


def contents(directory):
    return {p: p.read_bytes() for p in directory.root.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_a_run_whose_newest_checkpoints_are_corrupt_goes_on_from_the_one_before_and_says_what_it_passes_over(
    guerdon, finished
):
    assert guerdon("train", "resume=last", "frames=300", "checkpoint.every_s=0.001")[0] == 0
    for number in checkpoint.numbers(finished.checkpoints)[-2:]:  # of its last update, and of its end
        (finished.checkpoints / f"{number:09d}" / "tree.json").write_bytes(b"x")
    assert guerdon("train", "resume=last", "frames=480")[0] == 0
    assert "learnt from in a newer checkpoint alone" in finished.events.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["other config", "no checkpoint", "corrupt checkpoint", "corrupt config", "locked"])
def test_a_run_that_cannot_be_gone_on_with_is_refused_and_left_as_it_is(refused, finished, damage):
    more = []
    if damage == "other config":
        more, said = ["learner.gamma=0.5"], "was run with another configuration"
    elif damage == "no checkpoint":
        shutil.rmtree(finished.checkpoints)
        said = "there is no checkpoint below"
    elif damage == "corrupt checkpoint":
        for path in finished.checkpoints.glob("*/tree.json"):
            path.write_bytes(b"x" + path.read_bytes()[1:])
        said = "No checkpoint is whole"
    elif damage == "corrupt config":
        finished.config.write_bytes(b"\xff\xfe\x00: [")
        said = "cannot be read"
    else:
        finished.lock()
        said = "another process is writing"
    before = contents(finished)
    assert said in refused("train", "resume=last", "frames=120", *more)
    assert contents(finished) == before
    finished.unlock()


@pytest.mark.slow
@pytest.mark.parametrize("config", ["", "[]", "5", "task: catch\nfrmaes: 5\n", "a: [", "task: 5\n"])
def test_a_config_of_another_form_is_refused(refused, finished, config):
    finished.config.write_text(config)
    assert "config.yaml" in refused("train", "resume=last")


def test_a_nearly_full_disk_is_refused(refused, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9, 5 * 2**20))
    assert "only 5 MB are free" in refused("train", *TINY)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = shutil.which("mount") and os.geteuid() == 0
    if (
        not mounted
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], capture_output=True).returncode
    ):
        pytest.skip("needs the right to mount a file system of its own")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@pytest.mark.slow
def test_a_disk_that_fills_up_while_training_is_one_line(refused, small_disk, monkeypatch):
    assert "MB are free" in refused("train", *TINY, f"runs={small_disk / 'runs'}")
    monkeypatch.setattr(run_directory, "MIN_FREE_MB", 0)
    said = refused("train", *tiny(**{"policy.hidden": 256}), f"runs={small_disk / 'runs'}")
    assert "no space is left below" in said and "resume=" in said


@pytest.mark.slow
def test_what_was_saved_before_the_disk_was_full_is_still_there(refused, guerdon, small_disk, monkeypatch):
    monkeypatch.setattr(run_directory, "MIN_FREE_MB", 0)
    words = [*TINY, f"runs={small_disk / 'runs'}", "record_mb=0"]
    assert guerdon("train", *words)[0] == 0
    directory = RunDirectory.existing("last", small_disk / "runs")
    saved = contents(RunDirectory(directory.checkpoints))
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while ballast.write(bytes(4096)):
            pass
    assert "no space is left below" in refused("train", "resume=last", "frames=120", f"runs={small_disk / 'runs'}")
    assert contents(RunDirectory(directory.checkpoints)) == saved
    (small_disk / "ballast").unlink()
    assert guerdon("train", "resume=last", "frames=120", f"runs={small_disk / 'runs'}")[0] == 0
