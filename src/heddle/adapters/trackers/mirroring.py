"""An issue of GitHub that shows what became of its task: what is there is looked at first, so that nothing is told twice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from heddle.adapters.trackers.gh import REPOSITORY, Gh
from heddle.core.errors import OutsideError, UserError
from heddle.core.mirror import Reflection

LABEL = "in progress"
COLOUR = "fbca04"


@dataclass(frozen=True, slots=True)
class Mirror:
    """One issue: its repository as `gh` is told of it, and its number."""

    gh: Gh
    place: str
    number: str
    root: str

    async def show(self, told: Reflection) -> None:
        """See Trackers.show."""
        if not REPOSITORY.fullmatch(self.place) or not self.number.isdigit():
            message = f"'{ascii(self.place)[1:-1][:100]}#{self.number[:20]}' names no issue of GitHub"
            raise UserError(message, slug="no-such-repository", hint="bring the issues in from OWNER/NAME")
        there = await self._there()
        mark = f"<!-- heddle {told.mark} -->"
        if told.comment and not any(mark in body for body in _texts(there.get("comments"), "body")):
            await self._do("issue", "comment", self.number, f"--body={told.comment}\n\n{mark}")
        labelled = LABEL in _texts(there.get("labels"), "name")
        if told.working and not labelled:
            await self._do("label", "create", LABEL, "--force", f"--color={COLOUR}")
            await self._do("issue", "edit", self.number, f"--add-label={LABEL}")
        if labelled and not told.working:
            await self._do("issue", "edit", self.number, f"--remove-label={LABEL}")
        if told.closed and str(there.get("state", "")).casefold() == "open":
            await self._do("issue", "close", self.number)

    async def _there(self) -> Mapping[str, object]:
        out = await self._do("issue", "view", self.number, "--json=state,labels,comments")
        try:
            told = json.loads(out)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            hint = "see what it says: gh issue view"
            raise OutsideError(
                "gh issue view told no issue", slug="gh-failed", hint=hint, program="gh", tail=out[-200:]
            )
        return told

    async def _do(self, noun: str, verb: str, *args: str) -> str:
        return await self.gh.run([noun, verb, *args, f"--repo={self.place}"], self.root, self.place)


def _texts(listed: object, key: str) -> list[str]:
    return [str(one.get(key, "")) for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
