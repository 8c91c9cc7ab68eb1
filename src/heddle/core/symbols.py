"""What breaks together although it merges: a definition that one side removed or changed, and the other newly uses.

Python alone, by its own grammar. Other languages are left out: nothing is said of them. In doubt nothing is said either,
since an alarm costs a session a turn: names that are bound twice, decorated functions, and methods that many types have.
"""

import ast
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

LARGEST = 400_000
"""Characters of a file that is looked into."""

LANGUAGES = ("Python",)
"""What is looked into; of other languages nothing is said."""

_FAULTS = (SyntaxError, ValueError, RecursionError, MemoryError)
_METHODS_OF_MANY = frozenset(
    name for kind in (dict, list, str, set, bytes, tuple, int, float) for name in dir(kind)
) | {"close", "open", "read", "write", "run", "start", "stop", "send", "wait", "put", "next", "load", "save"}
_WORD = re.compile(r"[^\W\d]\w*")
_DEEPEST = 8
_ROOTS = frozenset({(), ("src",), ("lib",), ("python",)})


@dataclass(frozen=True, slots=True)
class Signature:
    """What a call has to bring: `positional` names in order, how many of all may not be missing, and what else is taken."""

    positional: tuple[str, ...]
    required: frozenset[str]
    only_by_name: frozenset[str]
    only_by_place: int
    any_places: bool
    any_names: bool


@dataclass(frozen=True, slots=True)
class Call:
    """What a call brings: how many arguments by place, which by name; `open`: also some that nobody can count."""

    places: int
    names: frozenset[str]
    open: bool


@dataclass(frozen=True, slots=True)
class Break:
    """A definition of the module at `path` that is gone, or has other parameters (`now`). `owner`: its class, or ""."""

    path: str
    name: str
    owner: str = ""
    now: Signature | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """A name of `module` (dotted; None: of its own file; "?": of whatever object) used at a line; `call` when it is called."""

    path: str
    line: int
    module: str | None
    name: str
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Symbols:
    """What one side breaks and what it newly uses. `sources`: modules that each of its files imports from."""

    breaks: tuple[Break, ...] = ()
    uses: tuple[Use, ...] = ()
    sources: tuple[tuple[str, frozenset[str]], ...] = ()


def all_of(parts: Sequence[Symbols]) -> Symbols:
    """Many files' as one side's."""
    return Symbols(
        tuple(one for part in parts for one in part.breaks),
        tuple(one for part in parts for one in part.uses),
        tuple(one for part in parts for one in part.sources),
    )


@dataclass(frozen=True, slots=True)
class Clash:
    """A use of what the other side broke: in words, and the paths of both."""

    words: str
    paths: tuple[str, str]


def is_read(path: str) -> bool:
    """Whether a file of that name is looked into."""
    return path.endswith(".py")


def broken(path: str, before: str | None, after: str | None) -> tuple[Break, ...]:
    """What a change of one file breaks; None: there is no such file. What cannot be read says nothing."""
    old, new = _parsed(before), _parsed(after)
    return () if old is None or (new is None and after is not None) else _breaks(path, old, new)


def words(source: str | None) -> frozenset[str]:
    """All that could be a name in a file: cheap to tell, before anything is looked into."""
    return frozenset(_WORD.findall(source)) if source is not None else frozenset()


def used(path: str, before: str | None, after: str | None) -> Symbols:
    """What a change of one file newly uses, and the modules that it imports from."""
    new = _parsed(after)
    if new is None or after is None:
        return Symbols()
    reader = _Reader(path, new, _added(before or "", after))
    return Symbols((), tuple(reader.uses()), ((path, frozenset(reader.sources)),))


def broken_together(ours: Symbols, theirs: Symbols) -> tuple[Clash, ...]:
    """What one side newly uses and the other broke. Empty when nothing is known of any such thing."""
    return tuple(dict.fromkeys((*_met(ours, theirs), *_met(theirs, ours))))


def functions(source: str | None) -> tuple[tuple[int, int], ...]:
    """First and last line of every function, decorators included; none where the source cannot be read."""
    tree = _parsed(source)
    return tuple(_spans(tree.body)) if tree else ()


def _spans(body: Sequence[ast.stmt]) -> Iterable[tuple[int, int]]:
    """Of statements alone: no expression has a function in it but one that is its own line."""
    front = list(body)
    while front:
        node = front.pop()
        if isinstance(node, _FUNCTIONS):
            yield (min((one.lineno for one in node.decorator_list), default=node.lineno), node.end_lineno or 0)
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            front += getattr(node, part, ())


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _parsed(source: str | None) -> ast.Module | None:
    if source is None or len(source) > LARGEST:
        return None
    try:
        return ast.parse(source)
    except _FAULTS:
        return None


