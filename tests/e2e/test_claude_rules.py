"""What `heddle rules show` tells of a session of the real Claude Code is told by it, and is what that session was sent."""

from pathlib import Path

import pytest

from modelserver import ModelServer, Turn, When, Write
from support.claude_brand import write_brand
from support.fleet import git, heddle, make_repository

pytestmark = [pytest.mark.needs("claude"), pytest.mark.timeout(180)]


async def test_show_tells_what_a_session_really_had(tmp_path: Path, model_server: ModelServer) -> None:
    repository = make_repository(
        tmp_path / "repo",
        {
            "AGENTS.md": "The rule of all. See @more.md\n",
            "more.md": "More.\n",
            ".claude/rules/x.md": "The rule of x.\n",
            "a.py": "x = 1\n",
        },
    )
    model_server.play(
        When("rules", stage="execute"),
        Turn("", [Write("b.txt", "b\n")]),
        Turn("", [Write("{out}/handoff.md", "Done.\n")]),
        Turn("Done."),
    )
    env = {"ANTHROPIC_BASE_URL": model_server.url, "ANTHROPIC_API_KEY": "test"}
    write_brand(tmp_path)
    async with heddle(tmp_path, repository, None, **env) as fleet:
        told = []
        for number in (1, 2):
            how = {"agent": "claude", "lane": "quick", "checks": ["test -s b.txt"]}
            id = await fleet.start(f"work {number} [[scn:rules]]", **how)
            await fleet.until(id, limit_s=90)
            told.append((await fleet.call("rules.show", task=id))["sessions"][0])
            if number == 1:
                await fleet.call("rules.sync", root=str(repository), agents=["claude"], write=True)
                git(repository, "add", "-A")
                git(repository, "commit", "-qm", "rules")
    first, second = ({file["path"]: file["why"] for file in one["files"]} for one in told)
    assert first == {".claude/rules/x.md": "its own file"}
    assert second == {
        "CLAUDE.md": "its own file",
        "AGENTS.md": "imported by CLAUDE.md",
        "more.md": "imported by AGENTS.md",
        ".claude/rules/x.md": "its own file",
    }
    assert {(one["told"], *one["unsaid"]) for one in told} == {("told by the agent itself",)}
    assert told[0]["version"].startswith("2.") and told[0]["commit"] != told[1]["commit"]
    before, after = model_server.calls()[0].context, model_server.calls()[-1].context
    assert "The rule of x." in before and "The rule of all." not in before
    assert "The rule of all." in after and "heddle:rules" not in after and "One task per workspace" in after
