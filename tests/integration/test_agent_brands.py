"""Brands of agents: read from TOML, checked against the program itself, started with what is theirs."""

import json
import os
import subprocess
import sys
import tomllib
import uuid
from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.agents.brands import Brand, brand_names, load_brand
from heddle.adapters.agents.claude import ClaudeAgent
from heddle.adapters.agents.codex import CodexAgent
from heddle.adapters.agents.opencode import OpencodeAgent
from heddle.adapters.agents.turns import GeminiReader, TurnsAgent
from heddle.adapters.agents.version import run_version
from heddle.core.capabilities import NAMES, Capabilities
from heddle.core.errors import SetupError
from heddle.core.session import Access, Brief


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def complaint(path: Path) -> SetupError:
    with pytest.raises(SetupError) as caught:
        load_brand(path)
    assert caught.value.slug == "agent-file"
    assert str(path) in caught.value.message
    return caught.value


def program(folder: Path, script: str) -> Brand:
    path = folder / "agent"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    told = (str(path), "--version")
    return Brand(name="mine", protocol="acp", command=told[:1], version_command=told, minimum_version="2.1.9")


def brief(access: Access = Access.WRITE, *, resume: str = "", model: str = "") -> Brief:
    return Brief("T1.execute.1", "Go", access, "/place/tree", "/place/out", model, resume)


@pytest.mark.parametrize("name", brand_names())
def test_every_shipped_brand_can_be_read(name: str) -> None:
    brand = load_brand(name)
    assert brand.name == name
    assert brand.install
    assert "{python}" not in brand.command + brand.version_command


@pytest.mark.parametrize("name", brand_names())
def test_every_shipped_brand_says_why_it_lacks_what_it_lacks(name: str) -> None:
    brand = load_brand(name)
    assert set(brand.lacks) == {capability for capability in NAMES if not brand.capabilities.can(capability)}


def test_the_placeholder_stands_for_the_python_that_runs_heddle(tmp_path: Path) -> None:
    path = written(tmp_path, 'name = "mine"\nprotocol = "acp"\ncommand = ["{python}", "-m", "x"]\n')
    assert load_brand(path).command == (sys.executable, "-m", "x")
    assert load_brand(path).capabilities == Capabilities()


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ('comand = ["x"]', "unknown key 'comand'", "did you mean 'command'?"),
        ('name="m"\nprotocol="acp"\ncommand=["x"]\n[capabilities]\nresumes=true', "'resumes'", "'resume'?"),
        ("zzz = 1", "unknown key 'zzz'", "known keys are: name, protocol, command"),
        ('name = "m"', "protocol", "mend the file"),
        ('name="m"\nprotocol="acp"\ncommand="x"', "array", "mend the file"),
        ('name="m"\nprotocol="acp"\ncommand=[]', "'command' is empty", "list of texts"),
        ("name = ", "not TOML", "mend the file"),
    ],
)
def test_a_brand_that_cannot_be_read_says_what_is_wrong(tmp_path: Path, text: str, said: str, hint: str) -> None:
    error = complaint(written(tmp_path, text))
    assert said in error.message
    assert hint in error.hint
    assert "\n" not in error.message


def test_a_file_that_is_not_text_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe")
    complaint(path)


def test_an_unknown_brand_names_the_known_ones() -> None:
    with pytest.raises(SetupError) as caught:
        load_brand("cloude")
    assert caught.value.slug == "unknown-agent"
    assert "claude" in caught.value.hint


@pytest.mark.asyncio
async def test_the_version_is_what_the_program_says(tmp_path: Path) -> None:
    assert await run_version(program(tmp_path, "echo '2.1.10 (Mine)'")) == "2.1.10"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("script", "slug"),
    [
        ("echo 2.1.8", "agent-version"),
        ("echo no number", "agent-version"),
        ("echo 'needs a newer system' >&2; exit 1", "agent-missing"),
    ],
)
async def test_a_program_that_will_not_do_is_told_with_what_to_do(tmp_path: Path, script: str, slug: str) -> None:
    with pytest.raises(SetupError) as caught:
        await run_version(program(tmp_path, script))
    assert caught.value.slug == slug
    assert "'mine'" in caught.value.message or "told no version" in caught.value.message
    assert caught.value.hint


