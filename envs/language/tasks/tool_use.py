"""`tools`: questions that need a lookup table and a calculator, over several turns.

    user       What do 3 figs and 12 nuts cost?
    assistant  <lookup>fig</lookup>
    tool       7
    assistant  <lookup>nut</lookup>
    tool       4
    assistant  <calculator>3*7+12*4</calculator>
    tool       69
    assistant  69

Prices are made up for each question, so nobody can know them. A call that cannot be read is answered by what is wrong
with it. A reply without a call is the answer.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from envs.language.answers import last_number
from envs.language.expressions import BadExpression, evaluate, written
from envs.language.splits import ENDLESS, TEST_SHARE, Drawn, identify
from envs.language.task import Prompt, Split, TextTask, Turn, Weighted, tool_result, user

GOODS = ("fig", "nut", "pear", "plum", "leek", "bean", "bun", "egg", "date", "lime", "kiwi", "yam", "rice", "corn")
TOOLS = ("lookup", "calculator")
ARGUMENT = {"lookup": "item", "calculator": "expression"}
LONGEST = 2000
"""Characters of a call."""

Format = Literal["tag", "json"]

HELP = {
    "tag": "Tools: <lookup>item</lookup> gives the price of one item, <calculator>2*3+4</calculator> computes. "
    "Call one tool at a time, or reply with the number alone.",
    "json": 'Tools: <tool_call>{"name": "lookup", "arguments": {"item": "…"}}</tool_call> gives the price of one item, '
    '<tool_call>{"name": "calculator", "arguments": {"expression": "2*3+4"}}</tool_call> computes. '
    "Call one tool at a time, or reply with the number alone.",
}


class Config(BaseModel):
    """How hard the questions are.

    Attributes:
        items: different things that are bought at most.
        fewest_items: at least.
        amounts: of each at most; 1: one of each.
        prices: of one at most.
        goods: things that there are in the shop, from which the items are.
        format: how a tool is called: a tag of its name, or JSON in a tag `tool_call`.
        max_turns: replies at most, the answer among them.
        explain: whether the prompt says which tools there are and how to call them.
        size: prompts of each split.
        test_share: of all questions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: int = Field(2, ge=1, le=len(GOODS))
    fewest_items: int = Field(1, ge=1)
    amounts: int = Field(9, ge=1)
    prices: int = Field(20, ge=2)
    goods: int = Field(len(GOODS), ge=1, le=len(GOODS))
    format: Format = "tag"
    max_turns: int = Field(6, ge=1)
    explain: bool = True
    size: int = Field(ENDLESS, ge=1)
    test_share: float = Field(TEST_SHARE, gt=0, lt=1)


class BadCall(ValueError):
    """A reply that means to call a tool, but cannot be read; the message is for whoever wrote it."""


def call_of(reply: str, format: Format) -> tuple[str, str] | None:
    """The tool and the argument that a reply calls it with; None where it calls none.

    Raises:
        BadCall: the call cannot be read.
    """
    tags = TOOLS if format == "tag" else ("tool_call",)
    found = [(tag, inside) for tag in tags for inside in re.findall(rf"<{tag}>(.*?)</{tag}>", reply, re.DOTALL)]
    if not found:
        if re.search(rf"</?(?:{'|'.join((*TOOLS, 'tool_call'))})\b", reply):
            raise BadCall(f"cannot read the call; expected {written_call('lookup', 'egg', format)}")
        return None
    if len(found) > 1:
        raise BadCall(f"got {len(found)} calls; expected one at a time")
    tag, inside = found[0]
    if len(inside) > LONGEST:
        raise BadCall(f"got {len(inside)} characters; expected at most {LONGEST}")
    return (tag, inside.strip()) if format == "tag" else _json_call(inside)


def written_call(tool: str, argument: str, format: Format) -> str:
    """A call as a reply."""
    if format == "tag":
        return f"<{tool}>{argument}</{tool}>"
    return f"<tool_call>{json.dumps({'name': tool, 'arguments': {ARGUMENT[tool]: argument}})}</tool_call>"


