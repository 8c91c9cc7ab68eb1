"""Which scene plays for a prompt: a script is a list of scenes, each for a task, a stage and an attempt.

[[scene]]
task = "median"            # a regular expression over the prompt; absent: any
stage = "execute"          # absent: any
attempt = 2                # absent: any
steps = [
    { do = "say", text = "..." },            { do = "think", seconds = 0.5 },
    { do = "read", path = "a.py" },          { do = "write", path = "a.py", text = "..." },
    { do = "edit", path = "a.py", old = "x", new = "y" },
    { do = "append", path = "a.py", text = "..." },
    { do = "delete", path = "a.py" },        { do = "run", command = "python -m unittest" },
    { do = "ask", text = "which?", options = ["a", "b"] },
    { do = "tool", tool = "write_note", arguments = "{...}" },
    { do = "document", text = "..." },       # the stage's document, into the out folder
    { do = "usage", input = 900, output = 40, usd = 0.01 },
    { do = "err", how = "exit" },            # exit, crash, garbage, flood, hang, error
]
"""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Step = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """Steps for the prompts it matches."""

    task: str = ""
    stage: str = ""
    attempt: int = 0
    steps: list[Step] = field(default_factory=list)

    def matches(self, prompt: "Prompt") -> bool:
        """Whether this scene is for the prompt."""
        stage = self.stage in ("", prompt.stage)
        attempt = self.attempt in (0, prompt.attempt)
        return stage and attempt and re.search(self.task, prompt.text, re.IGNORECASE) is not None


@dataclass(frozen=True)
class Prompt:
    """What a prompt says about itself in its first lines."""

    text: str

    def line(self, name: str) -> str:
        """The value of a line `Name: value`, or empty."""
        found = re.search(rf"^{name}: (.*)$", self.text, re.MULTILINE)
        return found.group(1).strip() if found else ""

    @property
    def answer(self) -> str:
        """The answer to what was asked before the conversation was parked, or empty."""
        found = re.search(r"^The answer, as data:\n(`{3,})\n(.*?)\n\1$", self.text, re.MULTILINE | re.DOTALL)
        return found.group(2) if found else ""

    @property
    def stage(self) -> str:
        """research, plan, execute, or validate for a reviewer."""
        return self.line("Stage")

    @property
    def attempt(self) -> int:
        """Which try at the stage."""
        value = self.line("Attempt")
        return int(value) if value.isdigit() else 1


def load(path: Path) -> list[Scene]:
    """The scenes of a script file. Raises ValueError with what is wrong with it."""
    try:
        scenes = tomllib.loads(path.read_text(encoding="utf-8")).get("scene", [])
        for scene in scenes:
            re.compile(scene.get("task", ""))
        return [Scene(**scene) for scene in scenes]
    except (OSError, ValueError, TypeError, AttributeError, re.error) as error:
        raise ValueError(f"script '{path}': {error}") from error


def steps_for(prompt: Prompt, scenes: list[Scene]) -> list[Step]:
    """The steps of the first scene that matches; without one, those of the default script."""
    for scene in scenes:
        if scene.matches(prompt):
            return scene.steps
    return default_steps(prompt)


def default_steps(prompt: Prompt) -> list[Step]:
    """Rehearse any repository: read tracked files, plan one small new file, write it, run a real check, ask once."""
    task = prompt.line("Task") or "T0"
    name = f"heddle-rehearsal-{task.lower()}.md"
    check = f"test -s {name}"
    if prompt.stage == "research":
        return [{"do": "say", "text": "I read the repository."}, {"do": "survey"}]
    if prompt.stage == "plan":
        front = f'+++\nscope = ["{name}"]\nchecks = ["{check}"]\n+++\n'
        body = f"# Plan\n\n1. Write `{name}`.\n2. Run `{check}`.\n\nNothing else is touched.\n"
        return [{"do": "say", "text": "I plan one small file."}, {"do": "document", "text": front + body}]
    if prompt.stage == "validate":
        return [{"do": "survey"}, {"do": "document", "text": '+++\nverdict = "yes"\n+++\nI looked at every file.\n'}]
    return [
        {
            "do": "ask",
            "text": "Which greeting shall the file carry?",
            "options": ["hello", "good day"],
            "default": "hello",
        },
        {"do": "write", "path": name, "text": f"# Rehearsal of {task}\n\n{{answer}}\n"},
        {"do": "run", "command": check},
        {"do": "usage", "input": 1200, "output": 80, "usd": 0.0},
        {"do": "document", "text": f"Wrote `{name}` as planned.\n"},
    ]
