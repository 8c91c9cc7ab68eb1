"""A model server for tests: real agent programs talk to it instead of to a vendor, over loopback.

Scripting
    with ModelServer() as server:
        server.play("greet", Turn("I look first.", [Read("hello.txt")]), Turn("Done."))

A *scenario* is a list of turns for one prompt. It is chosen by what the prompt says, never by the server's
state: the last message of the person that matches some scenario decides which one plays, and the number of
messages of the model after it decides which turn is next. Hence retries, resumed conversations and any number
of agents at once need no book-keeping, and a further prompt that matches nothing ("go on", "mend it") carries
the scenario on.

Which prompt (`When`, or the bare name of a marker)
    server.play("greet", ...)                                     prompt holds [[scn:greet]]
    server.play(When("greet", stage="plan"), ...)                 ... and a line `Stage: plan`
    server.play(When("greet", stage="execute", attempt=2), ...)   ... and a line `Attempt: 2`
    server.play(When(patterns=(r"^Document: plan\\.md$",)), ...)   each pattern is found (re.MULTILINE)
The scenario with the most conditions wins, among equals the latest.

One task through all stages is therefore: put `[[scn:greet]]` into the task's text and play one scenario per
stage, and per attempt where they differ:
    server.play(When("greet", stage="research"), Turn("", [Read("a.py")]), Turn("Research: ..."))
    server.play(
        When("greet", stage="plan"),
        Turn("", [Write("{planfile}", PLAN)]),   # Claude Code takes the plan from this file ...
        Turn("", [Raw("ExitPlanMode")]),         # ... and hands it in; a plain last message does as well
    )
    server.play(
        When("greet", stage="execute"),
        Turn("", [Read("a.py")]),                # most agents insist on reading before they edit
        Turn("", [Edit("a.py", "1", "2")]),
        Turn("", [Write("{out}/handoff.md", HANDOFF)]),
        Turn("Done."),
    )

Words in braces in what a turn says and calls are filled in: `{cwd}` (the agent's directory), `{planfile}`,
and every line `Name: value` of the prompt in lower case, as `{out}`, `{document}`, `{task}`, `{attempt}`.

Time and faults (all of `Turn`)
    gate="g"         the answer does not begin before `server.open("g")`; `server.wait_at("g", count=2)`
                     returns as soon as two requests wait there: so a test makes turns overlap, or kills
    gate_end="g"     the same after the content, before the message is closed; nobody opens the gate NEVER
    error=Error(529, times=2)   the first two requests for this turn fail, then it plays; times=0: always
    error=Error(drop=True)      the connection is closed without an answer
    delay_s, headers, usage, stop, thinking    as they say
A request that waits ends when the server closes or when the agent goes away. `server.calls()` is the log.
From another process: `POST /_open/<gate>` opens a gate, `GET /_calls` is the log.
"""

from .scenario import NEVER, Edit, Error, Raw, Read, Served, Shell, Tokens, Turn, When, Write
from .server import Call, ModelServer

__all__ = [
    "NEVER",
    "Call",
    "Edit",
    "Error",
    "ModelServer",
    "Raw",
    "Read",
    "Served",
    "Shell",
    "Tokens",
    "Turn",
    "When",
    "Write",
]
