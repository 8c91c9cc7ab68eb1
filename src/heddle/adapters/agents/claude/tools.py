"""Claude Code's tools in Heddle's words."""

import re
from dataclasses import dataclass, field

from heddle.adapters.agents.claude.wire import Input
from heddle.core.session import OWN, TOOLS_SERVER, AnswerAsked

ASK = "AskUserQuestion"
OFFER_PLAN = "ExitPlanMode"

WITHHELD = (
    "EnterPlanMode",  # the stage decides what may be written
    "EnterWorktree",  # the workspace is Heddle's
    "ExitWorktree",
    "CronCreate",  # a session ends with its turn
    "CronDelete",
    "CronList",
    "ScheduleWakeup",
    "ListAgents",  # other sessions of the person are none of its business
    "SendMessage",
    "RemoteTrigger",
)
"""Tools that an agent of ours is not offered."""

_KINDS = {
    "Read": "read",
    "NotebookRead": "read",
    "Glob": "search",
    "Grep": "search",
    "LS": "search",
    "Edit": "edit",
    "MultiEdit": "edit",
    "Write": "edit",
    "NotebookEdit": "edit",
    "Bash": "run",
    "PowerShell": "run",
    "Monitor": "run",
    "WebFetch": "fetch",
    "WebSearch": "fetch",
    "TodoWrite": "think",
    "ToolSearch": "think",
    "ReportFindings": "think",
}


def kind_of(tool: str) -> str:
    """read, edit, run, search, fetch, think, own or other. Servers that somebody else configured are not loaded."""
    return OWN if tool.startswith(f"mcp__{TOOLS_SERVER}__") else _KINDS.get(tool, "other")


def paths_of(input: Input) -> tuple[str, ...]:
    """The paths that a call names."""
    named = (input.get(key) for key in ("file_path", "notebook_path", "path"))
    return tuple(path for path in named if isinstance(path, str) and path)


def command_of(input: Input) -> str:
    """The command line that a call would run, or empty."""
    command = input.get("command")
    return command if isinstance(command, str) else ""


def title_of(tool: str, input: Input) -> str:
    """The call in one line for people."""
    told = command_of(input) or next(iter(paths_of(input)), "")
    told = told or next((text for key in _TELLING if isinstance(text := input.get(key), str)), "")
    return " ".join(f"{tool} {told}".split())


_TELLING = ("pattern", "url", "query", "description", "skill", "subject")


@dataclass(slots=True)
class Questions:
    """The questions of one call, answered one by one: the agent gets its answer with the last of them."""

    call: str
    input: Input
    texts: dict[str, str] = field(default_factory=dict)
    answers: dict[str, str] = field(default_factory=dict)

    def asked(self) -> list[AnswerAsked]:
        """One fact per question; the first bears the request's id, a further one a number after it."""
        facts = []
        listed = self.input.get("questions")
        for number, question in enumerate(listed if isinstance(listed, list) else [], start=1):
            if not isinstance(question, dict) or not isinstance(text := question.get("question"), str):
                continue
            options = _labels(question.get("options"))
            default = next((option for option in options if _RECOMMENDED.search(option)), "")
            request = self.call if number == 1 else f"{self.call}#{number}"
            self.texts[request] = text
            facts.append(AnswerAsked(request, text, options, default))
        return facts

    def answer(self, request: str, text: str) -> Input | None:
        """Take an answer; the call's arguments with all answers when this was the last one."""
        self.answers[request] = text
        if len(self.answers) < len(self.texts):
            return None
        return {**self.input, "answers": {self.texts[key]: text for key, text in self.answers.items()}}


_RECOMMENDED = re.compile(r"\(recommended\)", re.IGNORECASE)


def _labels(options: object) -> tuple[str, ...]:
    listed = options if isinstance(options, list) else []
    labels = (option.get("label") for option in listed if isinstance(option, dict))
    return tuple(label for label in labels if isinstance(label, str))
