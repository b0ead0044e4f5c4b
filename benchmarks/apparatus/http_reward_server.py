"""A reward server as a peer has it: POST /get_reward with {"query": [texts]} gives {"rewards": [numbers]}.

    python -m benchmarks.apparatus.http_reward_server PORT MODEL

It has the shape of OpenRLHF's remote reward model (`openrlhf/cli/serve_rm.py`): one process, one request after another,
each in one batch of its own. The judge and its settings are those of the other side of the comparison.
"""

from __future__ import annotations

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from pipelines.judging.judges import build_judge
from pipelines.judging.settings import TransformersJudge
from rewards.questions import caption_question

GOAL = "explore and descend"


def application(model: str) -> Starlette:
    """The server's routes."""
    judge = build_judge(TransformersJudge(model=model, device="cpu"), GOAL, threads=1)

    async def get_reward(request: Request) -> JSONResponse:
        texts = (await request.json())["query"]
        answers = await judge.judge([caption_question(text) for text in texts])
        return JSONResponse({"rewards": [answer.value for answer in answers]})

    async def ready(request: Request) -> JSONResponse:
        return JSONResponse({"ready": True})

    return Starlette(routes=[Route("/get_reward", get_reward, methods=["POST"]), Route("/ready", ready)])


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False)
