"""Every method of the API by its name: what a front end may ask, and the parameters it takes."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from heddle.api import (
    adopting,
    agents,
    contests,
    facts,
    inbox,
    lists,
    machine,
    notes,
    plans,
    previews,
    rules,
    sessions,
    tasks,
    tracker,
    undoing,
    workspaces,
)
from heddle.api.desk import Desk

Method = tuple[Callable[[Desk, Any], Awaitable[dict[str, Any]]], type[msgspec.Struct]]

METHODS: dict[str, Method] = {
    "board": (tasks.board, tasks.Board),
    "task.start": (tasks.start, tasks.Start),
    "task.compare": (contests.compared, tasks.One),
    "task.adopt": (adopting.adopt, adopting.Adopt),
    "task.show": (tasks.show, tasks.One),
    "task.why": (tasks.why, tasks.One),
    "task.wait": (tasks.wait, tasks.Until),
    "task.stop": (tasks.stop, tasks.Because),
    "task.pause": (tasks.pause, tasks.One),
    "task.resume": (tasks.resume, tasks.One),
    "task.diff": (tasks.diff, tasks.One),
    "task.land": (tasks.land, tasks.One),
    "task.undo": (undoing.undo, undoing.Undo),
    "task.restore": (tasks.restore, tasks.Restore),
    "task.list": (tracker.listed, tracker.Which),
    "task.edit": (tracker.edit, tracker.Edit),
    "task.dep": (tracker.depend, tracker.Depend),
    "task.claim": (tracker.claim, tracker.Claiming),
    "task.release": (tracker.release, tracker.Release),
    "task.close": (tracker.close, tracker.Close),
    "task.import": (lists.bring_in, lists.Import),
    "task.export": (lists.write_out, lists.Export),
    "inbox": (inbox.listed, inbox.Inbox),
    "inbox.approve": (inbox.approve, inbox.Approve),
    "inbox.reject": (inbox.reject, inbox.Reject),
    "inbox.answer": (inbox.answer, inbox.Answer),
    "plan.show": (plans.show, tasks.One),
    "plan.edit": (plans.edit, plans.Edit),
    "workspace.open": (workspaces.opened, workspaces.Open),
    "workspace.enter": (workspaces.entered, workspaces.Enter),
    "preview.open": (previews.opened, previews.Show),
    "preview.stop": (previews.stopped, tasks.One),
    "session.attach": (sessions.attached, sessions.Attach),
    "session.list": (sessions.listed, tasks.One),
    "session.tail": (sessions.tail, sessions.Tail),
    "rules.check": (rules.checked, rules.Check),
    "rules.sync": (rules.synced, rules.Sync),
    "rules.show": (rules.shown, tasks.One),
    "events": (facts.listed, facts.Events),
    "note.list": (notes.listed, notes.Find),
    "note.add": (notes.leave, notes.Leave),
    "agent.list": (agents.listed, agents.Brand),
    "daemon": (machine.daemon, machine.Nothing),
    "daemon.stop": (machine.shutdown, machine.Nothing),
    "doctor": (machine.doctor, machine.Nothing),
    "repository.allow": (machine.allow, machine.Allow),
    "config.explain": (machine.explain, machine.Explain),
}
