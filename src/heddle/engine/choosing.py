"""Which agent plays a stage: the wanted one, else the first fallback that is here and can what is needed."""

from dataclasses import dataclass

from heddle.core import events as e
from heddle.core.capabilities import WITHOUT
from heddle.core.errors import HeddleError, SetupError
from heddle.core.run import Run
from heddle.core.settings import Settings
from heddle.engine.runs import Runs
from heddle.engine.site import Agents
from heddle.ports import Agent


@dataclass(frozen=True, slots=True)
class Choice:
    """The agent that was taken, and the model it is asked for ("": its own default)."""

    agent: Agent
    model: str


async def choose(runs: Runs, agents: Agents, run: Run, settings: Settings, key: str) -> Choice:
    """The agent for the stage that a run is in; each that was wanted and not taken goes on record, with the reason.

    An attempt whose session has begun keeps its agent. A brand that the task names has no fallback.
    Raises SetupError: what is wrong with the only candidate, or no-agent.
    """
    known = begun_with(runs, run, key)
    named = known or run.task.agent
    candidates = ((named, model_of(run, settings, named)),) if named else settings.candidates(run.task, run.stage)
    over: list[tuple[str, HeddleError]] = []
    for brand, model in candidates:
        try:
            agent = agents.agent(brand)
            if not known:
                _require(agent, settings.needs)
                await agent.check()
        except SetupError as error:
            over.append((brand, error))
            continue
        await _record(runs, run, over)
        return Choice(agent, model)
    if len(over) == 1:
        raise over[0][1]
    told = "; ".join(f"{brand}: {error.message}" for brand, error in over)
    raise SetupError(f"no agent can be used: {told}", slug="no-agent", hint="see: heddle agent list")


def begun_with(runs: Runs, run: Run, key: str) -> str:
    """The brand whose session the attempt of `key` has begun, or ""."""
    started = (r.event for r in reversed(runs.history(run.task.id)) if isinstance(r.event, e.SessionStarted))
    return next((event.agent for event in started if event.session.startswith(f"{key}.")), "")


def model_of(run: Run, settings: Settings, brand: str) -> str:
    """The model that this brand is asked for at the run's stage; "": its own default."""
    if run.task.agent == brand:
        return run.task.model
    return dict(settings.candidates(run.task, run.stage)).get(brand, "")


def _require(agent: Agent, needs: tuple[str, ...]) -> None:
    missing = agent.capabilities.missing(needs)
    if missing:
        told = (
            f"agent '{agent.name}' lacks '{missing[0]}', which your settings or the role demand: {WITHOUT[missing[0]]}"
        )
        raise SetupError(told, slug="agent-lacks", hint=f"see: heddle agent show {agent.name}")


async def _record(runs: Runs, run: Run, over: list[tuple[str, HeddleError]]) -> None:
    known = [r.event for r in runs.history(run.task.id) if isinstance(r.event, e.AgentPassedOver)]
    facts = [e.AgentPassedOver(run.stage, run.attempt(run.stage), brand, error.message) for brand, error in over]
    fresh = [fact for fact in facts if fact not in known]
    if fresh:
        await runs.record(run.task.id, *fresh)
