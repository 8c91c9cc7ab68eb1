"""What package tools must reach is asked of the real tools, as the person set them up."""

import os
from pathlib import Path

import pytest

from heddle.adapters.installs.recipes import load_recipe
from heddle.adapters.installs.registries import ToolRegistries
from heddle.core.recipe import Recipe
from heddle.ports import Reach

pytestmark = pytest.mark.asyncio

INDEX = "https://ada:word@packages.example.com:8443/simple"


def asking(registries: str, name: str = "tool") -> Recipe:
    return Recipe(name, "lock", ("lock",), "true", "true", registries=registries, env=("TOOL_CERT",))


async def test_pip_tells_its_index_however_it_was_set_and_credentials_stay_here(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text(
        f"[global]\nindex-url = {INDEX}\nextra-index-url =\n    http://localhost:3141/a\n    http://127.0.0.1:99/b\n"
    )
    told = await ToolRegistries({**os.environ, "PIP_CONFIG_FILE": str(file)}).reach((load_recipe("pip"),))
    assert told.hosts == told.near == ("packages.example.com:8443",)
    assert told.forwards == ("127.0.0.1:3141", "127.0.0.1:99")
    assert told.env["PIP_INDEX_URL"] == "https://packages.example.com:8443/simple"
    assert told.env["PIP_EXTRA_INDEX_URL"] == "http://localhost:3141/a http://127.0.0.1:99/b"
    assert "word" not in str(told)


async def test_pip_as_it_comes_reaches_its_index_and_where_that_keeps_files() -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    told = await ToolRegistries({**plain, "PIP_CONFIG_FILE": os.devnull}).reach((load_recipe("pip"),))
    assert len(told.hosts) == 2
    assert all(host.endswith(":443") for host in told.hosts)


@pytest.mark.needs("npm")
async def test_npm_tells_its_registry_from_the_persons_file(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("registry=http://127.0.0.1:4873/\n//127.0.0.1:4873/:_authToken=secret-word\n")
    told = await ToolRegistries({**os.environ, "HOME": str(tmp_path)}).reach((load_recipe("npm"),))
    assert (told.hosts, told.forwards) == ((), ("127.0.0.1:4873",))
    assert told.env["npm_config_registry"] == "http://127.0.0.1:4873/"
    assert "secret-word" not in str(told)


async def test_a_value_may_hold_several_places_and_words(tmp_path: Path) -> None:
    said = "echo 'P=https://u:w@one.example.com/x,http://localhost:99|direct'; echo N=off; echo E="
    told = await ToolRegistries({}).reach((asking(said),))
    assert (told.hosts, told.forwards) == (("one.example.com:443",), ("127.0.0.1:99",))
    assert dict(told.env) == {"P": "https://one.example.com/x,http://localhost:99|direct", "N": "off"}


async def test_a_tool_is_asked_once_and_all_of_them_are_put_together(tmp_path: Path) -> None:
    log = tmp_path / "asked"
    one = asking(f"echo x >> {log}; echo A=https://one.example.com/; echo https://files.example.com", name="one")
    two = asking("echo B=https://two.example.com:444/", name="two")
    registries = ToolRegistries({**os.environ, "TOOL_CERT": "/etc/ca.pem", "SECRET": "word"})
    for _ in range(2):
        told = await registries.reach((one, two))
        assert told.hosts == ("one.example.com:443", "files.example.com:443", "two.example.com:444")
        env = {"TOOL_CERT": "/etc/ca.pem", "A": "https://one.example.com/", "B": "https://two.example.com:444/"}
        assert dict(told.env) == env
    assert log.read_text() == "x\n"


async def test_a_tool_that_is_missing_or_talks_nonsense_reaches_nothing(tmp_path: Path) -> None:
    registries = ToolRegistries({"PATH": os.environ["PATH"]})
    for number, said in enumerate(
        ("no-such-tool-here", "echo file:///etc/passwd", "echo A=; echo; echo http://", "exit 3")
    ):
        assert await registries.reach((asking(said, name=str(number)),)) == Reach()


async def test_a_tool_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heddle.adapters.installs.registries.LIMIT_S", 0.05)
    assert await ToolRegistries(os.environ).reach((asking("sleep 600"),)) == Reach()
