"""What decides which dependencies are the same."""

from heddle.core.recipe import Recipe
from heddle.core.settings import Settings

NPM = Recipe("npm", "package-lock.json", ("**/package-lock.json", "conf/*.txt"), "npm ci", "npm -v", ("node_modules",))
INPUTS = {"package-lock.json": b"{}", "a/package-lock.json": b"{1}"}


def test_inputs_are_found_by_globs() -> None:
    paths = ("package-lock.json", "a/package-lock.json", "a/package-lock.json5", "conf/a.txt", "a/conf/a.txt", "README")
    assert NPM.inputs_among(paths) == ("package-lock.json", "a/package-lock.json", "conf/a.txt")


def test_every_input_decides_and_their_order_does_not() -> None:
    same = NPM.digest(dict(reversed(INPUTS.items())))
    assert NPM.digest(INPUTS) == same
    others = [
        NPM.digest({**INPUTS, "package-lock.json": b"{ }"}),
        NPM.digest({"package-lock.json": b"{}"}),
        NPM.digest({"package-lock.json": b"{}", "b/package-lock.json": b"{1}"}),
        Recipe("npm", NPM.lockfile, NPM.inputs, "npm install", "npm -v", NPM.keeps).digest(INPUTS),
    ]
    assert len({same, *others}) == 5


def test_a_layer_is_named_by_what_the_tools_say_and_where_it_lies() -> None:
    digest = NPM.digest(INPUTS)
    name = NPM.layer(digest, "10.1\n", "/home/ada/repo")
    assert name == NPM.layer(digest, "10.1\n", "/home/ada/repo")
    assert name.startswith("npm-")
    assert len({name, NPM.layer(digest, "10.2\n", "/home/ada/repo"), NPM.layer(digest, "10.1\n", "/repo")}) == 3


def test_installs_are_commands_that_a_person_approves() -> None:
    settings = Settings(checks=("make", "npm ci"), setup=("make tools",), dependencies=(NPM,))
    assert settings.commands == ("npm ci", "make tools", "make")
