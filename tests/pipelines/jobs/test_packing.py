from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import UserError
from pipelines.jobs.packing import chosen, looks_secret, stage


def write(root, **files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(root, **kwargs):
    return [path.as_posix() for path in chosen(root, **kwargs).files]


def test_what_any_ignore_file_names_stays_and_a_deeper_one_has_the_last_word(tmp_path):
    write(
        tmp_path,
        **{
            ".gitignore": "*.log\nruns/\n",
            ".guerdonignore": "docs/pictures/\n",
            ".rayignore": "/data\n",
            "a.py": "",
            "a.log": "",
            "runs/x/metrics.jsonl": "",
            "docs/page.md": "",
            "docs/pictures/one.png": "",
            "data/big": "",
            "lab/data/small": "",
            "lab/.gitignore": "!kept.log\n",
            "lab/kept.log": "",
            "lab/other.log": "",
            ".git/config": "",
            ".venv/bin/python": "",
            "env2/pyvenv.cfg": "",
            "env2/lib.py": "",
        },
    )
    assert names(tmp_path) == [
        ".gitignore",
        ".guerdonignore",
        ".rayignore",
        "a.py",
        "docs/page.md",
        "lab/.gitignore",
        "lab/data/small",
        "lab/kept.log",
    ]


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is the second opinion")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rules=st.lists(
        st.sampled_from(["*.log", "!b.log", "/a", "a/", "b/*", "!b/a", "**/c", "*.py", "b/**", "c.log"]), max_size=5
    ),
    inner=st.lists(st.sampled_from(["*", "!*.py", "a", "!b.log"]), max_size=2),
)
def test_git_would_take_the_same_files(rules, inner, tmp_path_factory):
    root = tmp_path_factory.mktemp("checkout")
    paths = ["a", "b/a", "b/b.log", "b/c/d.py", "c.log", "c/a.py", "d/a/b.log", "d/e.py"]
    write(root, **dict.fromkeys(paths, "x"), **{".gitignore": "\n".join(rules), "b/.gitignore": "\n".join(inner)})
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    listed = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-co", "--exclude-standard"],
        cwd=root, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert sorted(names(root)) == sorted(listed.stdout.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [".env", ".env.production", "tls/server.key", "cert.PEM", "id_rsa", "id_ed25519", ".netrc", "credentials",
     "aws-credentials.json", "my_secrets.yaml", "auth_token", "kubeconfig", "gcp-service-account-1.json", ".npmrc",
     ".envrc", "prod.env"],
)  # fmt: skip
def test_a_file_that_is_a_key_by_its_name_ends_it(name, tmp_path):
    write(tmp_path, **{name: "harmless", "a.py": ""})
    with pytest.raises(UserError, match="looks like a key") as caught:
        chosen(tmp_path)
    assert name in str(caught.value) and "harmless" not in str(caught.value)
    write(tmp_path, **{".guerdonignore": name})
    assert names(tmp_path) == [".guerdonignore", "a.py"]


@pytest.mark.parametrize(
    "name", [".env.example", "example.env", "keys.py", "tokens.md", "id_rsa.pub", "secrets.py", "test_credentials.py"]
)
def test_a_file_that_only_speaks_of_keys_is_packed(name, tmp_path):
    write(tmp_path, **{name: "KEY = os.environ['OPENAI_API_KEY']  # sk-..., -----BEGIN PUBLIC KEY-----"})
    assert names(tmp_path) == [name]


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN " + "PRIVATE KEY-----\nMII",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3B",
        "key = 'AKIA" + "IOSFODNN7EXAMPLE'",
        "token: ghp_" + "a1" * 18,
        "HF = 'hf_" + "Ab" * 17 + "'",
        "OPENAI='sk-" + "proj-" + "a" * 44 + "'",
        '{"private_key": "' + "x" * 30 + '"}',
    ],
)
def test_a_key_inside_of_an_ordinary_file_ends_it(text, tmp_path):
    write(tmp_path, **{"settings.py": f"# nothing to see\n{text}\n"})
    with pytest.raises(UserError, match=r"settings\.py: looks like a key"):
        chosen(tmp_path)


@pytest.mark.slow
def test_what_is_too_large_is_said_with_the_largest_files(tmp_path):
    write(tmp_path, **{"small": "x", "large.bin": "x" * 3 * 2**20, "larger.bin": "x" * 4 * 2**20})
    with pytest.raises(UserError, match=r"7 MB .*expected 5 MB.*larger\.bin \(4\.0 MB\), large\.bin \(3\.0 MB\)"):
        chosen(tmp_path, max_mb=5)
    assert chosen(tmp_path, max_mb=8).size_bytes == 7 * 2**20 + 1


def test_a_link_that_leads_out_of_the_checkout_is_refused_and_one_within_is_followed(tmp_path):
    root = tmp_path / "checkout"
    write(root, **{"a.py": "one"})
    write(tmp_path, outside="secret")
    (root / "b.py").symlink_to(root / "a.py")
    assert names(root) == ["a.py", "b.py"]
    (root / "c").symlink_to(tmp_path / "outside")
    with pytest.raises(UserError, match="c is a link that leads out"):
        chosen(root)


def test_a_link_to_a_secret_is_one_whatever_it_is_called(tmp_path):
    write(tmp_path, **{".env": "WORD=swordfish", ".gitignore": ".env"})
    (tmp_path / "settings.txt").symlink_to(tmp_path / ".env")
    with pytest.raises(UserError, match=r"settings\.txt: looks like a key"):
        chosen(tmp_path)


def test_what_was_chosen_is_staged_and_nothing_else(tmp_path):
    root, to = tmp_path / "checkout", tmp_path / "staged"
    write(root, **{"a.py": "one", "b/c.py": "two", "x.log": "", ".gitignore": "*.log"})
    stage(root, chosen(root), to)
    found = sorted(path.relative_to(to).as_posix() for path in to.rglob("*") if path.is_file())
    assert found == [".gitignore", "a.py", "b/c.py"] and (to / "b/c.py").read_text() == "two"


@pytest.mark.slow
def test_this_checkout_can_be_packed():
    from pipelines.house import CHECKOUT

    packed = chosen(CHECKOUT)
    found = {path.as_posix() for path in packed.files}
    assert {"pipelines/cli.py", "constraints.txt", "envs/catch.py"} <= found
    assert packed.size_bytes < 30 * 2**20 and not any(name.startswith(("runs/", "tests/", ".venv/")) for name in found)
    assert not looks_secret(CHECKOUT / "pipelines" / "jobs" / "packing.py")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path, monkeypatch):
    write(tmp_path, **{"a.py": ""})

    def closed(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pipelines.jobs.packing.looks_secret", closed)
    with pytest.raises(UserError, match=r"the checkout cannot be read: .*Permission denied.*a\.py.*\.guerdonignore"):
        chosen(tmp_path)
