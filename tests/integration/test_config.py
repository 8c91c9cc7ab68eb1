"""Layers of configuration: what holds, and who said so. What is explained is what the engine is given."""

from pathlib import Path
from typing import Any

import pytest

from heddle.adapters.git import open_repository
from heddle.config import Config
from heddle.core.errors import HeddleError
from heddle.core.gate import Decider
from heddle.core.settings import Settings
from heddle.core.task import Lane, Stage, Task
from support.fleet import git, make_repository


class Layers:
    """The layers of one repository: the person's file, heddle.toml as it is committed, and the local one."""

    def __init__(self, folder: Path, person: str = "", repository: str = "", local: str = "", **env: str) -> None:
        self.person = folder / "person.toml"
        self.person.write_text(person)
        self.root = make_repository(folder / "repo", {"a.py": "", "heddle.toml": repository})
        (self.root / ".heddle").mkdir()
        (self.root / ".heddle/local.toml").write_text(local)
        self.config = Config(self.person, env)

    async def told(self, key: str = "") -> dict[str, tuple[Any, str]]:
        """Value and source of every key."""
        found = await self.config.explain(await open_repository(self.root), git(self.root, "rev-parse", "HEAD"), key)
        return {value.key: (value.value, value.source.split(" at ")[0]) for value in found}

    async def settings(self) -> Settings:
        """What the engine is given."""
        return await self.config.settings(await open_repository(self.root), git(self.root, "rev-parse", "HEAD"))


def decider(settings: Settings, stage: Stage, role: str = "", lane: Lane = Lane.STANDARD) -> Decider:
    """Who decides after a stage of a task."""
    task = Task("T1", "key", "/r", "main", "text", lane=lane, role=role)
    return settings.gates.decider(task, stage, None)


async def test_gates_of_a_repository_are_explained_where_they_are_stricter(tmp_path: Path) -> None:
    theirs = '[gates]\nvalidate = "person"\nplan = "nobody"\n[[gates.rules]]\nstage = "research"\ndecides = "person"\nrole = "docs"\n'
    mine = '[gates]\nplan = "delegation"\nexecute = "person"\n'
    made = Layers(tmp_path, mine, theirs)
    told = await made.told("gates")
    assert told == {
        "gates.research": ("nobody", "defaults.toml"),
        "gates.plan": ("delegation", str(made.person)),
        "gates.execute": ("person", str(made.person)),
        "gates.validate": ("person", "heddle.toml"),
        "gates.rules": ([{"stage": "research", "decides": "person", "role": "docs"}], "heddle.toml"),
    }
    settings = await made.settings()
    for stage in (Stage.RESEARCH, Stage.PLAN, Stage.EXECUTE, Stage.VALIDATE):
        assert decider(settings, stage) == told[f"gates.{stage}"][0]
    assert decider(settings, Stage.RESEARCH, role="docs") is Decider.PERSON


async def test_rules_of_all_layers_count_and_their_sources_are_named(tmp_path: Path) -> None:
    def rule(role: str) -> str:
        return f'[[gates.rules]]\nstage = "execute"\ndecides = "person"\nrole = "{role}"\n'

    made = Layers(tmp_path, rule("mine"), rule("theirs"), rule("local"))
    rules, sources = (await made.told("gates.rules"))["gates.rules"]
    assert [one["role"] for one in rules] == ["mine", "theirs", "local"]
    assert "heddle.toml" in sources
    settings = await made.settings()
    assert [decider(settings, Stage.EXECUTE, role) for role in ("mine", "theirs", "local", "")] == [
        *[Decider.PERSON] * 3,
        Decider.NOBODY,
    ]


