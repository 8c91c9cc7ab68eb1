"""What agents are told: the texts that Heddle ships, and the person's own roles as their files are now."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path


class Texts(Mapping[str, str]):
    """Texts by name: `stage-plan`, `role-docs`, and `own-role-NAME` for each NAME.md in the person's folder.

    An own one that cannot be read is empty: whoever asks for it says that it is no role, and nothing else fails by it.
    """

    def __init__(self, folder: Path, own: str) -> None:
        self._folder, self._own = folder, own
        shipped = (entry for entry in files("heddle.data.roles").iterdir() if entry.name.endswith(".md"))
        named = {entry.name.removesuffix(".md"): entry.read_text() for entry in shipped}
        self._shipped = {name if name.startswith("stage-") else f"role-{name}": text for name, text in named.items()}

    def __getitem__(self, name: str) -> str:
        if name in self._shipped:
            return self._shipped[name]
        if name not in set(self._names()):
            raise KeyError(name)
        try:
            return (self._folder / f"{name.removeprefix(self._own)}.md").read_text(errors="replace")
        except OSError:
            return ""

    def __iter__(self) -> Iterator[str]:
        return iter([*self._shipped, *self._names()])

    def __len__(self) -> int:
        return len(self._shipped) + len(self._names())

    def _names(self) -> list[str]:
        return [f"{self._own}{path.stem}" for path in sorted(self._folder.glob("*.md"))]