def _added(before: str, after: str) -> frozenset[int]:
    """Numbers of lines that `before` has less often."""
    left, found = Counter(before.splitlines()), set[int]()
    for number, line in enumerate(after.splitlines(), start=1):
        if left[line]:
            left[line] -= 1
        else:
            found.add(number)
    return frozenset(found)


# ------------------------------------------------------------------------------------------- definitions


@dataclass(slots=True)
class _Defined:
    """What a module binds: every name, and the definitions among them with their parameters (None: unknown)."""

    bound: set[str] = field(default_factory=set)
    made: dict[tuple[str, str], Signature | None] = field(default_factory=dict)
    heirs: set[str] = field(default_factory=set)
    open: bool = False  # it takes in names that nobody can list


def _breaks(path: str, old: ast.Module, new: ast.Module | None) -> tuple[Break, ...]:
    reexports = posixpath.basename(path) == "__init__.py"
    before, after = _defined(old, reexports=reexports), _defined(new, reexports=True) if new else _Defined()
    if after.open:
        return ()
    found = []
    for (owner, name), was in before.made.items():
        if (owner or name) not in after.bound:
            found += [] if owner else [Break(path, name)]
        elif owner and (owner, name) not in after.made:
            found += [] if owner in after.heirs else [Break(path, name, owner)]
        elif was is not None and (now := after.made.get((owner, name))) is not None and now != was:
            found.append(Break(path, name, owner, now))
    return tuple(found)


def _defined(tree: ast.Module, *, reexports: bool) -> _Defined:
    told = _Defined()
    for node in _top_level(tree.body):
        if isinstance(node, (*_FUNCTIONS, ast.ClassDef)):
            twice = node.name in told.bound
            told.bound.add(node.name)
            told.made["", node.name] = None if twice else _signature(node)
            if isinstance(node, ast.ClassDef):
                told.heirs.update([node.name] if node.bases else [])
                for inner in node.body:
                    if isinstance(inner, _FUNCTIONS) and not inner.name.startswith("__"):
                        told.made[node.name, inner.name] = _signature(inner, bound=True)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            fresh = [alias.asname or alias.name.partition(".")[0] for alias in node.names]
            told.open = told.open or "*" in fresh
            told.bound.update(fresh)
            told.made.update({("", name): None for name in fresh if reexports and name != "*"})
        else:
            fresh = [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and _binds(inner)]
            told.bound.update(fresh)
            told.made.update({("", name): None for name in fresh})
    return told


