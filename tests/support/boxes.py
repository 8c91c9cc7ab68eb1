"""A box over a small tree, for tests: real namespaces, a HOME with secrets outside, a checkout that others work in."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from heddle.adapters.sandbox.box import Box
from heddle.adapters.sandbox.held import HeldProcess
from heddle.ports import Command, Mount, View


@dataclass
class Bench:
    """Folders of the host, and boxes that see some of them. `checkout` is where the tree is, inside and outside."""

    folder: Path
    runtime: Path
    boxes: list[Box] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.checkout = self.folder / "person", self.folder / "person" / "code" / "project"
        self.layer = self.folder / "layer"
        for path in (self.home / ".ssh", self.checkout, self.layer / ".git"):
            path.mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text("PRIVATE KEY\n")
        (self.checkout / "mine.txt").write_text("the person's own\n")
        (self.layer / "a.txt").write_text("from the layer\n")

    @property
    def environment(self) -> dict[str, str]:
        """The daemon's environment, with a secret in it."""
        return {**os.environ, "HOME": str(self.home), "SECRET_TOKEN": "hunter2"}

    def open(self) -> Box:
        """Boxes as a daemon has them after its start."""
        box = Box(self.folder / "held", self.runtime, self.environment)
        self.boxes.append(box)
        return box

    def view(self, key: str = "t1", *mounts: Mount) -> View:
        """A session's view: the layer at the checkout's path, all that is written kept apart."""
        own = self.folder / "workspaces" / key
        for name in ("upper", "work", "home", "out"):
            (own / name).mkdir(parents=True, exist_ok=True)
        upper, work = str(own / "upper"), str(own / "work")
        tree = Mount("overlay", str(self.checkout), lower=(str(self.layer),), upper=upper, work=work)
        out = Mount("write", "/heddle/out", source=str(own / "out"))
        return View(key, (tree, out, *mounts), str(own / "home"), str(own / "lock"))

    def upper(self, key: str = "t1") -> Path:
        """Where what a session writes is kept."""
        return self.folder / "workspaces" / key / "upper"

    def command(self, key: str, script: str) -> Command:
        """A shell script that is run in the tree."""
        return Command(key, ("sh", "-c", script), str(self.checkout), stdin="pipe")

    async def run(self, box: Box, script: str, *, view: View | None = None) -> str:
        """Run a shell script in the tree to its end; returns what it wrote."""
        ran = await box.run_in(view or self.view(), ("sh", "-ec", f"cd '{self.checkout}'\n{script}"))
        assert ran.status == 0, ran
        return ran.out.decode()

    async def close(self) -> None:
        """End everything."""
        for box in self.boxes:
            for path in sorted((self.folder / "held").glob("*/spec.json")):
                held = self._held(box, path.parent)
                if held is not None and held.ended() is None and held.begun() and await held.lives():
                    await held.stop(0)
            await box.close()

    def _held(self, box: Box, folder: Path) -> HeldProcess | None:
        known = box.of("").folder
        spec = known.load(folder / "spec.json")
        return box.of(str(spec["key"])) if spec else None
