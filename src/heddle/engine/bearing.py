"""Which tasks a fact about another bears on, and which are under way: so that a look at the fleet costs what changed, and
not what there is.
"""

from collections import defaultdict
from collections.abc import Iterable

from heddle.core.links import Link, LinkKind
from heddle.core.run import Run


class Bearing:
    """Told of every run after each of its facts. `due`: tasks whose decision may rest on a fact that came after it; whoever
    decides about one takes it out.
    """

    def __init__(self) -> None:
        self.due: set[str] = set()
        self.live: set[str] = set()
        self._links: dict[str, tuple[Link, ...]] = {}
        self._behind: dict[LinkKind, defaultdict[str, set[str]]] = {kind: defaultdict(set) for kind in LinkKind}

    def take(self, run: Run, rivals: Iterable[str]) -> None:
        """A fact of the run came; `rivals` compete with it."""
        id = run.task.id
        self._relink(id, run.task.links)
        if ((run.number > 0 or run.stopping) and not run.over) or run.workspaces:
            self.live.add(id)
        else:
            self.live.discard(id)
        self.due |= self._borne_on(id, rivals)

    def _relink(self, id: str, links: tuple[Link, ...]) -> None:
        before = self._links.get(id, ())
        if links == before:
            return
        for link in before:
            self._behind[link.kind][link.task].discard(id)
        for link in links:
            self._behind[link.kind][link.task].add(id)
        self._links[id] = links

    def _borne_on(self, id: str, rivals: Iterable[str]) -> set[str]:
        """Itself and what competes with it, what waits for any of these, and all below: a task waits for what its parents
        wait for.
        """
        changed = {id, *rivals}
        blocked = {waiting for one in changed for waiting in self._behind[LinkKind.BLOCKS].get(one, ())}
        return changed | self._with_children({id, *blocked})

    def _with_children(self, tasks: set[str]) -> set[str]:
        found, front = set(tasks), list(tasks)
        while front:
            fresh = self._behind[LinkKind.PARENT].get(front.pop(), set()) - found
            found |= fresh
            front += fresh
        return found