@pytest.mark.asyncio
async def test_a_program_that_is_not_there_is_missing(tmp_path: Path) -> None:
    brand = Brand(name="mine", protocol="acp", command=("x",), version_command=(str(tmp_path / "none"),))
    with pytest.raises(SetupError) as caught:
        await run_version(brand)
    assert (caught.value.slug, caught.value.exit_status) == ("agent-missing", 4)


@pytest.mark.asyncio
async def test_a_program_is_asked_again_once_it_is_another_and_until_it_will_do(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    for version, status in (("2.1.10", 0), ("2.1.11", 0), ("2.1.12", 1)):
        brand = program(tmp_path, f"echo x >> {asked}; echo {version}; exit {status}")
        asked.write_text("")
        for _ in range(3):
            if status == 0:
                assert await run_version(brand) == version
            else:
                with pytest.raises(SetupError):
                    await run_version(brand)
        assert asked.read_text() == ("x\n" if status == 0 else "x\nx\nx\n")


@pytest.mark.asyncio
async def test_a_brand_without_a_way_to_ask_has_an_unknown_version() -> None:
    assert await run_version(Brand(name="mine", protocol="acp", command=("x",))) == ""


# ------------------------------------------------------------------------------------------------ claude


def test_claude_is_always_started_in_an_explicit_mode() -> None:
    agent = ClaudeAgent(load_brand("claude"), {})
    assert "--permission-mode=plan" in agent.command(brief(Access.READ)).argv
    assert "--permission-mode=default" in agent.command(brief(Access.WRITE)).argv
    assert agent.command(brief()).stdin == "pipe"
    assert agent.command(brief()).cwd == ""


def test_claude_gets_the_credentials_of_its_own_account_and_nothing_else() -> None:
    theirs = {"ANTHROPIC_API_KEY": "k", "CLAUDE_CONFIG_DIR": "/c"}
    others = {"OPENAI_API_KEY": "o", "AWS_SECRET_ACCESS_KEY": "s", "GITHUB_TOKEN": "g", "PATH": "/bin"}
    env = ClaudeAgent(load_brand("claude"), theirs | others).command(brief()).env
    assert theirs.items() <= dict(env).items()
    assert not others.keys() & env.keys()


def test_claude_is_kept_from_loading_what_the_repository_brought() -> None:
    argv = ClaudeAgent(load_brand("claude"), {}).command(brief()).argv
    assert {"--setting-sources=user", "--strict-mcp-config"} <= set(argv)


def test_the_same_session_has_the_same_conversation_after_a_restart() -> None:
    def started(made: Brief) -> str:
        argv = ClaudeAgent(load_brand("claude"), {}).command(made).argv
        return next(part.removeprefix("--session-id=") for part in argv if part.startswith("--session-id="))

    other = Brief("T1.execute.1", "Go", Access.WRITE, "/elsewhere/tree", "/place/out")
    assert started(brief()) == started(brief())
    assert started(brief()) != started(other)
    assert uuid.UUID(started(brief()))


def test_a_resumed_session_names_the_conversation_and_the_model() -> None:
    argv = ClaudeAgent(load_brand("claude"), {}).command(brief(resume="abc", model="opus")).argv
    assert {"--resume=abc", "--model=opus"} <= set(argv)
    assert not [part for part in argv if part.startswith("--session-id")]


def test_tools_that_are_not_its_business_are_withheld() -> None:
    def withheld(access: Access) -> list[str]:
        argv = ClaudeAgent(load_brand("claude"), {}).command(brief(access)).argv
        listed = next(part for part in argv if part.startswith("--disallowedTools="))
        return listed.removeprefix("--disallowedTools=").split(",")

    assert {"EnterWorktree", "ListAgents", "SendMessage", "CronCreate"} <= set(withheld(Access.READ))
    assert "ExitPlanMode" in withheld(Access.WRITE)
    assert "ExitPlanMode" not in withheld(Access.READ)


# ------------------------------------------------------------------------------------------------- codex


def settings_of(made: Brief, **environment: str) -> list[str]:
    """What codex is told on its command line."""
    argv = CodexAgent(load_brand("codex"), environment).command(made).argv
    assert argv[:2] == ("codex", "app-server")
    assert set(argv[2::2]) == {"-c"}
    return list(argv[3::2])


def test_codex_is_told_not_to_trust_the_folder_that_it_works_in() -> None:
    made = Brief("T1.execute.1", "Go", Access.WRITE, '/a place/"quoted".x', "/place/out")
    assert r'projects={"/a place/\"quoted\".x"={trust_level="untrusted"}}' in settings_of(made)


def test_every_setting_of_codex_is_toml() -> None:
    environment = {"CODEX_API_KEY": "k", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    made = Brief("T1.execute.1", "Go", Access.WRITE, "/pl\x7face/\n\u00e9", "/place/out")
    for setting in settings_of(made, **environment):
        tomllib.loads(setting)


def test_codex_gets_the_credentials_of_its_own_account_and_nothing_else() -> None:
    theirs = {"CODEX_API_KEY": "secret", "OPENAI_BASE_URL": "https://models.example/v1"}
    others = {"OPENAI_API_KEY": "o", "ANTHROPIC_API_KEY": "a", "CODEX_HOME": "/c", "PATH": "/bin"}
    command = CodexAgent(load_brand("codex"), theirs | others).command(brief())
    assert dict(command.env) == theirs
    assert "secret" not in str(command.argv)
    assert "models.example:443" in command.hosts
    assert command.near == ("models.example:443",)


def test_codex_talks_to_whom_it_was_set_up_for_unless_the_environment_says_otherwise() -> None:
    def vendor(**environment: str) -> list[str]:
        return [one for one in settings_of(brief(), **environment) if one.startswith(("model_prov", "openai_"))]

    assert vendor() == []
    assert vendor(OPENAI_BASE_URL="http://127.0.0.1:1/v1") == ['openai_base_url="http://127.0.0.1:1/v1"']
    assert vendor(CODEX_API_KEY="k") == [
        'model_provider="heddle"',
        'model_providers.heddle.name="OpenAI"',
        'model_providers.heddle.env_key="CODEX_API_KEY"',
        'model_providers.heddle.wire_api="responses"',
    ]
    endpoint = 'model_providers.heddle.base_url="http://127.0.0.1:1/v1"'
    assert endpoint in vendor(CODEX_API_KEY="k", OPENAI_BASE_URL="http://127.0.0.1:1/v1")


# ------------------------------------------------------------------------------------------------ gemini


def gemini(environment: dict[str, str]) -> TurnsAgent:
    return TurnsAgent(load_brand("gemini"), environment, GeminiReader)


def order(access: Access, **more: str) -> dict[str, Any]:
    (send,) = gemini({}).conversation(brief(access, **more)).open()
    told: dict[str, Any] = json.loads(send.data)
    return told


def test_gemini_is_always_started_in_an_explicit_mode() -> None:
    for access, mode in ((Access.READ, "plan"), (Access.WRITE, "yolo")):
        argv = order(access)["argv"]
        assert argv[argv.index("--approval-mode") + 1] == mode
        assert Path(argv[argv.index("--admin-policy") + 1]).is_file()


def test_gemini_gets_the_credentials_of_its_own_account_and_nothing_else() -> None:
    theirs = {"GEMINI_API_KEY": "the-key"}
    others = {"OPENAI_API_KEY": "o", "GOOGLE_APPLICATION_CREDENTIALS": "/secret", "GITHUB_TOKEN": "g", "PATH": "/bin"}
    env = gemini(theirs | others).command(brief()).env
    assert theirs.items() <= dict(env).items()
    assert not others.keys() & env.keys()
    (send,) = gemini(theirs).conversation(brief()).open()
    assert b"the-key" not in send.data, "what is ordered is kept on disk"


def test_gemini_is_kept_from_loading_what_the_repository_brought() -> None:
    env = gemini({}).command(brief()).env
    assert env["GEMINI_CLI_TRUST_WORKSPACE"] == "false"
    guard = env["NODE_OPTIONS"].removeprefix('--require "').removesuffix('"')
    assert Path(guard).is_file()


@pytest.mark.needs("npm")
def test_the_guard_empties_the_files_of_the_start_and_nothing_else(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / ".gemini").mkdir(parents=True)
    names = (".gemini/settings.json", ".gemini/.env", ".env", "../.env", "other.env")
    for name in names:
        (tree / name).write_text("theirs")
    code = (
        "const fs = require('node:fs'); import('node:fs').then(async ({ readFileSync, promises }) => {"
        f"for (const name of {json.dumps(names)}) console.log(readFileSync(name, 'utf-8'), fs.readFileSync(name).toString());"
        "console.log(await promises.readFile('.env', 'utf-8'), process.env.NODE_OPTIONS) })"
    )
    env = {"PATH": os.environ["PATH"], "NODE_OPTIONS": gemini({}).command(brief()).env["NODE_OPTIONS"]}
    done = subprocess.run(["node", "-e", code], cwd=tree, env=env, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["{} {}", " ", " ", " ", "theirs theirs", "theirs undefined"], done.stderr


# ---------------------------------------------------------------------------------------------- opencode


def opencode_settings(made: Brief, **environment: str) -> dict[str, Any]:
    """The configuration that opencode is given."""
    env = OpencodeAgent(load_brand("opencode"), environment).command(made).env
    told: dict[str, Any] = json.loads(env["OPENCODE_CONFIG_CONTENT"])
    return told


def test_opencode_is_kept_from_loading_what_the_repository_brought() -> None:
    agent = OpencodeAgent(load_brand("opencode"), {})
    for command in (agent.command(brief()), agent.terminal(brief(resume="ses_a"))):
        assert Path(command.env.get("BUN_INSPECT_PRELOAD", "/none")).is_file(), "nothing keeps plugins out"
        assert command.env["OPENCODE_DISABLE_PROJECT_CONFIG"] == command.env["OPENCODE_PURE"] == "1"
        at = command.argv.index("heddle.relay.within")
        assert command.argv[at - 2 : at] == ("-I", "-m"), "nothing of the repository is imported on the way"
        assert Path(command.argv[at + 1]).is_dir(), "it must not be started in the repository"
    told = opencode_settings(brief())
    assert (told["formatter"], told["lsp"], told["permission"]["*"]) == (False, False, "ask")
    assert {told["permission"].get(name, "ask") for name in ("edit", "bash", "webfetch")} == {"ask"}


def test_opencode_gets_the_credentials_of_its_own_accounts_and_nothing_else() -> None:
    theirs = {
        "OPENAI_API_KEY": "secret",
        "OPENAI_BASE_URL": "https://models.example/v1",
        "LOCAL_API_KEY": "local-secret",
    }
    theirs |= {"LOCAL_ENDPOINT": "http://127.0.0.1:11434/v1"}
    others = {"CODEX_API_KEY": "o", "OPENCODE_CONFIG": "/c", "OPENCODE_PERMISSION": "{}", "PATH": "/bin"}
    command = OpencodeAgent(load_brand("opencode"), theirs | others).command(brief(model="coder"))
    assert {name: value for name, value in command.env.items() if name in theirs | others} == theirs
    assert "secret" not in str(command.argv) + command.env["OPENCODE_CONFIG_CONTENT"]
    assert "models.example:443" in command.near
    assert command.forwards == ("127.0.0.1:11434",)


def test_a_model_of_ones_own_is_a_provider_of_opencode() -> None:
    here = {"LOCAL_ENDPOINT": "http://127.0.0.1:11434/v1", "LOCAL_MODEL": "qwen3"}
    told = opencode_settings(brief(), **here)
    assert (told["model"], told["provider"]["local"]["models"]) == ("local/qwen3", {"qwen3": {}})
    assert told["provider"]["local"]["options"] == {"baseURL": here["LOCAL_ENDPOINT"], "apiKey": "none"}
    for asked in ("vendor/coder", "local/vendor/coder"):
        told = opencode_settings(brief(model=asked), **here)
        assert (told["model"], set(told["provider"]["local"]["models"])) == (
            "local/vendor/coder",
            {"qwen3", "vendor/coder"},
        )
    assert opencode_settings(brief(model="openai/gpt"), **here)["model"] == "openai/gpt"
    assert "model" not in opencode_settings(brief())
    assert opencode_settings(brief())["disabled_providers"] == ["opencode"]
    assert "disabled_providers" not in opencode_settings(brief(), OPENCODE_API_KEY="k")
