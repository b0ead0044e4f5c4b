"""What looks like a secret does not reach a log or a terminal; words that only sound like one do."""

from __future__ import annotations

import time

import pytest

from cluster.secrecy import plain_line, redacted


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
    ],
)
def test_secrets_are_taken_out_and_words_are_not(text, expected):
    assert redacted(text, {}) == expected
    assert redacted(expected, {}) == expected


def test_a_long_word_takes_no_longer_than_its_length():
    began = time.process_time()
    assert redacted("a-" * 10_000 + "api_key=abc", {}).endswith("api_key=…")
    assert time.process_time() - began < 1.0, "the square of its length takes minutes"


def test_values_of_secret_variables_are_taken_out_wherever_they_stand():
    variables = {"JUDGE_KEY": "correct-horse", "PATH": "/usr/bin:/bin", "SHORT_KEY": "abc", "KEY": "/etc/key/of/it"}
    text = "sent correct-horse to /usr/bin:/bin abc /etc/key/of/it"
    assert redacted(text, variables) == "sent … to /usr/bin:/bin abc /etc/key/of/it"


def test_a_line_cannot_steer_a_terminal():
    assert plain_line("\x1b[31mred\x1b[0m \x1b]0;title\x07x\ty") == "red x   y"
    assert plain_line("a\x07b\x1b") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
