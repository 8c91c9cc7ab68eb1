"""The real Gemini CLI against a model server."""

import os
import shutil
from pathlib import Path

import msgspec

from heddle.adapters.agents.brands import Brand, load_brand
from heddle.adapters.agents.turns import GeminiReader, TurnsAgent

SHIPPED = Path(__file__).parents[1] / "src/heddle/data/agents/gemini.toml"


def program() -> str:
    """The program under test: $HEDDLE_TEST_GEMINI, else the one on PATH."""
    found = os.environ.get("HEDDLE_TEST_GEMINI") or shutil.which("gemini")
    assert found, "Gemini CLI is not there: put 'gemini' on PATH or name it in HEDDLE_TEST_GEMINI"
    return found


def environment(url: str) -> dict[str, str]:
    """What the daemon has to have in its environment for a model server at `url`; a dummy key."""
    return {"GOOGLE_VERTEX_BASE_URL": url, "GOOGLE_GENAI_USE_VERTEXAI": "true", "GOOGLE_API_KEY": "test"}


def brand(*, silence_s: float = 600.0) -> Brand:
    """The shipped brand, with the program of the tests."""
    shipped, found = load_brand("gemini"), program()
    turns = msgspec.structs.replace(shipped.turns, silence_s=silence_s)
    command = (found, *shipped.command[1:])
    return msgspec.structs.replace(shipped, command=command, version_command=(found, "--version"), turns=turns)


def agent(url: str, *, silence_s: float = 600.0) -> TurnsAgent:
    """The agent as wired for a model server at `url`."""
    return TurnsAgent(brand(silence_s=silence_s), environment(url), GeminiReader)


def write_brand(folder: Path) -> None:
    """The shipped brand as the tests' own; `folder` is where person.toml lies."""
    text = SHIPPED.read_text().replace('command = ["gemini"', f'command = ["{program()}"')
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "agents" / "gemini.toml").write_text(text)
