"""A person takes a session over: its process ends, its conversation goes on on the agent's own screen, for them."""

from dataclasses import replace

from heddle.core import events as e
from heddle.core.errors import Refused
from heddle.core.run import Active, Run
from heddle.core.session import PRIVATE_HOME, Access, Brief
from heddle.core.task import READ_ONLY, WITH_AGENT
from heddle.engine.choosing import model_of
from heddle.engine.installing import Installer
from heddle.engine.runs import Runs
from heddle.engine.site import Outside
from heddle.engine.stages import require_ended
from heddle.engine.visits import Visits
from heddle.engine.world import Worlds
from heddle.ports import Agent, Command, Held, Workspace


class Attaching:
    """Opens agents' screens. When the person leaves one, the end of their visit lets the attempt go on."""

    def __init__(self, runs: Runs, outside: Outside, worlds: Worlds, visits: Visits) -> None:
        self.runs, self.outside, self.worlds, self.visits = runs, outside, worlds, visits

    async def begin(self, task: str, term: str, *, by: str) -> tuple[e.SessionStarted, Held]:
        """The session that is taken over, and the screen, which waits for its visitor.

        Raises Refused: nothing-to-attach, agent-silent, no-terminal, person-inside, workspace-sealed.
        """
        run = self.runs.require(task)
        at = require_free(run)
        agent = self._agent(at)
        talk = await self._conversation(run, at)
        site = await self.outside.site(run.task.root)
        workspace = await site.workspaces.find(at.workspace)
        made = next((made for made in run.workspaces if made.workspace == at.workspace), None)
        if workspace is None or made is None:
            raise nothing(run, "its workspace is gone")
        settings = await self.worlds.settings(run)
        command = self._command(agent, run, at, workspace, talk, model_of(run, settings, agent.name))
        command = await Installer(self.outside, site, settings).for_session(command, "")
        command = replace(command, env={**command.env, **({"TERM": term} if term else {})}, wall_s=None)
        held = await self.visits.begin(run.task.id, made, workspace, command, by=by, shown=f"{agent.name} {talk}")
        try:
            await self._park(at, talk, held.key, by)
        except BaseException:
            await held.stop(0)
            raise
        await require_ended(workspace, at.session)
        return at, held

    def _agent(self, at: e.SessionStarted) -> Agent:
        agent = self.outside.agents.agent(at.agent)
        if not (agent.capabilities.terminal and agent.capabilities.resume):
            raise Refused(
                f"agent '{at.agent}' has no screen of its own on which a conversation can be taken over",
                slug="no-terminal",
                hint=f"work beside it: heddle shell {at.session.partition('-')[0]}",
            )
        return agent

    async def _conversation(self, run: Run, at: e.SessionStarted) -> str:
        """The id of the session's conversation."""
        if run.parked is not None:
            return run.parked.agent_session
        facts = await self.runs.journal.read(f"session:{at.session}")
        known = [r.event.agent_session for r in facts if isinstance(r.event, e.AgentAnswered)]
        if not known:
            raise Refused(
                f"agent '{at.agent}' has not said anything yet",
                slug="agent-silent",
                hint=f"wait until it has begun; see: heddle watch {run.task.id}",
            )
        return known[-1]

    def _command(
        self, agent: Agent, run: Run, at: e.SessionStarted, workspace: Workspace, talk: str, model: str
    ) -> Command:
        access = Access.READ if run.stage in READ_ONLY else Access.WRITE
        options = ((PRIVATE_HOME, "yes"),) if self.outside.tier > 0 else ()
        command = agent.terminal(Brief(at.session, "", access, workspace.tree, workspace.out, model, talk, options))
        if command is None:
            raise nothing(run, f"agent '{agent.name}' has no screen")
        return command

    async def _park(self, at: e.SessionStarted, talk: str, visit: str, by: str) -> None:
        """From here on the conversation is the person's; its questions are asked anew when it goes on."""

        def take(run: Run) -> list[e.Event]:
            if require_free(run).session != at.session:
                raise nothing(run, "the session has just ended")
            open = [question.id for question in run.questions if question.session == at.session]
            return [e.SessionParked(at.session, talk, visit), *(e.QuestionWithdrawn(id) for id in open)]

        await self.runs.record_if(at.session.partition("-")[0], take, by=by)


def require_free(run: Run) -> e.SessionStarted:
    """The session that works for a run now, or is parked. Raises Refused (slug nothing-to-attach, person-inside)."""
    at = run.at_work
    if at is None or not isinstance(run.activity, Active) or run.stage not in WITH_AGENT:
        raise nothing(run, "no session works for it now")
    if run.parked is not None and any(open.visit == run.parked.visit for open in run.visits):
        told = f"somebody talks to the agent of {run.task.id} already"
        raise Refused(told, slug="person-inside", hint=f"work beside them: heddle shell {run.task.id}")
    return at


def nothing(run: Run, why: str) -> Refused:
    """The error for who cannot take over."""
    id = run.task.id
    return Refused(
        f"there is nothing to take over in {id}: {why}", slug="nothing-to-attach", hint=f"see: heddle why {id}"
    )
