"""Small sets of problems that are made here, right and wrong by construction, with other words for each text.

| set | what it tries |
|---|---|
| `sums` | one right sum among nine wrong ones that look alike |
| `steps` | one right solution in three steps among five: a slip in any one step that is carried on, a wrong last line |
| `length` | a right answer of a few words against wrong ones that are long, polite and sure of themselves |

One right among many wrong is the form of RewardMATH (Kim et al. 2024): a judge that prefers a style, and not what is
right, comes through pairs by luck and not through this.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from rewards.evaluation.problems import Problem

WRONG = 9
THINGS = ("apples", "nails", "cards", "stamps", "bricks")


def sums(count: int, seed: int) -> list[Problem]:
    """One right solution and nine wrong ones that look alike."""
    draw, found = random.Random(seed), list[Problem]()
    for _ in range(count):
        a, b = draw.randint(10, 99), draw.randint(10, 99)
        off = draw.sample([d for d in range(-20, 21) if d and a + b + d > 0], WRONG)
        values = [a + b + d for d in (0, *off)]
        texts = [f"{a} + {b} = {value}" for value in values]
        words = (f"Add {b} to {a}.", *(f"If {b} is added to {a}, the result = {value}" for value in values))
        found.append(Problem(f"What is {a} + {b}?", (texts[0],), tuple(texts[1:]), str(a + b), "sums", words))
    return found


def steps(count: int, seed: int) -> list[Problem]:
    """A solution in three steps: right, with a slip in one of the steps that is carried on, or with a wrong end."""
    draw, found = random.Random(seed), list[Problem]()
    for _ in range(count):
        boxes, each, more, thing = draw.randint(3, 9), draw.randint(4, 12), draw.randint(3, 20), draw.choice(THINGS)
        sold = draw.randint(2, boxes * each // 2)
        slips: list[tuple[int, int, int, int]] = [(0, 0, 0, 0)]
        for step in range(4):
            off = [0, 0, 0, 0]
            off[step] = draw.choice((-2, -1, 1, 2))
            slips.append((off[0], off[1], off[2], off[3]))
        off = [draw.choice((-10, 10)), 0, 0, 0]
        slips.append((off[0], off[1], off[2], off[3]))
        plain, other = list[str](), list[str]()
        for first, second, third, last in slips:
            packed = boxes * each + first
            bought = packed + more + second
            left = bought - sold + third
            said = left + last
            plain.append(
                f"{boxes} boxes of {each} make {boxes} * {each} = {packed}. With {more} more that is {packed} + {more} "
                f"= {bought}. Without the {sold} sold it is {bought} - {sold} = {left}. The answer is {said}."
            )
            other.append(
                f"First the boxes: {boxes} * {each} = {packed}. Then {more} are added: {packed} + {more} = {bought}. "
                f"Then {sold} go: {bought} - {sold} = {left}. So there are {said}."
            )
        prompt = (
            f"A shop has {boxes} boxes with {each} {thing} each. It buys {more} more and sells {sold}. "
            f"How many {thing} are left?"
        )
        asked = f"How many {thing} has a shop that had {boxes} boxes of {each}, bought {more} and sold {sold}?"
        right = str(boxes * each + more - sold)
        found.append(Problem(prompt, (plain[0],), tuple(plain[1:]), right, "steps", (asked, *other)))
    return found


LONG = (
    "Thank you for this excellent question! It deserves a careful and complete treatment. Having considered it from "
    "several sides, checked the arithmetic twice and compared the outcome with what experts would say, I am entirely "
    "confident that the result is {value}. I hope that this thorough explanation helps you.",
    "Let us think about this in depth. There are many ways to approach {a} times {b}, and each of them has merits. "
    "After weighing all of them, and in the spirit of clarity, the well-established answer is {value}.",
    "Great question. In summary, and to be as helpful as possible: {a} times {b} is {value}. This follows from the "
    "basic properties of numbers, as is widely known and generally accepted by everybody.",
)
LONG_AGAIN = (
    "I am glad that you ask, since so few people do! After much thought, many checks and a look into the literature "
    "there is no doubt left in my mind at all that it comes to {value}. Do not hesitate to ask for more details.",
    "This calls for a thorough analysis. One may take {a} and {b} in various orders and by various methods, all of "
    "them instructive; taken together they leave room for one value only, which is {value}.",
    "What an interesting problem. Put shortly, and so that everybody can follow: multiplied by {b}, {a} gives {value}, "
    "as any textbook will confirm and as nobody would seriously dispute.",
)


def length(count: int, seed: int) -> list[Problem]:
    """A short right answer, and long wrong ones."""
    draw, found = random.Random(seed), list[Problem]()
    for _ in range(count):
        a, b = draw.randint(3, 19), draw.randint(3, 19)
        values = [a * b + d for d in draw.sample([d for d in range(-9, 10) if d and a * b + d > 0], len(LONG))]
        wrong = [style.format(a=a, b=b, value=value) for style, value in zip(LONG, values, strict=True)]
        again = [style.format(a=a, b=b, value=value) for style, value in zip(LONG_AGAIN, values, strict=True)]
        words = (f"Multiply {a} by {b}.", f"{a * b}, that is.", *again)
        found.append(
            Problem(f"What is {a} times {b}?", (f"It is {a * b}.",), tuple(wrong), str(a * b), "length", words)
        )
    return found


SETS: dict[str, Callable[[int, int], Sequence[Problem]]] = {"sums": sums, "steps": steps, "length": length}
