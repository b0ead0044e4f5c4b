import asyncio
import sys

import pytest

from rewards.judges.chat_model import NoReply
from rewards.judges.judge import question
from rewards.judges.kinds import code_tool as under_test
from rewards.judges.kinds.code_tool import code_tool
from rewards.sandbox.tiers import Config, Limits, TierAbsent
from rewards.verdicts import Status


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox needs Linux")
def test_a_program_runs_in_the_sandbox_and_the_tier_stands_in_its_output():
    config = Config(limits=Limits(wall_s=60))
    try:
        output = asyncio.run(code_tool(config).use("print(6 * 7)"))
    except NoReply as error:  # a container that forbids namespaces
        pytest.skip(error.cause)
    assert output.startswith("[process: exit 0]\n42")


def test_without_its_sandbox_nothing_runs_and_there_is_no_verdict(monkeypatch, rubric, scripted, ask):
    def absent(config, source):
        raise TierAbsent("gvisor is not installed")

    monkeypatch.setattr(under_test, "run_program", absent)
    model = scripted(lambda chat, choices: "5", lambda chat, schema: {"tool": "code", "input": "print(1)"})
    tools = {"code": code_tool(Config(tier="gvisor"))}
    answer = ask(rubric("tool_use", tools=["code"]), model, question("response", ["x"]), tools=tools)
    assert (answer.status, answer.value) == (Status.JUDGE_FAULT, None) and "gvisor is not installed" in answer.cause


def test_its_fingerprint_is_the_sandboxs():
    assert code_tool(Config()).fingerprint != code_tool(Config(limits=Limits(wall_s=1))).fingerprint
