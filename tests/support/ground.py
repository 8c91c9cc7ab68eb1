"""The ground of tier 1, for tests: a person's folders with secrets in them, and sessions that share the machine."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from heddle.adapters.sandbox import policy
from heddle.adapters.sandbox.landlock import Landlock
from heddle.ports import Command, Mount, View


@dataclass
class Ground:
    """Folders of the host. Sessions may write their own tree, and read `shown`."""

    folder: Path
    runtime: Path
    opened: list[Landlock] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.home, self.shown = self.folder / "person", self.folder / "shown"
        for path in (self.home / ".ssh", self.home / "code", self.shown):
            path.mkdir(parents=True)
        self.secret, self.work = self.home / ".ssh" / "id_ed25519", self.home / "code" / "mine.txt"
        self.secret.write_text("PRIVATE KEY\n")
        self.work.write_text("the person's own\n")
        (self.shown / "given.txt").write_text("given\n")

    @property
    def environment(self) -> dict[str, str]:
        """The daemon's environment, with a secret in it."""
        return {**os.environ, "HOME": str(self.home), "SECRET_TOKEN": "hunter2"}

    def open(self, *programs: str) -> Landlock:
        """A sandbox as a daemon has it after its start; `programs` are shown inside."""
        shown = policy.Shown(programs=programs)
        self.opened.append(Landlock(self.folder / "held", self.runtime, self.environment, lambda: shown))
        return self.opened[-1]

    def view(self, key: str = "t1", *mounts: Mount) -> View:
        """A session's view."""
        own = self.own(key)
        for name in ("tree", "home"):
            (own / name).mkdir(parents=True, exist_ok=True)
        self.keys.add(key)
        tree, shown = (
            Mount(kind, str(path), source=str(path)) for kind, path in (("write", own / "tree"), ("read", self.shown))
        )  # type: ignore[arg-type]
        return View(key, (tree, shown, *mounts), str(own / "home"), str(own / "lock"))

    def own(self, key: str = "t1") -> Path:
        """The folder of a session."""
        return self.folder / "workspaces" / key

    def command(self, key: str, *argv: str, view: str = "t1", **more: object) -> Command:
        """A command in the session's tree."""
        return Command(key, argv, str(self.own(view) / "tree"), stdin="pipe", **more)  # type: ignore[arg-type]

    async def run(self, sandbox: Landlock, script: str, *, view: View | None = None) -> str:
        """Run a shell script in the tree to its end; returns what it wrote."""
        seen = view or self.view()
        ran = await sandbox.run_in(seen, ("sh", "-ec", f"cd '{self.own(seen.key)}/tree'\n{script}"))
        assert ran.status == 0, ran
        return ran.out.decode()

    async def close(self) -> None:
        """End everything."""
        for sandbox in self.opened:
            for key in self.keys:
                await sandbox.close_box(key)
            await sandbox.close()
