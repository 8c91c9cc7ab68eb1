"""What an attack is, and the tiers it is tried at."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import pytest

from attacks.scene import Scene
from attacks.victims import SECRET
from heddle.adapters.sandbox import zygote

TIERS = {0: "worktree", 1: "confined", 2: "instant", 3: "strong"}
"""The provider of workspaces at each tier. Tier 0 encloses nothing: it is where attacks are seen to be real ones."""

Verdict = Callable[[Scene], Awaitable[bool]]
Removal = Callable[[pytest.MonkeyPatch], None]

TIER_0 = "tier 0"


async def nothing(scene: Scene) -> None:
    """No more than what every scene has is needed."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """`script` is what a session runs: shell, or Python after scene.PYTHON. `through` looks from the host whether it
    succeeded. One that `stays` goes on while the host looks, so that its verdict waits for what it has to; `limit` is
    that of its transcript.

    `control` says where the same attack does get through: at tier 0; in a box without one guard, which `without` takes
    away (`root`: only the administrator gets anywhere then); or "none: ..." with the reason. `passes` names the tiers
    above 0 that are known not to stop it; `kinds`: other providers than the usual ones at a tier.
    """

    row: str
    name: str
    script: str
    through: Verdict
    python: bool = False
    stays: bool = False
    limit: int = 1 << 28
    prepare: Callable[[Scene], Awaitable[None]] = nothing
    control: str = TIER_0
    without: Removal | None = None
    root: bool = False
    passes: frozenset[int] = frozenset()
    needs: str = ""
    kinds: Mapping[int, str] = field(default_factory=dict)

    def kind(self, tier: int) -> str:
        """The provider of its workspace at that tier."""
        return self.kinds.get(tier, TIERS[tier])

    @property
    def id(self) -> str:
        """As a test is called."""
        return f"{self.row}-{self.name.replace(' ', '-')}"

    @property
    def has_control(self) -> bool:
        """Whether there is a place where it gets through."""
        return not self.control.startswith("none: ")

    async def gets_through(self, scene: Scene) -> bool:
        """Play it, and look."""
        await self.prepare(scene)
        await scene.play(self.script, python=self.python, stays=self.stays, limit=self.limit)
        return await self.through(scene)


def patched(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Have code run in whatever holds processes and makes boxes."""
    monkeypatch.setattr(zygote, "ENTRY", f"import sys\nsys.path.append(sys.argv[2])\n{code}\n{zygote.ENTRY}")


async def told(scene: Scene) -> bool:
    """It saw the secret."""
    return SECRET in scene.said


async def altered(scene: Scene) -> bool:
    """Something of the person's, or of the other session's, is not what it was."""
    return scene.altered() != []


async def succeeded(scene: Scene) -> bool:
    """It could do what it says it could, on this machine or to its kernel."""
    return "\ngot through" in f"\n{scene.said}"
