"""X2: nothing gets out of a box; and each attack is a real one, because elsewhere the very same does get through."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from attacks.attack import TIER_0, TIERS, Attack
from attacks.scene import Scenes
from attacks.suite import ATTACKS, ELSEWHERE, OWED

pytestmark = pytest.mark.asyncio(loop_scope="module")


CATALOGUE = {*range(1, 47), 49, 51, 53, 54, 55, 56}
"""The numbers by which attacks on a sandbox, and on who reads what it left, are known here."""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def scenes() -> AsyncIterator[Scenes]:
    made = Scenes()
    yield made
    await made.close()


def marked(attack: Attack, *values: object) -> object:
    """As a parameter of a test."""
    marks = [pytest.mark.needs(attack.needs)] if attack.needs else []
    return pytest.param(attack, *values, id="-".join((attack.id, *(f"tier-{value}" for value in values))), marks=marks)


@pytest.mark.parametrize(("attack", "tier"), [marked(attack, tier) for attack in ATTACKS for tier in TIERS if tier > 0])
async def test_x2_no_attack_gets_out(scenes: Scenes, attack: Attack, tier: int) -> None:
    async with scenes.of(attack.kind(tier)) as scene:
        through = await attack.gets_through(scene)
        known = tier in attack.passes and (os.getuid() == 0 or not attack.root)
        assert through == known, scene.said[-3000:]
        assert through or scene.is_whole(), scene.altered()


@pytest.mark.parametrize(
    "attack", [marked(one) for one in ATTACKS if one.has_control and (os.getuid() == 0 or not one.root)]
)
async def test_each_attack_is_a_real_one(scenes: Scenes, attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    if attack.without is not None:
        attack.without(monkeypatch)
    kind = TIERS[0] if attack.control == TIER_0 else "instant"
    async with scenes.of(kind, fresh=attack.without is not None) as scene:
        assert await attack.gets_through(scene), scene.said[-3000:]


async def test_none_is_forgotten() -> None:
    rows = [*(attack.row for attack in ATTACKS), *ELSEWHERE, *OWED]
    assert len(rows) == len(set(rows))
    assert {int(row.rstrip("bcde")) for row in rows} >= CATALOGUE
    for _, test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}(" in (Path(__file__).parents[2] / path).read_text(), test
