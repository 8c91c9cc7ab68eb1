"""Playing the steps of a scene: real files, real commands, real time."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from heddle.rehearsal.script import Prompt, Step

if TYPE_CHECKING:
    from heddle.rehearsal.acp import Server

DENIED = "denied"


class Cancelled(Exception):
    """The client cancelled the turn."""


class Player:
    """Plays one prompt in a folder. `cancelled` is set when the client wants the turn to end."""

    def __init__(self, server: "Server", cwd: Path, prompt: Prompt, mode: str) -> None:
        self.server = server
        self.cwd = cwd
        self.prompt = prompt
        self.mode = mode
        self.cancelled = threading.Event()
        self.answer, self._answered = "", prompt.answer
        self._calls = 0
        self._process: subprocess.Popen[str] | None = None

    def play(self, steps: list[Step]) -> None:
        """All steps in order. Raises Cancelled, and ValueError for a step that cannot be played."""
        for step in steps:
            if self.cancelled.is_set():
                raise Cancelled
            perform = getattr(self, f"step_{step.get('do')}", None)
            if perform is None:
                raise ValueError(f"the script has a step that is not known: '{step.get('do')}'")
            try:
                perform(step)
            except KeyError as error:
                raise ValueError(f"a step '{step['do']}' of the script lacks {error}") from error
        if self.cancelled.is_set():
            raise Cancelled

    def cancel(self) -> None:
        """End the turn soon; a command that runs is killed with all it started."""
        self.cancelled.set()
        process = self._process
        if process is not None:
            self._kill(process)

    def _kill(self, process: subprocess.Popen[str]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def step_say(self, step: Step) -> None:
        """Text for people."""
        self.server.say(step["text"])

    def step_think(self, step: Step) -> None:
        """Take time, as a model does."""
        if self.cancelled.wait(float(step["seconds"])):
            raise Cancelled

    def step_read(self, step: Step) -> None:
        """Read a file."""
        call = self._begin("read", f"Read {step['path']}", [step["path"]])
        path = self.cwd / step["path"]
        found = path.is_file()
        text = path.read_text(encoding="utf-8", errors="replace")[:2000] if found else "no such file"
        self._end(call, text, ok=found)

    def step_survey(self, step: Step) -> None:
        """Read a handful of tracked files and write what was seen as research."""
        listed = subprocess.run(["git", "ls-files", "-z"], cwd=self.cwd, capture_output=True, check=False)
        names = os.fsdecode(listed.stdout).split("\0")[:-1]
        told = f"The repository tracks {len(names)} files. Read:"
        if listed.returncode != 0:
            told = f"Which files are tracked is unknown: {os.fsdecode(listed.stderr).strip()}"
        lines = ["# Research", "", told, ""]
        for name in [name for name in names if (self.cwd / name).is_file()][:8]:
            call = self._begin("read", f"Read {name}", [name])
            count = len((self.cwd / name).read_bytes().splitlines())
            self._end(call, f"{count} lines")
            lines.append(f"- {name}:1 has {count} lines")
        self.step_document({"text": "\n".join([*lines, "", "Open questions: none.", ""])})

    def step_write(self, step: Step) -> None:
        """Write a file whole."""
        text = step["text"].replace("{answer}", self.answer)
        self._change(step["path"], f"Write {step['path']}", lambda path: text)

    def step_edit(self, step: Step) -> None:
        """Replace a text in a file; it fails when the text is not there."""

        def edited(path: Path) -> str:
            before, found, after = path.read_text(encoding="utf-8").partition(step["old"])
            if not found:
                raise ValueError("the text to be replaced is not there")
            return before + str(step["new"]) + after

        self._change(step["path"], f"Edit {step['path']}", edited)

    def step_append(self, step: Step) -> None:
        """Add to the end of a file, which need not be there yet."""

        def longer(path: Path) -> str:
            return (path.read_text(encoding="utf-8") if path.exists() else "") + str(step["text"])

        self._change(step["path"], f"Append to {step['path']}", longer)

    def step_delete(self, step: Step) -> None:
        """Delete a file."""
        self._change(step["path"], f"Delete {step['path']}", lambda path: None)

    def step_run(self, step: Step) -> None:
        """Run a command for real."""
        call = self._begin("execute", step["command"], [])
        if self._denied(call, step["command"]):
            return self._end(call, DENIED, ok=False)
        process = self._process = subprocess.Popen(
            ["/bin/sh", "-c", step["command"]],
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        if self.cancelled.is_set():  # while it started: whoever cancelled did not see it
            self._kill(process)
        output, _ = process.communicate()
        self._process = None
        if self.cancelled.is_set():
            raise Cancelled
        self._end(call, output[-2000:], ok=process.returncode == 0)

    def step_ask(self, step: Step) -> None:
        """Ask the person and wait; what was answered while the conversation was parked is not asked again."""
        options = list(step.get("options", ["yes", "no"]))
        known, self._answered = self._answered, ""
        self.answer = known or self.server.ask(step["text"], options, step.get("default", options[0]), self.cancelled)
        if self.cancelled.is_set():
            raise Cancelled
        self.server.say(f"The answer is: {self.answer}")

    def step_document(self, step: Step) -> None:
        """Leave the stage's document in the out folder."""
        out, name = self.prompt.line("Out"), step.get("name") or self.prompt.line("Document")
        text = step["text"].replace("{answer}", self.answer)
        if out and name:
            path = Path(out) / name
            call = self._begin("edit", f"Write {name}", [str(path)])
            path.write_text(text, encoding="utf-8")
            self._end(call, "written")
        else:
            self.server.say(text)

    def step_tool(self, step: Step) -> None:
        """Call one of the session's tools; `arguments` is JSON. What it says is said."""
        from heddle.rehearsal import tools  # few scripts have such a step, and its imports cost every start

        call = self._begin("other", f"Tool {step['tool']}", [])
        text, ok = tools.call(step["tool"], json.loads(step.get("arguments", "{}")))
        self._end(call, text, ok=ok)
        self.server.say(text)

    def step_usage(self, step: Step) -> None:
        """What the turn used."""
        self.server.use(int(step.get("input", 0)), int(step.get("output", 0)), float(step.get("usd", 0.0)))

    def step_err(self, step: Step) -> None:
        """Err: exit, crash, garbage, flood, hang or error."""
        how = step["how"]
        if how not in ("exit", "crash", "garbage", "flood", "hang", "error"):
            raise ValueError(f"the script errs in a way that is not known: '{how}'")
        if how == "exit":
            os._exit(int(step.get("code", 1)))
        if how == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "garbage":
            sys.stdout.write("\x1b[31m%% not the protocol %%\n{half a line\n" * int(step.get("times", 3)))
            sys.stdout.flush()
        if how == "flood":
            block = "x" * 65535 + "\n"
            for _ in range(int(step["megabytes"]) * 16):
                sys.stdout.write(block)
        if how == "hang":
            self.cancelled.wait()
            raise Cancelled
        if how == "error":
            raise RuntimeError(step.get("text", "scripted error"))

    def _change(self, name: str, title: str, make: Callable[[Path], str | None]) -> None:
        call = self._begin("edit", title, [name])
        if self._denied(call, title, [name]):
            return self._end(call, DENIED, ok=False)
        path = self.cwd / name
        try:
            text = make(path)
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            return self._end(call, str(error), ok=False)
        self._end(call, "written")

    def _denied(self, call: str, title: str, paths: list[str] | None = None) -> bool:
        if self.mode == "auto":
            return False
        if self.mode == "plan":
            return True
        kind = "edit" if paths else "execute"
        return not self.server.permit(call, kind, title, self._absolute(paths or []), self.cancelled)

    def _begin(self, kind: str, title: str, paths: list[str]) -> str:
        self._calls += 1
        call = f"call-{self.server.turn}-{self._calls}"
        self.server.tool(call, kind, title, self._absolute(paths))
        return call

    def _end(self, call: str, output: str, *, ok: bool = True) -> None:
        self.server.tool_ended(call, ok, output)

    def _absolute(self, paths: list[str]) -> list[str]:
        return [str(self.cwd / path) for path in paths]