async def test_a_repository_narrows_and_never_widens(tmp_path: Path) -> None:
    mine = '[limits]\nattempts = 2\n[sandbox]\ntier = "2"\n'
    theirs = '[limits]\nattempts = 9\nsessions = 1\nkeep_disk_mb = 0\nsession_memory_mb = 9\n[sandbox]\ntier = "0"\n[checks]\nhooks = false\n'
    made = Layers(tmp_path, mine, theirs)
    told = await made.told()
    assert told["limits.attempts"] == (2, str(made.person))
    assert told["limits.sessions"] == (1, "heddle.toml")
    assert told["limits.keep_disk_mb"] == (1024, "defaults.toml")
    assert told["limits.session_memory_mb"] == (0, "defaults.toml")
    assert told["sandbox.tier"] == ("2", str(made.person))
    assert told["checks.hooks"] == (True, "defaults.toml")
    settings = await made.settings()
    assert (settings.bounds.attempts, settings.sessions, settings.hooks) == (2, 1, True)


async def test_a_repository_cannot_delegate(tmp_path: Path) -> None:
    made = Layers(tmp_path, "", '[[delegation.rules]]\nname = "all"\nscope = ["**"]\n')
    with pytest.raises(HeddleError, match="may not delegate decisions") as caught:
        await made.settings()
    assert caught.value.slug == "config-widens"


async def test_a_later_layer_holds(tmp_path: Path) -> None:
    said = [f'[agent]\ndefault = "{name}"\n' for name in ("mine", "theirs", "local")]
    assert (await Layers(tmp_path, *said, HEDDLE_AGENT="env").told("agent.default"))["agent.default"] == (
        "env",
        "HEDDLE_AGENT",
    )
    (tmp_path / "again").mkdir()
    assert (await Layers(tmp_path / "again", *said).settings()).agent == "local"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("[chekcs]\n", "unknown key 'chekcs'", "did you mean 'checks'?"),
        ("[limits]\nsesions = 1\n", "unknown key 'limits.sesions'", "did you mean 'limits.sessions'?"),
        ("[limits]\nsessions = true\n", "'limits.sessions'", "heddle config explain"),
        ("[gates]\nplan = 'everybody'\n", "'gates.plan'", "heddle config explain"),
        ("[[gates.rules]]\nstage = 'plan'\n", "gates.rules", "heddle config explain"),
        ("[[agent.rules]]\nstage = 'plan'\n", "agent.rules", "heddle config explain"),
        ("[[agent.rules]]\nagent = 'x'\nstage = 'land'\n", "stage", "heddle config explain"),
        ("[[agent.rules]]\nagent = 'x'\nlane = 'slow'\n", "lane", "heddle config explain"),
        ("[[gates.rules]]\nstage = 'plan'\ndecides = 'person'\npath = 1\n", "path", "did you mean"),
        ("[setup]\ndependencies = ['nmp']\n", "there is no recipe 'nmp'", "npm"),
        ("[setup]\ndependencies = 'npm'\n", "'setup.dependencies'", "heddle config explain"),
        ("= 1", "not TOML", "mend the file"),
    ],
)
@pytest.mark.parametrize("whose", ["person", "repository", "local"])
async def test_a_file_that_cannot_hold_is_named_with_what_was_meant(
    tmp_path: Path, whose: str, text: str, said: str, hint: str
) -> None:
    with pytest.raises(HeddleError) as caught:
        await Layers(tmp_path, **{whose: text}).settings()
    assert said in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "host", ["api.example", "10.0.0.1:443", "https://api.example", ":443", "*:443", "api.example:x", 1]
)
async def test_a_host_is_a_name_with_a_port(tmp_path: Path, host: object) -> None:
    with pytest.raises(HeddleError) as caught:
        await Layers(tmp_path, person=f"[network]\nhosts = ['ok.example:443', {host!r}]\n").settings()
    assert "'network.hosts'" in caught.value.message


async def test_what_may_be_reached_is_the_persons_to_say(tmp_path: Path) -> None:
    hosts = "[network]\nhosts = ['{}']\n"
    layers = Layers(tmp_path, *map(hosts.format, ("API.example:443", "evil.example:443", "evil.example:80")))
    assert (await layers.settings()).hosts == ("api.example:443",)
