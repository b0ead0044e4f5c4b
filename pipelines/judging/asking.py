"""How a run asks its judges: one `Annotator` for both runners, behind cache, budget, rates, canaries and a fallback."""

from __future__ import annotations

from collections.abc import Iterable

from cluster.serving import ServiceOverloaded
from envs.trajectory import Fragment
from pipelines.driver.verdict_wait import await_verdicts
from pipelines.environment.run import Run
from pipelines.errors import UserError
from rewards.annotation.annotator import Annotator
from rewards.annotation.hedging import Hedging
from rewards.annotation.permits import Permits
from rewards.budget import Budget
from rewards.cache import VerdictCache
from rewards.judges.canaried import examine, watched
from rewards.judges.judge import Call, Question, Reply
from rewards.rates import RateLimit


def annotator_for(
    run: Run,
    call: Call,
    fingerprint: str,
    fallback: Call | None = None,
    hedging: Hedging | None = None,
    company_s: float = 0.0,
) -> Annotator:
    """What owns the run's questions until they have their verdicts; from now on the run asks through it.

    Args:
        run: whose ledger it hosts.
        call: asks the judge.
        fingerprint: of the judge.
        fallback: asks the judge that takes over when the budget is used up.
        hedging: None: slow calls are waited for.
        company_s: how long questions that do not fill a batch wait for others.
    """
    experiment, books = run.experiment, run.verdicts
    watch = books.belief.canaries

    def with_canaries(call: Call) -> Call:
        return call if watch is None else watched(call, watch, books.quarantine)

    async def noted(questions: tuple[Question, ...]) -> Reply:
        assert fallback is not None
        judge, answers = await fallback(questions)
        books.belief.fallback_judges.add(judge)
        return judge, answers

    books.budget = Budget(experiment.budget, experiment.prices) if experiment.budget.limited else None
    annotator = Annotator(
        books.annotation,
        with_canaries(call),
        fingerprint=fingerprint,
        busy=(ServiceOverloaded,),
        cache=VerdictCache(experiment.cache),
        hedging=hedging,
        permits=Permits(
            books.budget,
            RateLimit(experiment.rates) if experiment.rates.limited else None,
        ),
        fallback=None if fallback is None else with_canaries(noted),
        company_s=company_s,
        on_verdicts=books.answered,
    )
    books.asks_through(annotator.post, annotator.forget, fingerprint)
    return annotator


async def answer(run: Run, annotator: Annotator, fragments: Iterable[Fragment]) -> None:
    """Where runners take turns: ask all that may be asked now, and again until `verdict_wait_s` is over.

    Args:
        run: whose captions are judged.
        annotator: that owns its questions.
        fragments: that the learner learns from next.
    """
    within_s = run.experiment.verdict_wait_s
    if not within_s or run.verdicts.is_judged_elsewhere:
        await annotator.answer_due()
        return
    new = list(fragments)
    run.waited(await await_verdicts(lambda: run.verdicts.unsettled(new), within_s, annotator.answer_due))


async def examine_judge(run: Run, call: Call) -> None:
    """Ask about each canary once, before any work is done.

    Raises:
        UserError: the judge fails.
    """
    canaries = run.verdicts.belief.canaries
    if canaries is None:
        return
    if quarantine := await examine(call, canaries, run.experiment.annotation.batch_size):
        raise UserError(f"{str(quarantine).split(';')[0]}. Mend the judge, or {run.experiment.canaries.file}")
