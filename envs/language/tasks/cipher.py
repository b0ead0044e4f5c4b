"""`cipher`: translate words that were written in a substitution cipher, some of them into a synonym.

    key: a=q b=w … text: "zit wqk*"    →    "the cafe" where `*` asks for a synonym of the word

The key is shown, or there are only so many different keys and they must be learnt.
"""

from __future__ import annotations

import random
import string
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Weighted, user

SYNONYMS = (
    ("big", "large", "huge"),
    ("small", "little", "tiny"),
    ("quick", "fast", "rapid"),
    ("happy", "glad", "joyful"),
    ("house", "home", "dwelling"),
    ("begin", "start", "commence"),
    ("end", "finish", "conclude"),
    ("road", "street", "lane"),
    ("stone", "rock", "boulder"),
    ("forest", "woods", "grove"),
    ("boat", "ship", "vessel"),
    ("clever", "smart", "bright"),
    ("silent", "quiet", "hushed"),
    ("angry", "furious", "cross"),
    ("old", "ancient", "aged"),
    ("rich", "wealthy", "prosperous"),
)
WORDS = tuple(word for group in SYNONYMS for word in group)


class Config(BaseModel):
    """How hard the texts are.

    Attributes:
        words: of a text at most.
        fewest_words: at least.
        direction: `decode`: from the cipher to plain words; `encode`: the other way.
        synonyms: how likely a word is marked with `*`, so that any synonym of it is wanted in its place.
        keys: how many different keys there are; None: a new one for each text.
        show_key: whether the key stands in the prompt.
        letters: of the alphabet that the key changes; the rest stand for themselves.
        size: prompts of each split.
        test_share: of all texts.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    words: int = Field(4, ge=1, le=100)
    fewest_words: int = Field(2, ge=1)
    direction: Literal["decode", "encode"] = "decode"
    synonyms: float = Field(0.0, ge=0, le=1)
    keys: int | None = Field(None, ge=1)
    show_key: bool = True
    letters: int = Field(26, ge=2, le=26)
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


def share_of_words(completion: str, accepted: Sequence[Sequence[str]]) -> float:
    """Share of words that are right, in order; words too many count as wrong.

    Args:
        completion: what the policy wrote.
        accepted: for each word, those that will do.
    """
    written = completion.lower().split()
    right = sum(word in will_do for word, will_do in zip(written, accepted, strict=False))
    return right / max(len(written), len(accepted), 1)


class Cipher(TextTask):
    """Texts under a substitution cipher.

    Example:
        >>> task = Cipher(Config(keys=1, show_key=False, synonyms=0.5))
        >>> "*" in "".join(task.load("test", seed=1)[i].messages[0]["content"] for i in range(9))
        True
    """

    name = "cipher"
    rewards: Mapping[str, Weighted] = {"words": Weighted(1.0, share_of_words)}

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once."""
        self.config = config or Config()

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Texts without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """The first of the words that will do, each."""
        return (" ".join(will_do[0] for will_do in prompt.columns["accepted"]),)

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        number = chance.randrange(config.keys) if config.keys else chance.getrandbits(48)
        key = key_of(number, config.letters)
        cipher = str.maketrans(key)
        words = [
            chance.choice(WORDS) for _ in range(chance.randint(min(config.fewest_words, config.words), config.words))
        ]
        marked = [chance.random() < config.synonyms for _ in words]
        shown, accepted = [], []
        for word, mark in zip(words, marked, strict=True):
            others = [w for group in SYNONYMS if word in group for w in group if w != word] if mark else [word]
            hidden = config.direction == "decode"
            shown.append((word.translate(cipher) if hidden else word) + "*" * mark)
            accepted.append(others if hidden else [other.translate(cipher) for other in others])
        text = self._text(key, " ".join(shown), any(marked))
        ident = identify(self.name, config.direction, number, config.letters, shown)
        return Prompt(ident, (user(text),), {"accepted": accepted, "text": " ".join(shown)})

    def _text(self, key: dict[str, str], shown: str, is_marked: bool) -> str:
        lines = []
        if self.config.show_key:
            lines.append("Key: " + " ".join(f"{plain}={letter}" for plain, letter in key.items()))
        if is_marked:
            lines.append("Replace each word before a * by a synonym.")
        return "\n".join([*lines, f"{self.config.direction.capitalize()}: {shown}"])


def key_of(number: int, letters: int) -> dict[str, str]:
    """The cipher's letter for each plain one, for key `number`; no letter of those that change stands for itself."""
    chance = random.Random(f"key/{number}")
    changed = chance.sample(string.ascii_lowercase, letters)
    return dict(sorted(zip(changed, changed[1:] + changed[:1], strict=True)))
