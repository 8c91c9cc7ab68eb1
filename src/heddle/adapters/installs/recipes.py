"""The recipes that come with Heddle, a TOML file each."""

import tomllib
from importlib.resources import files

import msgspec

from heddle.core.errors import SetupError
from heddle.core.recipe import Recipe


def recipe_names() -> tuple[str, ...]:
    """All of them."""
    shipped = files("heddle.data.recipes").iterdir()
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in shipped if entry.name.endswith(".toml")))


def load_recipe(name: str) -> Recipe:
    """A recipe by name. Raises SetupError(slug="unknown-recipe") with the known ones."""
    if name not in recipe_names():
        known = ", ".join(recipe_names())
        raise SetupError(f"there is no recipe '{name}'", slug="unknown-recipe", hint=f"known are: {known}")
    text = files("heddle.data.recipes").joinpath(f"{name}.toml").read_text()
    return msgspec.convert(tomllib.loads(text), Recipe)
