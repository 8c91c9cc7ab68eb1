"""The real opencode under test."""

import os
import shutil

import msgspec

from heddle.adapters.agents.brands import load_brand
from heddle.adapters.agents.opencode import OpencodeAgent

MODEL = "scripted"


def program() -> str:
    """The program under test: $HEDDLE_TEST_OPENCODE, else the one on PATH."""
    found = os.environ.get("HEDDLE_TEST_OPENCODE") or shutil.which("opencode")
    assert found, "opencode is not there: put 'opencode' on PATH or name it in HEDDLE_TEST_OPENCODE"
    return found


def agent(url: str, **environment: str) -> OpencodeAgent:
    """The agent as wired for a model server at `url`, which is a model of the person's own."""
    found = program()
    brand = msgspec.structs.replace(load_brand("opencode"), command=(found,), version_command=(found, "--version"))
    return OpencodeAgent(brand, {"LOCAL_ENDPOINT": f"{url}/v1", "LOCAL_MODEL": MODEL, **environment})
