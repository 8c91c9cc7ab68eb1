"""Every test runs in an environment of its own, under a deliberate break when one is named, and skips nothing in CI."""

import asyncio
import gc
import importlib.util
import os
import shutil
import signal
import tempfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.sandbox.machine import try_box
from heddle.adapters.workspaces.trash import delete_tree
from heddle.holder.box.groups import why_none
from modelserver.fixture import model_server

__all__ = ["model_server"]

gc.disable()
"""Until all tests are found: what is loaded stays, and looking for what of it could go is a quarter of finding them."""

# what a shell runs in the background ignores it, and so would all that tests start
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BREAKS = Path(__file__).parent / "breaks"

TOOLS = {
    "claude": ("HEDDLE_TEST_CLAUDE", "npm install -g @anthropic-ai/claude-code@2.1.330"),
    "codex": ("HEDDLE_TEST_CODEX", "npm install -g @openai/codex@0.169.0"),
    "gemini": ("HEDDLE_TEST_GEMINI", "npm install -g @google/gemini-cli@0.61.0"),
    "opencode": ("HEDDLE_TEST_OPENCODE", "npm install -g opencode-ai@1.18.33"),
    "sdist": (
        "HEDDLE_TEST_SDIST",
        "pip download --no-deps --no-binary :all: click==8.1.7, then name the file in HEDDLE_TEST_SDIST",
    ),
    "mcp": (
        "HEDDLE_TEST_MCP",
        "for each VERSION of 1.30.0 and 2.3.0: python3 -m venv FOLDER/VERSION, FOLDER/VERSION/bin/pip install mcp==VERSION;"
        " then name FOLDER in HEDDLE_TEST_MCP",
    ),
    "ssh-keygen": ("", "apt-get install openssh-client"),
    "npm": ("", "apt-get install nodejs npm"),
    "tmux": ("", "apt-get install tmux"),
    "boxes": (
        "",
        "let ordinary users make namespaces; 'heddle doctor' names the setting, for instance"
        " sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    ),
    "groups": (
        "",
        "run the tests where a control group is delegated: systemd-run --user --scope -p Delegate=yes ./dev test",
    ),
}
"""What a machine may lack: the variable that names it, and the command that adds it."""

NAMED = frozenset(("sdist", "mcp"))
"""What is no program, so that it is here only where its variable says."""

OPTIONAL = frozenset(("groups",))
"""What a machine may lack for reasons that nobody can mend from within it: left out, and said, in CI too."""

ON_DEMAND = frozenset(("gemini",))
"""What costs more than it tells each time: left out, and said, unless `--agents` is given, in CI too."""

not_run = pytest.StashKey[dict[str, list[str]]]()
seen_to_fail = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--break ID` runs the tests with the guard of that promise disabled; `--agents` those with further agents, too."""
    parser.addoption("--break", dest="broken", default="", metavar="ID", help="apply tests/breaks/ID.py")
    parser.addoption("--agents", action="store_true", help=f"run what needs {', '.join(sorted(ON_DEMAND))}, too")


@lru_cache
def is_here(tool: str) -> bool:
    """Whether a tool can be used; boxes are really tried."""
    if tool == "boxes":
        with tempfile.TemporaryDirectory(prefix="hd-") as folder:
            return not asyncio.run(try_box(Path(folder)))
    if tool == "groups":
        return not why_none()
    variable = TOOLS[tool][0]
    named = os.environ.get(variable, "") if variable else ""
    return Path(named).exists() if named else tool not in NAMED and shutil.which(tool) is not None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what this machine cannot run, and remember it for the closing list. In CI nothing else is left out.

    The proofs come first: they are long, and one that is begun last is what everybody waits for.
    """
    items.sort(key=lambda item: item.path.name != "test_promises.py")
    config.stash[not_run] = {}
    kept, left = [], []
    unasked = frozenset() if config.getoption("agents") else ON_DEMAND
    for item in items:
        needed = [mark.args[0] for mark in item.iter_markers("needs")]
        asked = OPTIONAL.intersection(needed) if os.environ.get("CI") else needed
        lacking = [tool for tool in needed if tool in unasked]
        lacking = lacking or [tool for tool in asked if not is_here(tool)]
        (left if lacking else kept).append(item)
        for tool in lacking:
            config.stash[not_run].setdefault(tool, []).append(item.nodeid)
    if left:
        items[:] = kept
        config.hook.pytest_deselected(items=left)


def pytest_collection_finish() -> None:
    """From now on memory is looked through, but for what was loaded."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember what a break made fail: the test need not be seen to fail with further parameters."""
    report = yield
    if item.config.getoption("broken") and report.failed:
        item.config.stash.setdefault(seen_to_fail, set()).add(item.nodeid.partition("[")[0])
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing tool is a failure where nothing may be left out."""
    if item.nodeid.partition("[")[0] in item.config.stash.get(seen_to_fail, set()):
        pytest.skip("it was seen to fail under the break")
    for mark in item.iter_markers("needs"):
        if not is_here(mark.args[0]):
            pytest.fail(f"'{mark.args[0]}' is missing; add it: {TOOLS[mark.args[0]][1]}", pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker tells the one who prints what it left out."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["not_run"] = session.config.stash.get(not_run, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Each worker collects the same tests, so that one list is all of them."""
    node.config.stash.setdefault(not_run, {}).update(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What tests found out, then a plain list of what was not run, why, and the command that would add it."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            terminalreporter.write_line(f"{name}: {text}")
    for tool, tests in config.stash.get(not_run, {}).items():
        files = ", ".join(sorted({test.partition("::")[0] for test in tests}))
        if tool in ON_DEMAND and not config.getoption("agents"):
            why = f"{len(tests)} tests in {files}, because nobody asked for them"
            terminalreporter.write_line(f"not run: {why}; add them: {TOOLS[tool][1]}, then ./dev test --agents")
            continue
        why = f"{len(tests)} tests in {files}, because '{tool}' is not here"
        terminalreporter.write_line(f"not run: {why}; add it: {TOOLS[tool][1]}")


@pytest.fixture(autouse=True)
def _hermetic(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A home, a configuration and a state of the test's own; short paths, because the system limits those of sockets."""
    home = Path(tempfile.mkdtemp(prefix="hd-", dir="/tmp"))
    for name in list(os.environ):
        if name.startswith(
            (
                "HEDDLE_",
                "GIT_",
                "XDG_",
                "ANTHROPIC_",
                "CLAUDE",
                "OPENAI_",
                "CODEX_",
                "GEMINI_",
                "GOOGLE_",
                "OPENCODE",
                "LOCAL_",
            )
        ) and not name.startswith("HEDDLE_TEST_"):
            monkeypatch.delenv(name)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_COLOR", "TMUX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("HEDDLE_HOME", str(home / "state"))
    monkeypatch.setenv("HEDDLE_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    yield
    with suppress(OSError):  # something of the test may still be leaving
        delete_tree(home)


@pytest.fixture(autouse=True)
def _broken(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the guard that `--break` names."""
    name = request.config.getoption("broken")
    if name:
        spec = importlib.util.spec_from_file_location(f"break_{name}", BREAKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.apply(monkeypatch)
