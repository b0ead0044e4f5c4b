"""The tool `code`: a Python program, run in a sandbox."""

from __future__ import annotations

import asyncio

from rewards.judges.chat_model import NoReply
from rewards.judges.kinds.tool import Tool
from rewards.sandbox.programs import run_program
from rewards.sandbox.tiers import Config, TierAbsent
from rewards.verdicts import Status


def code_tool(config: Config) -> Tool:
    """Programs in a sandbox of this tier; where the tier is absent, nothing runs and there is no verdict.

    Args:
        config: which wall, which limits.
    """

    async def use(source: str) -> str:
        try:
            output = await asyncio.to_thread(run_program, config, source)
        except TierAbsent as error:
            raise NoReply(Status.JUDGE_FAULT, f"no sandbox: {error}") from error
        ending = output.ending
        said = "\n".join(part for part in (output.stdout, ending.stderr) if part)
        return f"[{ending.tier}: {ending.reason} {ending.code}]\n{said}"

    return Tool("takes a Python program and gives what it prints", use, config.fingerprint)
