"""What an agent tells of the rules that it loads: in its stream, or in a document that it leaves; recorded once."""

from contextlib import suppress

from heddle.core import events as e
from heddle.core.errors import HeddleError
from heddle.core.permission import inside
from heddle.core.session import Brief, RulesSeen, rules_told
from heddle.engine.runs import Runs
from heddle.ports import Agent, Workspace

LONGEST_PATH, LONGEST_REASON = 1000, 100


def loaded(offset: int, seen: RulesSeen, tree: str) -> e.RulesLoaded:
    """The fact for what was told; paths in the tree are told from its top."""
    path, cause = (inside(one, tree) or one for one in (seen.path, seen.cause))
    return e.RulesLoaded(offset, path[:LONGEST_PATH], seen.reason[:LONGEST_REASON], cause[:LONGEST_PATH])


async def record_rules(runs: Runs, workspace: Workspace, agent: Agent, brief: Brief) -> None:
    """At the end of a session: what it left about its rules. What cannot be read is as if it had left nothing."""
    stream = f"session:{brief.session}"
    if any(isinstance(record.event, e.RulesLoaded) for record in await runs.journal.read(stream)):
        return
    with suppress(HeddleError):
        data = await workspace.taken(rules_told(brief.session))
        told = [loaded(0, seen, brief.tree) for seen in agent.told_rules(data or b"")]
        if told:
            await runs.record_other(stream, *dict.fromkeys(told), by=brief.session)
