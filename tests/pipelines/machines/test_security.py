from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.machines.security import ROLES, Socket, audit, exposed, holes, listening, tokens

GCS, MLFLOW = ROLES["gcs_server"], ROLES["mlflow"]


@pytest.mark.parametrize(
    ("version", "open_holes"),
    [
        ("2.51.9", {"CVE-2025-62593", "CVE-2026-41486", "CVE-2026-57516", "CVE-2023-48022"}),
        ("2.52.0", {"CVE-2026-41486", "CVE-2026-57516", "CVE-2023-48022"}),
        ("2.58.1", {"CVE-2023-48022"}),
        ("2.60.0", set()),
    ],
)
def test_an_old_ray_is_named_with_each_of_its_holes(version, open_holes):
    assert {finding.name for finding in holes({"ray": version}) if not finding.ok} == open_holes


def test_versions_are_compared_as_versions_and_not_as_text():
    found = {finding.name: finding.ok for finding in holes({"torch": "2.10.0", "pyarrow": "9.0"})}
    assert found["CVE-2026-24747"] and not found["CVE-2023-47248"]


def test_what_is_installed_here_has_no_known_hole():
    assert all(finding.ok for finding in audit(sockets=[]) if finding.name.startswith("CVE"))


def test_a_token_that_others_may_read_is_found(tmp_path):
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("secret words")
    token.chmod(0o644)
    _, file = tokens({}, tmp_path)
    assert not file.ok and "644" in file.got and file.remedy == f"chmod 600 {token}" and "secret words" not in str(file)
    token.chmod(0o600)
    assert tokens({}, tmp_path)[1].ok


@pytest.mark.parametrize(("mode", "ok"), [(None, True), ("token", True), ("TOKEN", True), ("disabled", False)])
def test_a_ray_that_asks_for_no_token_is_a_fault(mode, ok, tmp_path):
    assert tokens({} if mode is None else {"RAY_AUTH_MODE": mode}, tmp_path)[0].ok is ok


def test_an_open_port_is_advice_with_a_token_and_a_fault_without():
    sockets = [Socket(GCS, "127.0.0.1", 1), Socket(GCS, "0.0.0.0", 6379)]
    (asked,) = exposed(sockets, {})
    (free,) = exposed(sockets, {"RAY_AUTH_MODE": "disabled"})
    assert not asked.ok and not asked.required and "0.0.0.0:6379" in asked.got
    assert not free.ok and free.required


def test_an_open_mlflow_is_always_a_fault_for_it_asks_nobody():
    (finding,) = exposed([Socket(MLFLOW, "::", 5000)], {})
    assert not finding.ok and finding.required
    assert exposed([Socket(MLFLOW, "127.0.0.1", 5000)], {})[0].ok


LISTENER = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "role"), [("mlflow", MLFLOW), ("gcs_server", GCS), ("something-else", None)])
def test_what_listens_on_this_machine_is_known_by_its_command_line(name, role):
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        port = int(process.stdout.readline())
        found = [one for one in listening() if one.port == port]
        process.communicate("\n")
    assert found == ([] if role is None else [Socket(role, "127.0.0.1", port)])
