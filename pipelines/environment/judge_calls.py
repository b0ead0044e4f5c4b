"""`JudgeCalls`: the served judge as a run asks it; who answers and who does not is noted."""

from __future__ import annotations

import logging

from cluster.serving import Service, ServiceOverloaded, ServiceUnavailable
from pipelines.environment.run import Run
from pipelines.errors import UserError
from pipelines.judging.asking import annotator_for, examine_judge
from pipelines.judging.judge_watch import JudgeWatch
from pipelines.judging.served_judge import ForFallback, request_of
from rewards.annotation.annotator import Annotator
from rewards.annotation.hedging import Hedging
from rewards.judges.judge import Question, Reply

LOG = logging.getLogger(__name__)
COMPANY_S = 2.0  # questions that do not fill a batch wait so long for others; the trainer hears of verdicts no sooner


class JudgeCalls:
    """Calls of one judge."""

    def __init__(self, books: Run, service: Service) -> None:
        """Nobody has been asked.

        Args:
            books: of the run.
            service: the judge.
        """
        serving = books.experiment.serving
        self._books, self._service = books, service
        self._watch = JudgeWatch(serving.max_replicas or serving.replicas, books.event)

    async def examine(self, new: bool) -> str:
        """See that the judge answers before any work is done; gives its fingerprint.

        Args:
            new: whether the run begins: it must pass its canaries then.

        Raises:
            UserError: it does not.
        """
        question = Question("check", "caption", ("You see here a key.",))
        try:
            fingerprint, _, process = await self._service.ask((question,))
        except (ServiceUnavailable, TimeoutError) as error:
            raise UserError(f"the judge does not answer: {error}; check judge.* with `guerdon doctor`") from None
        self._watch.answered(process)
        if new:
            try:
                await examine_judge(self._books, self._ask)
            except (ConnectionError, TimeoutError, ValueError) as error:
                raise UserError(f"the judge does not answer its canaries: {error}") from None
        return str(fingerprint)

    def annotator(self, fingerprint: str) -> Annotator:
        """What sends questions; where nobody waits for the answers a call is hedged, and waits to be full."""
        experiment = self._books.experiment
        fallback = None if experiment.fallback_judge is None else self._ask_fallback
        hedging = Hedging(experiment.hedging) if experiment.max_staleness else None
        company_s = 0.0 if experiment.verdict_wait_s else COMPANY_S
        return annotator_for(self._books, self._ask, fingerprint, fallback, hedging, company_s)

    async def attend(self) -> None:
        """Say aloud when nobody answers for the judge, and when somebody does again."""
        await self._watch.attend(self._service.pid)

    async def _ask(self, questions: tuple[Question, ...]) -> Reply:
        return await self._call(questions)

    async def _ask_fallback(self, questions: tuple[Question, ...]) -> Reply:
        return await self._call(ForFallback(questions))

    async def _call(self, asked: tuple[Question, ...] | ForFallback) -> Reply:
        try:
            fingerprint, answers, process = await self._service.ask(asked)
        except ServiceOverloaded:
            raise  # it is well, and has too much to do
        except Exception as error:
            questions = asked.questions if isinstance(asked, ForFallback) else asked
            LOG.warning("the judge did not answer", extra={"request": request_of(questions), "cause": str(error)})
            self._watch.failed(str(error))
            raise
        self._watch.answered(process)
        return fingerprint, answers
