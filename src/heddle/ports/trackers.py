"""Task lists that live elsewhere, and what of the tracker is written out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from heddle.core.links import Link
from heddle.core.mirror import Reflection

FORMATS = ("github", "markdown", "beads", "speckit", "openspec", "jsonl")
"""What can be read, by the names that a person gives."""

ExportFormat: TypeAlias = Literal["jsonl", "roadmap"]


@dataclass(frozen=True, slots=True)
class Listed:
    """One task as a list elsewhere tells of it.

    `source` is its name for ever: the same task has the same one each time the list is read, and no two have the same.
    `text` is a title, and after a blank line what else is told: plain text of at most 50,000 characters without control
    characters. `closed`: nothing is left to do. Of `role`, `lane` ("" = not said) and `priority` (0, the highest, to 4;
    None = not said) the list may name what this repository does not have. The `task` of a link is a source; it need not
    be in the list, and links may form circles. A task has at most one parent.
    """

    source: str
    text: str
    closed: bool = False
    role: str = ""
    lane: str = ""
    priority: int | None = None
    links: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class Exported:
    """A task of ours as it is written out. `source` is that of the list it came from, or ""; links name ids of ours."""

    id: str
    source: str
    text: str
    status: str
    closed: bool
    role: str
    lane: str
    priority: int
    links: tuple[Link, ...] = ()


class Trackers(Protocol):
    """Reads task lists, and writes ours."""

    async def listed(self, where: str, format: str, root: str) -> tuple[Listed, ...]:
        """All tasks of a list, in its order.

        `where` is an absolute path (a file, or a folder for beads, speckit and openspec), or for github also
        "owner/name" ("" is the repository that `gh` finds in `root`, the main checkout). `format` is one of FORMATS; ""
        has it told by name and content.

        Raises UserError for what is no such list, with the line where there is one, SetupError(slug="gh-missing",
        "gh-login"), OutsideError for what `gh` or the disk fails at. Nothing is half read.
        """
        ...

    async def show(self, source: str, told: Reflection, root: str) -> None:
        """Have the issue of that source look so: its label, its state, and the comment unless its mark is there already.
        Nothing else of it is changed. Idempotent, also when a crash or a failure came between two of its steps.

        Raises UserError(slug="no-such-repository") for a source that names no issue of GitHub's, and as `listed`.
        """
        ...

    def text(self, tasks: Iterable[Exported], format: ExportFormat, before: str = "") -> str:
        """The tasks as text: JSON lines, or for roadmap `before` with nothing but the block of ours in it changed.

        Raises UserError(slug="broken-block") when the markers of that block do not match.
        """
        ...

    async def load_block(self, where: str) -> str:
        """The block of ours that the file `where` holds, its lines without their ends; "" when there is none.

        Raises as `write`.
        """
        ...

    async def write(self, tasks: Iterable[Exported], format: ExportFormat, where: str, root: str) -> bool:
        """Make the file `where` (an absolute path) hold that text; False when it does already.

        It is replaced at once or not at all, and keeps its mode. Raises UserError, also for what is no file, for a
        link, and for a path in `root` that leads out of it.
        """
        ...