def _binds(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def _top_level(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Statements of a module, those under its conditions too."""
    for node in body:
        if isinstance(node, ast.If | ast.Try | ast.With):
            for part in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, part, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _top_level(handler.body)
        else:
            yield node


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, *, bound: bool = False) -> Signature | None:
    """The parameters that a caller sees; None where something else may have changed them."""
    if isinstance(node, ast.ClassDef):
        made = [one for one in node.body if isinstance(one, _FUNCTIONS) and one.name == "__init__"]
        plain = len(made) == 1 and not node.decorator_list and not node.keywords
        return _signature(made[0], bound=True) if plain else None
    kinds = {one.id if isinstance(one, ast.Name) else "?" for one in node.decorator_list}
    if kinds - {"staticmethod", "classmethod"}:
        return None
    told = node.args
    places = [one.arg for one in (*told.posonlyargs, *told.args)]
    required = set(places[: len(places) - len(told.defaults)])
    required |= {one.arg for one, default in zip(told.kwonlyargs, told.kw_defaults, strict=True) if default is None}
    by_place = len(told.posonlyargs)
    if bound and "staticmethod" not in kinds:
        required -= set(places[:1])
        places, by_place = places[1:], max(0, by_place - 1)
    by_name = frozenset(one.arg for one in told.kwonlyargs)
    return Signature(
        tuple(places), frozenset(required), by_name, by_place, told.vararg is not None, told.kwarg is not None
    )


def fits(call: Call, now: Signature) -> bool:
    """Whether a call can still be made; one that brings what nobody can count may be."""
    if call.open:
        return True
    if call.places > len(now.positional) and not now.any_places:
        return False
    by_place = set(now.positional[: call.places])
    nameable = set(now.positional[now.only_by_place :]) | now.only_by_name
    if not now.any_names and call.names - nameable:
        return False
    return not by_place & call.names and now.required <= by_place | call.names


# -------------------------------------------------------------------------------------------------- uses


class _Reader:
    """Reads what one file newly uses, and from where."""

    def __init__(self, path: str, tree: ast.Module, added: frozenset[int]) -> None:
        self.path, self.tree, self.added = path, tree, added
        self.names: dict[str, tuple[str, str]] = {}
        self.modules: dict[str, str] = {}
        nodes = list(ast.walk(tree))
        for node in nodes:
            self._learn(node)
        self.sources = {module for module, _ in self.names.values()} | set(self.modules.values())
        self.calls = {id(node.func): node for node in nodes if isinstance(node, ast.Call)}
        self.own = {node.name for node in tree.body if isinstance(node, (*_FUNCTIONS, ast.ClassDef))}
        self.hidden = {node.id for node in nodes if isinstance(node, ast.Name) and _binds(node)}
        self.hidden |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        self.nodes = nodes

    def _learn(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                self.modules[alias.asname or alias.name] = alias.name
        elif isinstance(node, ast.ImportFrom):
            module = self._absolute(node)
            for alias in node.names:
                self.names[alias.asname or alias.name] = (module, alias.name)
                self.modules[alias.asname or alias.name] = f"{module}.{alias.name}".lstrip(".")

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.path.split("/")[: -node.level]
        return ".".join((*package, *filter(None, (node.module or "").split("."))))

    def uses(self) -> Iterable[Use]:
        for node in self.nodes:
            line = getattr(node, "lineno", 0)
            if isinstance(node, ast.ImportFrom) and self._is_added(node):
                for alias in node.names:
                    yield Use(self.path, line, self._absolute(node), alias.name)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and self._is_added(node):
                yield from self._of_name(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and self._is_added(node):
                yield from self._of_attribute(node)

    def _of_name(self, node: ast.Name) -> Iterable[Use]:
        if node.id in self.hidden:
            return
        module, name = self.names.get(node.id, (None, node.id))
        if module is not None or node.id not in self.modules:
            yield Use(self.path, node.lineno, module, name, self._call(node))

    def _of_attribute(self, node: ast.Attribute) -> Iterable[Use]:
        module = self.modules.get(_dotted(node.value))
        if module is not None:
            yield Use(self.path, node.lineno, module, node.attr, self._call(node))
        elif node.attr not in _METHODS_OF_MANY:
            yield Use(self.path, node.lineno, "?", node.attr, self._call(node))

    def _is_added(self, node: ast.stmt | ast.expr) -> bool:
        around = self.calls.get(id(node), node)
        last = around.end_lineno or around.lineno
        return not self.added.isdisjoint(range(around.lineno, last + 1))

    def _call(self, node: ast.expr) -> Call | None:
        call = self.calls.get(id(node))
        if call is None:
            return None
        stars = any(isinstance(one, ast.Starred) for one in call.args)
        named = [one.arg for one in call.keywords]
        return Call(len(call.args), frozenset(filter(None, named)), stars or None in named)


def _dotted(node: ast.expr) -> str:
    """`a.b.c` as it is written; "" for what is no name, or a very long one."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < _DEEPEST:
        parts.append(node.attr)
        node = node.value
    return ".".join((node.id, *reversed(parts))) if isinstance(node, ast.Name) else ""


# ------------------------------------------------------------------------------------------------ meeting


def _met(breaking: Symbols, using: Symbols) -> Iterable[Clash]:
    mended = {(one.path, one.owner, one.name) for one in using.breaks}
    sources = dict(using.sources)
    wanted: dict[str, list[Break]] = {}
    for one in breaking.breaks:
        if (one.path, one.owner, one.name) not in mended:
            wanted.setdefault(one.name, []).append(one)
    for use in using.uses:
        for one in wanted.get(use.name, ()):
            if _is_of(use, one, sources.get(use.path, frozenset())) and _hurts(use, one):
                yield Clash(_words(use, one), (use.path, one.path))


def _is_of(use: Use, broken: Break, sources: frozenset[str]) -> bool:
    if broken.owner:
        known = use.path == broken.path or any(_names(one, broken.path, use.path) for one in sources)
        return use.module == "?" and known
    if use.module is None:
        return use.path == broken.path
    return use.module != "?" and _names(use.module, broken.path, use.path)


def _hurts(use: Use, broken: Break) -> bool:
    return broken.now is None or (use.call is not None and not fits(use.call, broken.now))


def _names(module: str, path: str, user: str) -> bool:
    """Whether a dotted name, as a file at `user` writes it, stands for the module at `path`."""
    parts = tuple(path.removesuffix(".py").removesuffix("/__init__").split("/"))
    dotted = tuple(module.split("."))
    if parts[-len(dotted) :] != dotted:
        return False
    above = parts[: -len(dotted)]
    return len(dotted) > 1 or above in _ROOTS or "/".join(above) == posixpath.dirname(user)


def _words(use: Use, broken: Break) -> str:
    name = f"{broken.owner}.{broken.name}" if broken.owner else broken.name
    how = "is gone there" if broken.now is None else "takes other arguments there"
    return f"{use.path}:{use.line} newly uses {name} of {broken.path}, which {how}"
