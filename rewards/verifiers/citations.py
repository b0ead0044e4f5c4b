"""Evidence: are the right sources cited, and do quotations stand in them?

A source is cited by its number or name in square brackets, `[2]` or `[smith-2020]`. A quotation stands in double
quotes, followed by its citation: `"…" [2]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rewards.functions import PolicyFault, reward
from rewards.verifiers.sets import f1

SHORTEST = 3
"""Words below which a quotation says nothing."""

_CITED = re.compile(r"\[([\w.\-]{1,64}(?:\s?[,;]\s?[\w.\-]{1,64}){0,31})\]")
_QUOTED = re.compile(r"[\"“]([^\"“”]{1,2000})[\"”]\s{0,3}\[([\w.\-]{1,64})\]")


def cited(completion: str) -> set[str]:
    """Names of the sources that a text cites."""
    return {name.strip() for group in _CITED.findall(completion) for name in re.split("[,;]", group)}


@reward(subject="episode")
def citation_f1(completion: str, evidence: Sequence[str]) -> float:
    """F1 of the cited sources and those that hold the evidence; citing everything costs precision."""
    return f1(cited(completion), {str(name) for name in evidence})


@reward(subject="episode")
def quotations_supported(completion: str, sources: Mapping[str, str]) -> float:
    """Share of quotations that stand, word for word, in the source that is cited for them.

    Case, white space and typographic marks count for nothing. A citation of a source that does not exist supports
    nothing.

    Raises:
        PolicyFault: there is no quotation of at least three words with a citation.
    """
    quotations = [(text, name) for text, name in _QUOTED.findall(completion) if len(text.split()) >= SHORTEST]
    if not quotations:
        raise PolicyFault('got no quotation; expected "three words or more" [source]')
    texts = {str(name): f" {_words(text)} " for name, text in sources.items()}
    return sum(f" {_words(text)} " in texts.get(name, "") for text, name in quotations) / len(quotations)


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
