"""Four vendors' programs at once on one real project: Claude Code, Codex, Gemini CLI and opencode, all landed."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import gemini_cli
from modelserver import ModelServer, Read, Shell, Turn, When, Write
from support import claude_brand, codex_brand, opencode_brand
from support.fleet import git, heddle
from support.upstream import plan, unpack

AGENTS: dict[str, Callable[[Path], None]] = {
    "claude": claude_brand.write_brand,
    "codex": codex_brand.write_brand,
    "gemini": gemini_cli.write_brand,
    "opencode": opencode_brand.write_brand,
}
pytestmark = [
    *(pytest.mark.needs(name) for name in (*AGENTS, "sdist")),
    pytest.mark.timeout(600),
]


def script(server: ModelServer, name: str) -> None:
    """All stages of one agent's task: a function of its own, and its test."""
    path, test = f"src/click/added_{name}.py", f"tests/test_added_{name}.py"
    server.play(
        When(name, stage="research"), Turn("", [Read("README.rst")]), Turn(f"# Research\n- {path}:1 will be new.\n")
    )
    server.play(When(name, stage="plan"), Turn(plan(path, test)))
    server.play(
        When(name, stage="execute"),
        Turn("", [Read("README.rst")], gate="together"),
        Turn("", [Write(path, f'def told():\n    return "{name}"\n')]),
        Turn(
            "",
            [
                Write(
                    test, f'from click.added_{name} import told\n\n\ndef test_told():\n    assert told() == "{name}"\n'
                )
            ],
        ),
        Turn("", [Shell("git status --short")]),
        Turn(f"# Handoff\n\nAdded {path}.\n"),
    )


async def test_four_different_agents_work_at_once_and_all_of_it_lands(
    tmp_path: Path, model_server: ModelServer
) -> None:
    repository = unpack(tmp_path)
    for name, write_brand in AGENTS.items():
        script(model_server, name)
        write_brand(tmp_path)
    url = model_server.url
    env = {
        "ANTHROPIC_BASE_URL": url,
        "ANTHROPIC_API_KEY": "test",
        "OPENAI_BASE_URL": f"{url}/v1",
        "CODEX_API_KEY": "test",
    }
    env |= {"LOCAL_ENDPOINT": f"{url}/v1", "LOCAL_MODEL": "coder", **gemini_cli.environment(url)}
    async with heddle(tmp_path, repository, None, **env) as fleet:
        found = {one["name"]: one["version"] for one in (await fleet.call("agent.list"))["agents"] if one["found"]}
        assert set(AGENTS) <= set(found)
        await fleet.call("repository.allow", root=str(repository))
        ids = {name: await fleet.start(f"Add {name} [[scn:{name}]]", agent=name) for name in AGENTS}
        for id in ids.values():
            await fleet.until_kind(id, "plan-delivered", limit_s=200)
            await fleet.call("inbox.approve", task=id)
        await asyncio.to_thread(model_server.wait_at, "together", len(AGENTS), 200.0)
        running = [row for row in (await fleet.call("board"))["tasks"] if row["stage"] == "execute"]
        assert {row["agent"]: row["status"] for row in running} == dict.fromkeys(AGENTS, "running")
        model_server.open("together")
        rows = await fleet.until(*ids.values(), limit_s=300)
        assert [row["status"] for row in rows] == ["landed"] * len(AGENTS), [row["why"] for row in rows]
        used = {id: fleet.house.desk.runs.usage(id) for id in ids.values()}
    for name, id in ids.items():
        assert git(repository, "show", f"main:src/click/added_{name}.py").endswith(f'return "{name}"')
        spent = used[id]
        assert spent is not None and spent.input_tokens > 0, f"{name} told no tokens"
    assert git(repository, "status", "--porcelain") == ""
