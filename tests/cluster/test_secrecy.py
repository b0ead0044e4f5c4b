"""What looks like a secret does not reach a log or a terminal; words that only sound like one do."""

from __future__ import annotations

import time

import pytest

from cluster.secrecy import PlainLines, plain_line, redacted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://anna:geheim@host/x", "s3://…@host/x"),
        ("api_key=abc123 rest", "api_key=… rest"),
        ('{"password": "hunter2", "n": 1}', '{"password": "…", "n": 1}'),
        ("OPENAI_API_KEY: xyz", "OPENAI_API_KEY: …"),
        ("Authorization: Bearer abcdefgh12", "Authorization: Bearer …"),
        ("token=abc", "token=…"),
        ("hf.space-AUTH_TOKEN=abc", "hf.space-AUTH_TOKEN=…"),
        ("key AKIA" + "A" * 16, "key …"),
        ("hf_" + "a" * 34, "…"),
        ("max_tokens=512 tokens: 12", "max_tokens=512 tokens: 12"),
        ("monkey=1 keyboard: qwerty", "monkey=1 keyboard: qwerty"),
        ("the secret of the dungeon", "the secret of the dungeon"),
        ('password="correct horse, battery&staple" x', 'password="…" x'),
        ("{'api_key': 'a;b,c', 'n': 1}", "{'api_key': '…', 'n': 1}"),
        (r'{"secret": "a\"b c", "n": 1}', '{"secret": "…", "n": 1}'),
        ('token="cut off', 'token="… off'),
        ("redis://:p@ss@host:6379/0 a@b", "redis://…@host:6379/0 a@b"),
        ("https://host/x?mail=a@b", "https://host/x?mail=a@b"),
    ],
)
def test_secrets_are_taken_out_and_words_are_not(text, expected):
    assert redacted(text, {}) == expected
    assert redacted(expected, {}) == expected


KEY = "\n".join(["MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2] * 26)


@pytest.mark.parametrize("kind", ["", "RSA ", "OPENSSH "])
@pytest.mark.parametrize("end", ["\n", "\\n"])
def test_of_a_private_key_nothing_is_left(kind, end):
    whole = f"-----BEGIN {kind}PRIVATE KEY-----\n{KEY}\n-----END {kind}PRIVATE KEY-----".replace("\n", end)
    assert redacted(f"got {whole} here", {}) == "got … here"
    assert redacted(f"got {whole[:900]}", {}) == "got …", "where the text was cut off"


@pytest.mark.slow
def test_a_long_word_takes_no_longer_than_its_length():
    began = time.process_time()
    assert redacted("a-" * 10_000 + "api_key=abc", {}).endswith("api_key=…")
    redacted("-----BEGIN PRIVATE KEY-----" * 3_000 + "token='" * 3_000 + "://" * 10_000, {})
    assert time.process_time() - began < 3.0, "the square of its length takes minutes"


def test_values_of_secret_variables_are_taken_out_wherever_they_stand(tmp_path):
    (tmp_path / "key.json").touch()
    variables = {"JUDGE_KEY": "correct-horse", "PATH": "/usr/bin:/bin", "SHORT_KEY": "abc"}
    variables |= {"KEY": str(tmp_path / "key.json"), "BASE64_KEY": "/9j/4AAQSkZJRg=="}
    text = f"sent correct-horse to /usr/bin:/bin abc /9j/4AAQSkZJRg== {tmp_path}/key.json"
    assert redacted(text, variables) == f"sent … to /usr/bin:/bin abc … {tmp_path}/key.json"


def test_of_two_values_that_begin_alike_nothing_is_left():
    variables = {"A_KEY": "correct-horse", "B_KEY": "correct-horse-battery"}
    assert redacted("correct-horse-battery correct-horse", variables) == "… …"


def test_of_a_key_that_is_printed_line_by_line_nothing_is_left():
    plain, head = PlainLines(), "(Job pid=7) -----BEGIN RSA PRIVATE KEY-----"
    body = ["Proc-Type: 4,ENCRYPTED", "", "MIIEow" * 10, "(Job pid=7) ab=="]
    shown = [plain(line) for line in [head, *body, "-----END RSA PRIVATE KEY-----", "update 3", "word"]]
    assert shown == ["(Job pid=7) …", *["…"] * 4, "-----END RSA PRIVATE KEY-----", "update 3", "word"]


def test_a_key_that_breaks_off_takes_no_other_lines_with_it():
    plain = PlainLines()
    lines = ["found -----BEGIN PRIVATE KEY----- in a file", "update 3: 5 frames", "word"]
    assert [plain(line) for line in lines] == ["found … in a file", *lines[1:]]


def test_a_line_cannot_steer_a_terminal():
    assert plain_line("\x1b[31mred\x1b[0m \x1b]0;title\x07x\ty") == "red x   y"
    assert plain_line("a\x07b\x1b") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
