"""Sections between tags, such as `<think>…</think><answer>…</answer>`.

Tags are found by plain search, in time linear in the text. Strict means strict: each tag once, in order, and nothing
but white space outside, because a lenient rule pays for any text that has the tags somewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from rewards.functions import PolicyFault, reward

THINK_AND_ANSWER = ("think", "answer")


def sections(completion: str, tags: Sequence[str] = THINK_AND_ANSWER) -> dict[str, str]:
    """What stands between each tag and its end.

    Raises:
        PolicyFault: a tag is missing, comes twice or out of order, or there is text outside.
    """
    found, end = {}, 0
    for tag in tags:
        opening, closing = f"<{tag}>", f"</{tag}>"
        for text in (opening, closing):
            if (count := completion.count(text)) != 1:
                raise PolicyFault(f"got {text} {count} times; expected it once")
        start, stop = completion.index(opening), completion.index(closing)
        if not end <= start < stop:
            raise PolicyFault(f"got {opening} or {closing} out of order; expected {', '.join(tags)} one after another")
        if completion[end:start].strip():
            raise PolicyFault(f"got text before {opening}; expected all text between tags")
        found[tag] = completion[start + len(opening) : stop].strip()
        end = stop + len(closing)
    if completion[end:].strip():
        raise PolicyFault(f"got text after </{tags[-1]}>; expected all text between tags")
    return found


@reward(subject="episode")
def tag_format(completion: str, tags: Sequence[str] = THINK_AND_ANSWER) -> float:
    """1 if the completion is made of filled sections between these tags, in this order, and nothing else; else 0.

    Here a malformed text is no fault but what is scored.
    """
    try:
        return float(all(sections(completion, tags).values()))
    except PolicyFault:
        return 0.0


@reward(subject="episode")
def tag_format_parts(completion: str, tags: Sequence[str] = THINK_AND_ANSWER) -> float:
    """Share of opening and closing tags that occur exactly once: a slope towards `tag_format` for a beginner."""
    texts = [text for tag in tags for text in (f"<{tag}>", f"</{tag}>")]
    return sum(completion.count(text) == 1 for text in texts) / len(texts)
