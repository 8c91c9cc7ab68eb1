"""What a session knows comes apart from what is: it is seen, named, and acted upon."""

from pathlib import Path

import pytest

from support.fleet import Heddle, git, heddle, make_repository, scene, writes

TIER = '[sandbox]\ntier = "0"\n'


def commit(fleet: Heddle, path: str, text: str) -> None:
    """The person changes a file on main."""
    (fleet.repository / path).write_text(text)
    git(fleet.repository, "add", path)
    git(fleet.repository, "commit", "-qm", f"{path} is another")


@pytest.mark.parametrize("path", ["a.py", "c.py"])
async def test_research_is_made_anew_when_main_changed_what_it_cites(tmp_path: Path, path: str) -> None:
    """With another file, which is the control, what was found still holds."""
    anew = scene("research", {"do": "document", "text": "# Anew\n- a.py:1\n"}, task="research of an older commit")
    async with heddle(tmp_path, make_repository(tmp_path / "repo"), [anew, *writes("b.txt")], TIER) as fleet:
        await fleet.start("write b")
        await fleet.until("T1", approve=False)
        commit(fleet, path, "x = 2\n")
        (row,) = await fleet.until("T1")
        assert row["status"] == "landed", row["why"]
        events = (await fleet.call("events", task="T1"))["events"]
    stages = [event["data"]["stage"] for event in events if event["kind"] == "stage-started"]
    outdated = [event["data"] for event in events if event["kind"] == "plan-outdated"]
    usual = ["research", "plan", "execute", "validate", "land"]
    assert stages == (["research", "plan", *usual] if path == "a.py" else usual)
    assert [(data["research"], data["why"]) for data in outdated] == [
        (True, "'a.py', which the research cites, changed on main since")
    ] * (path == "a.py")
    assert next(event["data"]["text"] for event in reversed(events) if event["kind"] == "research-delivered") == (
        "# Anew\n- a.py:1\n" if path == "a.py" else "# Research\n- a.py:1\n"
    )
