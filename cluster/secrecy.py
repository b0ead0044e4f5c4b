"""What looks like a key or a password in a text, and the text without it.

Nobody can know every secret by its looks. So these are: the tokens of well-known services by their form, what stands
beside a name such as `api_key`, users in addresses, and the values of this process's own environment variables of
such names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache

TOKENS = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY-----\s"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"  # AWS
    r"|\bgh[pousr]_[0-9A-Za-z]{36}\b|\bgithub_pat_[0-9A-Za-z_]{60,}\b"
    r"|\bglpat-[0-9A-Za-z_-]{20}\b"
    r"|\bhf_[0-9A-Za-z]{34}\b"
    r"|\bsk-(?:[a-z]+-)*[0-9A-Za-z_-]{40,}\b"  # OpenAI, Anthropic
    r"|\bxox[abprs]-[0-9A-Za-z-]{20,}\b"
    r"|\bAIza[0-9A-Za-z_-]{35}\b"
    r'|"private_key(?:_id)?"\s*:\s*"[^"]{20,}"'
)
"""Keys of well-known services, as they stand in a file."""

GONE = "…"
LEAST = 8  # characters of a value that is taken out wherever it stands; a shorter one would take words with it

_TOKEN = re.compile(TOKENS)
# All of it: to find its head line is enough where a file is refused, and leaves the key where a text is cleaned. Where
# the text was cut off before the end, what stands there of the key.
_PEM = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:(?s:.{0,10000}?)-----END [A-Z0-9 ]+-----"
    r"|(?:(?:\s|\\[rn])*[A-Za-z0-9+/=]{16,})*(?:(?:\s|\\[rn])*[A-Za-z0-9+/=]*\Z)?)"
)
# A line within one, by itself: one word, after what Ray puts before the lines of a process; or one of its head.
_PEM_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_BODY = re.compile(r"\s*(?:\([^()]*\)\s*)?(?:[A-Za-z0-9+/=]*|(?:Proc-Type|DEK-Info|Version|Comment|Hash): .*)\s*")
# What stands before it in a name is kept in any case, and looking for it would take the square of a long word's length.
_NAME = r"(?:api[_-]?key|access[_-]?key|auth[_-]?token|secret|passw(?:or)?d|passphrase|credentials?|\btoken)"
# A value in quotes goes to its closing quote: what a password may hold ends a word elsewhere.
_NAMED = re.compile(
    rf"""(?i)({_NAME}["']?\s*[=:]\s*)(?:(["'])(?:\\.|(?!\2)[^\\\n])+\2|(["']?)(?!\s)[^\s"',;&}}{GONE}]+)"""
)
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_USER = re.compile(r"(://)[^/?#\s]+@")  # to the last @: a password may hold others
_VARIABLE = re.compile(r"(?i)(key|token|secret|passw(or)?d|passphrase|credentials?)$")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def redacted(text: str, environment: Mapping[str, str] | None = None) -> str:
    """A text with `…` in the place of what looks like a secret.

    Args:
        text: any.
        environment: variables whose values are taken out where their names are those of secrets; None: this process's.
    """
    text = _TOKEN.sub(GONE, _PEM.sub(GONE, text))
    text = _USER.sub(rf"\1{GONE}@", text)
    text = _BEARER.sub(rf"\1 {GONE}", text)
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2] or found[3]}{GONE}{found[2] or ''}", text)
    variables = (os.environ if environment is None else environment).items()
    for name, value in sorted(variables, key=lambda one: -len(one[1])):  # one may be the beginning of another
        if len(value) >= LEAST and _VARIABLE.search(name) and not _is_file(value):
            text = text.replace(value, GONE)
    return text


@lru_cache
def _is_file(value: str) -> bool:
    """Whether a value says where a secret is, and is none itself; every 64th key in base64 begins with a slash too."""
    return os.path.isabs(value) and os.path.exists(value)


def plain_line(text: str) -> str:
    """A line of somebody else's, for a terminal: without escape sequences, control characters and secrets."""
    text = _ESCAPE.sub("", text).expandtabs()
    return redacted("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text))


class PlainLines:
    """`plain_line` of lines one after another: of a private key that goes over several of them nothing is left."""

    def __init__(self) -> None:
        """Before the first line."""
        self._in_key = False

    def __call__(self, line: str) -> str:
        """The line as it may be shown; one that holds a piece of a key alone is `…`."""
        if self._in_key and "-----END " not in line and _PEM_BODY.fullmatch(line):
            return GONE
        self._in_key = "-----END " not in line and bool(_PEM_HEAD.search(line))
        return plain_line(line)
