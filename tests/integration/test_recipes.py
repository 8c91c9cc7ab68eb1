"""The recipes that come with Heddle, and what URLs lead to."""

import pytest

from heddle.adapters.installs.recipes import load_recipe, recipe_names
from heddle.core.errors import SetupError
from heddle.ports import Reach, reach_of


def test_every_recipe_that_comes_with_heddle_can_be_read() -> None:
    assert recipe_names() == ("cargo", "go", "npm", "pip", "pnpm", "uv")
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.inputs_among((recipe.lockfile,)) == (recipe.lockfile,)
    with pytest.raises(SetupError, match="there is no recipe 'nmp'") as caught:
        load_recipe("nmp")
    assert "npm" in caught.value.hint


def test_what_is_no_url_leads_nowhere() -> None:
    assert reach_of("") == reach_of("off") == reach_of("direct") == Reach()
    assert reach_of("http://example.com/x") == Reach(hosts=("example.com:80",), near=("example.com:80",))
