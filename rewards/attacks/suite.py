"""The suite: all attacks, by name. A new one is a file with an `ATTACK`, and a line here."""

from __future__ import annotations

from collections.abc import Iterable

from rewards.attacks import (
    authority,
    delimiter_escape,
    format_tricks,
    injection,
    master_keys,
    repeated_steps,
    rubric_leakage,
    smuggling,
    verbosity,
)
from rewards.attacks.attack import Attack

SUITE: dict[str, Attack] = {
    module.ATTACK.name: module.ATTACK
    for module in (
        master_keys,
        injection,
        verbosity,
        authority,
        format_tricks,
        repeated_steps,
        smuggling,
        delimiter_escape,
        rubric_leakage,
    )
}


def choose(names: Iterable[str] = (), special_tokens: Iterable[str] = ()) -> tuple[Attack, ...]:
    """Attacks by name; all of them where none is named.

    Args:
        names: of attacks.
        special_tokens: of the judge's tokenizer, for whoever smuggles.

    Raises:
        ValueError: a name is unknown.
    """
    names = list(names) or list(SUITE)
    if unknown := [name for name in names if name not in SUITE]:
        raise ValueError(f"got the attack {unknown[0]!r}; expected some of {', '.join(SUITE)}")
    own = {**SUITE, smuggling.ATTACK.name: smuggling.smuggling(special_tokens)}
    return tuple(own[name] for name in names)
