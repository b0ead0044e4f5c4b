"""`tool_use`: a judge that finds things out before it judges: calculates, looks up, runs code in a sandbox.

At each of at most `max_steps` steps the model picks a tool and its input, or that it has enough; then it grades. What
a tool returns goes into the conversation cleaned and fenced, because a text under judgement may have shaped it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from rewards.judges import untrusted
from rewards.judges.deliberation import Desk, one_of
from rewards.judges.judge import Answer, Judge, Question
from rewards.judges.kinds.scale import choose_on_scale, grades
from rewards.judges.kinds.tool import Tool, calculator, lookup
from rewards.judges.rubric import Parts, Rubric

ENOUGH = "enough"
OUTPUT_CHARS = 2_000
FORM_TOKENS = 40


class ToolUse(Rubric):
    """Tools by name: calculator, lookup (with a `table`), and those handed in, such as code."""

    kind: Literal["tool_use"]
    tools: tuple[str, ...] = Field(("calculator",), min_length=1)
    table: dict[str, str] = Field(default_factory=dict)
    max_steps: int = Field(3, ge=1, le=20)
    input_chars: int = Field(200, ge=1)
    levels: Annotated[int, Field(ge=2, le=9)] = 5
    soft: bool = True

    def build(self, parts: Parts) -> Judge:
        """Up to `max_steps` written replies and one forward pass a question."""
        known = {"calculator": calculator(), **({"lookup": lookup(self.table)} if self.table else {}), **parts.tools}
        if missing := [name for name in self.tools if name not in known]:
            raise ValueError(
                f"rubric {self.id!r} uses the tools {missing}; got {sorted(known)}: hand them in (lookup needs a table)"
            )
        tools = {name: known[name] for name in self.tools}
        described = [f"- {name}: {tool.about}" for name, tool in tools.items()]
        guide = "\n".join([self.guide(), "Tools:", *described, f"- {ENOUGH}: nothing more needs to be found out"])
        prints = [f"{name} {tool.fingerprint}" for name, tool in tools.items()]

        async def decide(question: Question, desk: Desk) -> Answer:
            return await self._decide(question, desk, tools)

        return self.deliberation(parts, decide, guide, also=prints)

    def form(self) -> type[BaseModel]:
        """The form that the model fills at each step."""
        fields: dict[str, Any] = {
            "tool": (one_of([*self.tools, ENOUGH]), ...),
            "input": (str, Field(max_length=self.input_chars)),
        }
        return create_model("Step", __config__=ConfigDict(extra="forbid"), **fields)

    def _room(self) -> int:
        """Tokens enough for the longest form, where each character is a token."""
        return FORM_TOKENS + max(map(len, (*self.tools, ENOUGH))) + self.input_chars

    async def _decide(self, question: Question, desk: Desk, tools: Mapping[str, Tool]) -> Answer:
        chat = desk.chat(question, 'Which tool next? Reply with JSON: {"tool": …, "input": …}.')
        steps = []
        for _ in range(self.max_steps):
            step = (await desk.fill(chat, self.form(), self._room())).model_dump()
            if step["tool"] == ENOUGH:
                break
            output = desk.shown((await tools[step["tool"]].use(step["input"]))[:OUTPUT_CHARS])
            steps.append({**step, "output": output})
            chat += [
                {"role": "assistant", "content": f"{step['tool']}: {desk.shown(step['input'])}"},
                {"role": "user", "content": f"Its output:\n{untrusted.Fence.around([output]).wrap(output)}\n\nNext?"},
            ]
        worth = grades(self.levels)
        ask = f"Now grade it, from 1 (worst) to {self.levels} (best). Answer with the number, and nothing else."
        answer = await choose_on_scale(desk, [*chat, {"role": "user", "content": ask}], worth, self.soft)
        return Answer(answer.status, answer.value, details={**answer.details, "steps": steps})
