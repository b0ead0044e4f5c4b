from __future__ import annotations

import io
import socket
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from rich.console import Console

from pipelines.machines import doctor
from pipelines.machines.doctor import Finding, print_findings

FINE = Finding("cores", True, "2", "2 or more", "buy more")
ADVICE = Finding("memory", False, "1 GiB", "4 GiB or more", "close other programs", required=False)
MISSING = Finding("NetHack", False, "not installed", "works", "pip install nle")


def printed(*findings: Finding) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=120)
    code = print_findings(findings, console)
    return code, console.file.getvalue()


def test_only_what_is_required_makes_the_doctor_fail():
    assert printed(FINE)[0] == 0
    assert printed(FINE, ADVICE)[0] == 0
    assert printed(FINE, ADVICE, MISSING)[0] == 1


def test_the_table_gives_a_remedy_for_what_is_not_fine_and_for_nothing_else():
    _, text = printed(FINE, ADVICE, MISSING)
    assert "NetHack: pip install nle" in text and "memory: close other programs" in text
    assert "buy more" not in text
    assert "3 checks, 1 missing, 1 advised." in text


def test_square_brackets_are_printed_as_they_are():
    _, text = printed(Finding("Ray", False, "ray[serve] 2.1", "ray[serve] 2.59", "pip install 'ray[serve]'"))
    assert text.count("ray[serve]") == 3


def test_a_full_disk_is_found(tmp_path):
    assert doctor.disk("disk", tmp_path / "runs" / "new", "free some", needed_gib=0.0).ok
    full = doctor.disk("disk", tmp_path, "free some", needed_gib=1e9)
    assert not full.ok and full.required and full.remedy == "free some"


def test_a_folder_of_runs_need_not_exist_and_is_not_made(tmp_path):
    assert doctor.writable(tmp_path / "runs").ok
    assert not (tmp_path / "runs").exists()


def test_a_folder_that_cannot_be_written_is_found(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    found = doctor.writable(tmp_path)
    assert not found.ok and "Permission denied" in found.got


def test_loopback_connects_and_a_refusal_is_found(monkeypatch):
    assert doctor.loopback().ok

    def refuse(*_):
        raise OSError("Operation not permitted")

    monkeypatch.setattr(socket, "create_server", refuse)
    assert doctor.loopback().got == "Operation not permitted"


def test_little_shared_memory_is_advice_and_none_at_all_is_fine(tmp_path):
    little = doctor.shared_memory(tmp_path, needed_gib=1e9)
    assert not little.ok and not little.required
    assert doctor.shared_memory(tmp_path / "nowhere").ok


def test_a_low_limit_of_open_files_is_advice(monkeypatch):
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (256, 4096))
    found = doctor.open_files()
    assert (found.ok, found.required, found.got) == (False, False, "256")
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (doctor.resource.RLIM_INFINITY,) * 2)
    assert doctor.open_files().ok


@pytest.mark.parametrize(
    ("requirement", "tested", "ok", "required"),
    [
        ("torch>=2.10", "2.13.0", True, False),  # a local version (+cpu, +cu130) is still the tested one
        ("torch>=2.10", "2.12.0", False, False),
        ("torch>=2.10", None, True, False),
        ("torch>=99", "2.13.0", False, True),
        ("no-such-library>=1", "1.0", False, True),
    ],
)
def test_a_library_is_held_against_its_need_and_against_what_was_tested(monkeypatch, requirement, tested, ok, required):
    installed = doctor.metadata.version
    monkeypatch.setattr(doctor.metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else installed(name))
    found = doctor.library(Requirement(requirement), tested)
    assert (found.ok, found.required) == (ok, required)


def test_pins_are_those_of_this_python(tmp_path):
    constraints = tmp_path / "constraints.txt"
    constraints.write_text(
        '# tested\nnumpy==2.4.6; python_version >= "3.0"\nnumpy==1.0; python_version < "3.0"\nruamel_yaml.x==1.2\n'
    )
    assert doctor.pins(constraints) == {"numpy": "2.4.6", "ruamel-yaml-x": "1.2"}
    assert doctor.pins(tmp_path / "nowhere") == {}


def test_every_tested_version_fits_what_the_project_asks_for():
    tested = doctor.pins(doctor.CONSTRAINTS)
    for requirement in doctor.requirements():
        assert requirement.specifier.contains(tested[doctor.canonical(requirement.name)], prereleases=True), requirement


def test_ray_without_its_token_or_too_old_is_found(monkeypatch):
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    assert [finding.ok for finding in doctor.ray()] == [True, True]
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    assert [finding.ok for finding in doctor.ray()] == [True, False]
    monkeypatch.setattr(doctor.metadata, "version", lambda _: "2.58.1")
    version, _ = doctor.ray()
    assert not version.ok and version.required


@pytest.mark.slow
def test_a_library_that_crashes_hangs_or_is_not_there_does_not_end_the_doctor():
    assert doctor.probe("fine", "pass", "mend it").ok
    assert doctor.probe("gone", "import no_such_library", "x").got.startswith("ModuleNotFoundError: No module named")
    assert doctor.probe("crash", "import os; os.abort()", "x").got == "ended with code -6"
    assert doctor.probe("hang", "import time; time.sleep(60)", "x", timeout_s=0.5).got == "no answer in 0.5 s"


def test_everything_is_looked_at_once_and_every_bad_finding_has_a_remedy(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "probe", lambda name, code, remedy: Finding(name, False, "stub", "works", remedy))
    findings = doctor.diagnose(runs=tmp_path)
    assert all(finding.remedy and finding.got and finding.expected for finding in findings)
    assert {"Python", "NetHack", "MiniHack", "MLflow", "loopback", "Ray's security", "device"} <= {
        f.name for f in findings
    }


def test_the_builtin_judge_may_be_there_or_wait_for_the_first_run_but_needs_its_place(tmp_path, monkeypatch):
    from rewards.judges.builtin import build

    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path))
    assert doctor.builtin_judge().got == "not yet: the first run builds it"
    build.model_directory(build.Config()).mkdir()
    assert doctor.builtin_judge().got == "built"
    monkeypatch.setenv("GUERDON_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(doctor, "writable", lambda place: Finding("x", False, "no", "yes", "mend it"))
    found = doctor.builtin_judge()
    assert not found.ok and not found.required and "GUERDON_CACHE" in found.remedy


@pytest.mark.slow
def test_nethack_really_steps_on_this_machine():
    found = doctor.probe("NetHack", doctor.NETHACK, "")
    assert found.ok, found.got


def test_the_nearest_folder_that_exists_is_found(tmp_path):
    assert doctor.existing(tmp_path / "a" / "b") == tmp_path
    assert doctor.existing(Path("/no-such-folder/x")) == Path("/")