def answered(completion: str, answer: str) -> float:
    """1 if the reply calls nothing and its last number is the answer, else 0."""
    return float(not re.search(r"</?\w", completion) and last_number(completion) == last_number(answer))


class Errand:
    """One question, until it is answered."""

    def __init__(self, prices: Mapping[str, int], format: Format) -> None:
        """Nothing is called yet.

        Args:
            prices: of one each.
            format: of calls.
        """
        self._prices, self._format = prices, format

    def step(self, reply: str) -> Turn:
        """What the tool gives, or what is wrong with the call; the end where none is called."""
        try:
            call = call_of(reply, self._format)
            if call is None:
                return Turn((), done=True)
            given = self._run(*call)
        except (BadCall, BadExpression) as error:
            given = f"error: {error}"
        return Turn((tool_result(given),), done=False)

    def _run(self, tool: str, argument: str) -> str:
        if tool == "calculator":
            return written(evaluate(argument))
        if argument not in self._prices:
            raise BadCall(f"no item {argument[:40]!r}")
        return str(self._prices[argument])


class ToolUse(TextTask):
    """Shopping with unknown prices.

    Example:
        >>> task = ToolUse(Config(items=1))
        >>> task.gold(task.load("train", seed=0)[0])[0].startswith("<lookup>")
        True
    """

    name = "tools"
    rewards: Mapping[str, Weighted] = {"answered": Weighted(1.0, answered)}

    def __init__(self, config: Config | None = None) -> None:
        """Ready at once.

        Raises:
            ValueError: the shop has fewer goods than are bought, or the turns do not suffice for the calls.
        """
        self.config = config or Config()
        self.max_turns = self.config.max_turns
        needed = self.config.items + 2
        if self.config.items > self.config.goods or needed > self.max_turns:
            raise ValueError(
                f"got {self.config.items} items of {self.config.goods} goods and {self.max_turns} turns; expected at "
                f"least as many goods as items, and {needed} turns: one for each item, one to compute, one to answer"
            )

    def load(self, split: Split, seed: int) -> Sequence[Prompt]:
        """Questions without end."""
        return Drawn(self._draw, split, seed, self.config.size, self.config.test_share)

    def reset(self, prompt: Prompt) -> Errand:
        """Begin to serve a question."""
        return Errand(prompt.columns["prices"], self.config.format)

    def gold(self, prompt: Prompt) -> tuple[str, ...]:
        """Each price is looked up, the sum is computed, the answer given."""
        amounts, prices, format = prompt.columns["amounts"], prompt.columns["prices"], self.config.format
        lookups = [written_call("lookup", item, format) for item in amounts]
        computed = "+".join(f"{amount}*{prices[item]}" for item, amount in amounts.items())
        return (*lookups, written_call("calculator", computed, format), prompt.columns["answer"])

    def _draw(self, chance: random.Random) -> Prompt:
        config = self.config
        goods = GOODS[: config.goods]
        prices = {item: chance.randint(2, config.prices) for item in goods}
        count = chance.randint(min(config.fewest_items, config.items), config.items)
        amounts = {item: chance.randint(1, config.amounts) for item in chance.sample(goods, count)}
        answer = str(sum(amount * prices[item] for item, amount in amounts.items()))
        bought = " and ".join(f"{amount} {item}" for item, amount in amounts.items())
        text = f"What do {bought} cost?"
        messages = (user(f"{HELP[config.format]}\n{text}" if config.explain else text),)
        columns = {"amounts": amounts, "prices": prices, "answer": answer}
        return Prompt(identify(self.name, amounts, prices), messages, columns)


def _json_call(inside: str) -> tuple[str, str]:
    try:
        call = json.loads(inside)
        tool, arguments = call["name"], call["arguments"]
        argument = arguments[ARGUMENT[tool]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadCall(
            f"cannot read {inside.strip()[:60]!r}; expected {_shape('lookup')} or {_shape('calculator')}"
        ) from None
    if not isinstance(argument, str):
        raise BadCall(f"got {argument!r} as {ARGUMENT[tool]}; expected text")
    return tool, argument


def _shape(tool: str) -> str:
    return json.dumps({"name": tool, "arguments": {ARGUMENT[tool]: "…"}}, ensure_ascii=False)
