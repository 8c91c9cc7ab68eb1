"""The files of guidance in a person's checkout."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from heddle.core.rules.files import RuleFile
from heddle.core.rules.syncing import Write


class RulesCheckout(Protocol):
    """A checkout as it is now, uncommitted changes included. Paths are from its top, with `/`. Reading changes nothing."""

    async def paths(self) -> tuple[tuple[str, ...], bool]:
        """Files that are tracked, or untracked and not ignored; and whether these are all."""
        ...

    async def read(self, paths: Iterable[str]) -> tuple[RuleFile, ...]:
        """Those of the files that are there. A symbolic link is followed within the checkout only; what cannot be read as
        text is told in `trouble`.
        """
        ...

    async def there(self, places: Iterable[str]) -> frozenset[str]:
        """Those of the places that exist, or of which nobody can say: git would ignore them, or they are in a submodule."""
        ...

    async def committed(self, paths: Iterable[str]) -> Mapping[str, str | None]:
        """What the current commit holds at these paths; None: nothing, or no text."""
        ...

    async def write(self, writes: Iterable[Write]) -> None:
        """Write each text by a rename. Raises Refused (slug rules-moved, rules-outside) before anything is written where a
        file is not as it was, or lies behind a symbolic link; OutsideError where the disk fails.
        """
        ...
