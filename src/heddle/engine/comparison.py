"""Comparing lines of work of one repository: what is cheap clears, a real merge alarms, what was found once is kept."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from heddle.core.errors import HeddleError
from heddle.core.radar import MAIN, Drift, Hunk, Level, Places, Touched, judge, meetings, near, pair_of, places
from heddle.core.symbols import Break, Symbols, all_of, broken, broken_together, functions, is_read, used, words
from heddle.ports import Conflicted, Merged, Repository, Trio, Unmerged

MOST_READ = 200
"""Files of a side that are looked into."""

MOST_NEAR = 20
"""Paths of a pair whose lines are compared."""

_LOST = "what it has written cannot be read any more"

Verdict = Merged | Conflicted | Unmerged
Texts = tuple[str | None, str | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of work: the task (MAIN for the branch itself), where it began, what it is now, and where it is to land."""

    task: str
    base: str
    tree: str
    branch: str
    contest: str = ""


@dataclass(slots=True)
class Looked:
    """What is known of one line of work. `why`: what failed."""

    touched: tuple[Touched, ...] = ()
    places: Places = Places()
    hunks: dict[str, tuple[Hunk, ...]] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """Of a changed file: what it breaks, all that could be a name in it, and where its functions were."""

    breaks: tuple[Break, ...]
    words: frozenset[str]
    functions: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two lines, and the commit that both come from."""

    one: Line
    other: Line
    ancestor: str
    met: tuple[str, ...]


class Comparison:
    """Compares what there is now. Nothing is kept of lines that are gone."""

    def __init__(self, repository: Repository) -> None:
        self.repository = repository
        self._looked: dict[tuple[str, str], Looked] = {}
        self._read: dict[Touched, Words] = {}
        self._used: dict[Touched, Symbols] = {}
        self._found: dict[tuple[Line, Line], Drift] = {}
        self._ancestors: dict[tuple[str, str], str] = {}
        self._trees: dict[str, str] = {}

    def changed(self, line: Line) -> int | None:
        """How many paths a line of work changed; None when it was compared with nothing."""
        looked = self._looked.get((line.base, line.tree))
        return len(looked.touched) if looked and not looked.why else None

    async def drifts(self, lines: Sequence[Line]) -> dict[tuple[str, str], Drift]:
        """Every two of the lines, and each with its branch where that moved. Raises HeddleError when nothing can be told."""
        known = self._looked
        await self._learn_trees({line.base for line in lines})
        mains, _ = await asyncio.gather(self._tips(lines), self._look({_key(line) for line in lines}))
        wanted = [
            (one, other)
            for number, one in enumerate(lines)
            for other in lines[number + 1 :]
            if one.branch == other.branch and not (one.contest and one.contest == other.contest)
        ]
        wanted += [
            (line, Line(MAIN, line.base, mains[line.branch], line.branch))
            for line in lines
            if mains[line.branch] != line.base
        ]
        await self._learn_trees({line.tree for pair in wanted for line in pair if line.task == MAIN})
        keys = {_key(line) for pair in wanted for line in pair}
        self._looked |= {key: looked for key, looked in known.items() if key in keys and not looked.why}
        await self._look(keys | {_key(line) for line in lines})
        found = await self._judge([pair for pair in wanted if pair not in self._found])
        self._found = {pair: found.get(pair) or self._found[pair] for pair in wanted}
        drifts = {drift.pair: drift for drift in self._found.values()}
        for line in lines:
            drifts.setdefault(pair_of(line.task, MAIN), judge(line.task, MAIN, ()))
        self._found = {pair: drift for pair, drift in self._found.items() if drift.level is not None}  # tried again
        return drifts

    async def _learn_trees(self, commits: set[str]) -> None:
        self._trees = {
            commit: tree for commit, tree in self._trees.items() if commit in commits or len(self._trees) < 99
        }
        for commit in commits - set(self._trees):
            self._trees[commit] = await self.repository.tree_of(commit)

    def _tree(self, id: str) -> str:
        """The tree that a commit holds, or that a tree is."""
        return self._trees.get(id, id)

    async def _tips(self, lines: Sequence[Line]) -> dict[str, str]:
        return {branch: await self._tip(branch) for branch in dict.fromkeys(line.branch for line in lines)}

    async def _tip(self, branch: str) -> str:
        return await self.repository.resolve(f"refs/heads/{branch}")

    # ------------------------------------------------------------------------------------------- each alone

    async def _look(self, wanted: set[tuple[str, str]]) -> None:
        """Know what each changed; of what was known, only what is wanted is kept."""
        self._looked = {key: looked for key, looked in self._looked.items() if key in wanted and not looked.why}
        fresh = wanted - set(self._looked)
        if not fresh:
            return
        asked = {(self._tree(base), self._tree(tree)) for base, tree in fresh}
        told = dict(zip(asked, await self.repository.touched(list(asked)), strict=True))
        for base, tree in fresh:
            touched = told[self._tree(base), self._tree(tree)]
            why = "" if touched is not None else _LOST
            self._looked[base, tree] = Looked(touched or (), places(touched or ()), why=why)

    async def _read_all(self) -> None:
        """What the files of all break, and the words in them; a file that did not change since is not read again."""
        wanted = [part for looked in self._looked.values() for part in _readable(looked.touched)]
        self._read = await self._known(self._read, wanted, _read)

    async def _use_all(self, pairs: Iterable[Pair]) -> None:
        """What files newly use that have the name of something in them which the other one breaks: few, or none."""
        wanted = [
            part
            for pair in pairs
            for one, other in ((pair.one, pair.other), (pair.other, pair.one))
            if (names := {found.name for found in self._breaks(one)})
            for part in _readable(self._of(other).touched)
            if not names.isdisjoint(self._read[part].words)
        ]
        self._used = await self._known(self._used, wanted, _use)

    async def _known(
        self, known: dict[Touched, T], wanted: Sequence[Touched], read: Callable[[Touched, Texts], T]
    ) -> dict[Touched, T]:
        """What is wanted, and no more; what was not known is read by `read`."""
        fresh = list(dict.fromkeys(part for part in wanted if part not in known))
        contents = await self._contents([blob for part in fresh for blob in (part.before, part.after)])
        texts = [*map(_text, contents)]
        told = await asyncio.to_thread(lambda: [*map(read, fresh, zip(texts[::2], texts[1::2], strict=True))])
        return {part: known[part] for part in wanted if part in known} | dict(zip(fresh, told, strict=True))

    async def _contents(self, blobs: Sequence[str]) -> Sequence[bytes | None]:
        """Of what cannot be read nothing is said."""
        if not blobs:
            return ()
        try:
            return await self.repository.contents(blobs)
        except HeddleError:
            return (None,) * len(blobs)

    # ---------------------------------------------------------------------------------------- each with each

    async def _judge(self, wanted: Sequence[tuple[Line, Line]]) -> dict[tuple[Line, Line], Drift]:
        found: dict[tuple[Line, Line], Drift] = {}
        pairs: dict[tuple[Line, Line], Pair] = {}
        for one, other in wanted:
            lost = [line for line in (one, other) if self._of(line).why]
            if lost:
                found[one, other] = self._drift(one, other, (), conflicts=None, unknown=self._of(lost[0]).why)
                continue
            met = meetings(self._of(one).places, self._of(other).places)
            ancestor = await self._ancestor(one.base, other.base) if met else ""
            pairs[one, other] = Pair(one, other, ancestor, met)
        asked = [key for key, pair in pairs.items() if pair.met and pair.ancestor]
        merged, _ = await asyncio.gather(self._merged([self._trio(pairs[key]) for key in asked]), self._read_all())
        verdicts = dict(zip(asked, merged, strict=True))
        await self._use_all(pairs.values())
        found |= {key: self._worst(pair, verdicts.get(key)) for key, pair in pairs.items()}
        mild = {key: pairs[key] for key, drift in found.items() if drift.level is Level.SAME_FILE}
        beside = await self._close([pair for pair in mild.values() if pair.other.task != MAIN])
        for key, pair in mild.items():
            if paths := beside.get(pair, ()):
                found[key] = self._drift(pair.one, pair.other, pair.met, close=paths)
        return found

    def _trio(self, pair: Pair) -> Trio:
        return Trio(*map(self._tree, (pair.one.tree, pair.other.tree, pair.ancestor)))

    async def _merged(self, trios: Sequence[Trio]) -> tuple[Verdict, ...]:
        try:
            return await self.repository.merges(trios) if trios else ()
        except HeddleError as error:
            return (Unmerged(error.message),) * len(trios)

    def _worst(self, pair: Pair, verdict: Verdict | None) -> Drift:
        """What a merge and the symbols say."""
        one, other = pair.one, pair.other
        if pair.met and not pair.ancestor:
            return self._drift(one, other, pair.met, conflicts=None, unknown="they have no commit in common")
        if isinstance(verdict, Unmerged):
            return self._drift(one, other, pair.met, conflicts=None, unknown=verdict.why)
        if isinstance(verdict, Conflicted):
            conflicts = self._own(pair, verdict.paths)
            if conflicts:
                return self._drift(one, other, pair.met, conflicts=conflicts)
        breaks = broken_together(self._symbols(one), self._symbols(other))
        if breaks:
            paths = tuple(sorted({path for found in breaks for path in found.paths}))
            return self._drift(one, other, paths, breaks=[found.words for found in breaks])
        return self._drift(one, other, pair.met)

    def _own(self, pair: Pair, paths: tuple[str, ...]) -> tuple[str, ...]:
        """Without what one of them only took over from main, when they began on different commits: that one is stale."""
        if pair.one.base == pair.other.base:
            return paths
        ours, theirs = (self._of(line).places.names for line in (pair.one, pair.other))
        return tuple(path for path in paths if path in ours and path in theirs)

    async def _close(self, pairs: Sequence[Pair]) -> dict[Pair, tuple[str, ...]]:
        """The paths of each pair whose plain changes are near; where nobody can say it, they are not."""
        same = {pair: self._same(pair) for pair in pairs}
        asked = [
            (_key(line), path) for pair, paths in same.items() for line in (pair.one, pair.other) for path in paths
        ]
        try:
            await self._learn_hunks(asked)
        except HeddleError:
            return {}
        found = {}
        for pair, paths in same.items():
            ours, theirs = (self._of(line).hunks for line in (pair.one, pair.other))
            found[pair] = tuple(
                path
                for path, part in paths.items()
                if near(ours[path], theirs[path], self._read[part].functions if part in self._read else ())
            )
        return found

    def _same(self, pair: Pair) -> dict[str, Touched]:
        """What both changed of one and the same content."""
        one, other = ({part.path: part for part in self._of(line).touched} for line in (pair.one, pair.other))
        both = [p for p in pair.met if p in one and p in other and one[p].before and one[p].before == other[p].before]
        return {path: one[path] for path in both[:MOST_NEAR]}

    async def _learn_hunks(self, asked: Sequence[tuple[tuple[str, str], str]]) -> None:
        """Which lines each changed at a path; what is known is not asked again."""
        fresh = [(key, path) for key, path in asked if path not in self._looked[key].hunks]
        keys, paths = list(dict.fromkeys(key for key, _ in fresh)), list(dict.fromkeys(path for _, path in fresh))
        if not keys:
            return
        told = await self.repository.hunks([(self._tree(base), self._tree(tree)) for base, tree in keys], paths)
        for key, hunks in zip(keys, told, strict=True):
            self._looked[key].hunks |= {path: hunks.get(path, ()) for path in paths}

    async def _ancestor(self, one: str, other: str) -> str:
        """The commit that both begin on, or go back to; "" when there is none."""
        if one == other:
            return one
        key = (min(one, other), max(one, other))
        if key not in self._ancestors:
            self._ancestors[key] = await self.repository.fork_point(*key)
        await self._learn_trees(set(filter(None, (self._ancestors[key],))))
        return self._ancestors[key]

    def _of(self, line: Line) -> Looked:
        return self._looked[_key(line)]

    def _breaks(self, line: Line) -> tuple[Break, ...]:
        return tuple(found for part in _readable(self._of(line).touched) for found in self._read[part].breaks)

    def _symbols(self, line: Line) -> Symbols:
        parts = _readable(self._of(line).touched)
        return all_of([Symbols(self._breaks(line)), *(self._used[part] for part in parts if part in self._used)])

    def _drift(
        self,
        one: Line,
        other: Line,
        met: Sequence[str],
        *,
        conflicts: Sequence[str] | None = (),
        unknown: str = "",
        breaks: Sequence[str] = (),
        close: Sequence[str] = (),
    ) -> Drift:
        pair = pair_of(one.task, other.task)
        return judge(*pair, met, conflicts=conflicts, unknown=unknown, breaks=breaks, close=close)

    async def diff(self, other: Line | None, mine: Line | None, paths: Sequence[str], limit_bytes: int) -> str:
        """What a line of work, or main since `mine` began, changed at some paths."""
        if other is not None:
            return await self.repository.diff(other.base, other.tree, limit_bytes=limit_bytes, paths=paths)
        if mine is None:
            return ""
        tip = await self._tip(mine.branch)
        return await self.repository.diff(mine.base, tip, limit_bytes=limit_bytes, paths=paths)


def _key(line: Line) -> tuple[str, str]:
    return (line.base, line.tree)


def _readable(touched: Sequence[Touched]) -> list[Touched]:
    return [part for part in touched if is_read(part.path) or is_read(part.origin)][:MOST_READ]


def _read(part: Touched, texts: Texts) -> Words:
    """A renamed file is gone where it was."""
    before, after = texts
    breaks = broken(part.origin, before, None) if part.origin else broken(part.path, before, after)
    return Words(breaks, words(after), functions(before))


def _use(part: Touched, texts: Texts) -> Symbols:
    """The lines of a renamed file are no newer for that."""
    return used(part.path, *texts)


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")
