"""The real Codex under test."""

import os
import shutil

import msgspec

from heddle.adapters.agents.brands import load_brand
from heddle.adapters.agents.codex import CodexAgent

FEW_RETRIES = tuple(
    word for key in ("request_max_retries", "stream_max_retries") for word in ("-c", f"model_providers.heddle.{key}=1")
)


def program() -> str:
    """The program under test: $HEDDLE_TEST_CODEX, else the one on PATH."""
    found = os.environ.get("HEDDLE_TEST_CODEX") or shutil.which("codex")
    assert found, "Codex is not there: put 'codex' on PATH or name it in HEDDLE_TEST_CODEX"
    return found


def agent(url: str, *options: str, **environment: str) -> CodexAgent:
    """The agent as wired for a model server at `url`; a dummy key, and fewer retries, unless told otherwise."""
    found = program()
    command = (found, *(options or FEW_RETRIES))
    brand = msgspec.structs.replace(load_brand("codex"), command=command, version_command=(found, "--version"))
    return CodexAgent(brand, {"OPENAI_BASE_URL": f"{url}/v1", **(environment or {"CODEX_API_KEY": "test"})})
