"""Names that code goes by, `module.function` or `Class.method`, and which files define or use them. Python alone is read."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from heddle.core.errors import UserError

MOST_SYMBOLS = 20
LARGEST = 400_000
"""Bytes of the largest file that is read."""

LONGEST_CHAIN = 10
"""Parts of a name: longer ones are no names of anything."""

SUFFIX = ".py"

Parts = tuple[str, ...]

_SYMBOL = re.compile(r"[A-Za-z_]\w{0,99}(?:\.[A-Za-z_]\w{0,99}){1,9}", re.ASCII)


def require_symbols(symbols: Iterable[str]) -> tuple[str, ...]:
    """Checked names. Raises UserError(slug="bad-symbol")."""
    names = tuple(dict.fromkeys(symbol.strip() for symbol in symbols))
    hint = "name it with what it belongs to, as module.function or Class.method"
    wrong = next((name for name in names if not _SYMBOL.fullmatch(name)), None)
    if wrong is not None:
        raise UserError(f"{wrong[:80]!a} names no symbol", slug="bad-symbol", hint=hint)
    if len(names) > MOST_SYMBOLS:
        raise UserError(f"{len(names)} symbols are named", slug="bad-symbol", hint="name their module as a path")
    return names


@dataclass(frozen=True, slots=True)
class Source:
    """What a file says. `defined`: names with all that they belong to, outermost first; `spoken`: what it imports, and what
    it takes from that; `taken`: names that it takes from something, or gives to what it derives. Of a file that is no
    Python at this moment only its `words` are known.
    """

    defined: frozenset[Parts] = frozenset()
    spoken: frozenset[Parts] = frozenset()
    taken: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    def defines(self, symbol: str) -> bool:
        """Whether it is what a note about the symbol speaks of."""
        return _any_ends(self.defined, tuple(symbol.split(".")))

    def concerns(self, symbol: str) -> bool:
        """Whether it defines the symbol or uses it. Whose method is called cannot be told without running it: a file that
        knows the class and calls a method of that name is taken to use it.
        """
        parts = tuple(symbol.split("."))
        if self.words:
            return set(parts[-2:]) <= self.words
        known = self.spoken | self.defined
        return _any_ends(known, parts) or (parts[-1] in self.taken and _any_ends(known, parts[:-1]))


def _any_ends(names: Iterable[Parts], parts: Parts) -> bool:
    return any(name[-len(parts) :] == parts for name in names)


def source(path: str, data: bytes) -> Source | None:
    """What a file says of symbols; None for what is no Python or too large to be read."""
    if not path.endswith(SUFFIX) or len(data) > LARGEST:
        return None
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # deep nesting is one of the last two
        return Source(words=frozenset(re.findall(r"\w+", data.decode(errors="replace"))))
    home = tuple(path.removesuffix(SUFFIX).split("/"))
    package = home[:-1]
    known = _imports(tree, package)
    defined = frozenset(_definitions(tree, package if home[-1] == "__init__" else home))
    spoken, taken = set(known.values()), {name[-1] for name in defined}
    everything = any(name[-1] == "*" for name in spoken)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            taken.add(node.attr)
            spoken.update(_said(node, known))
        elif isinstance(node, ast.Name) and everything:
            taken.add(node.id)
    return Source(defined, frozenset(name[:-1] if name[-1] == "*" else name for name in spoken), frozenset(taken))


def _definitions(tree: ast.Module, home: Parts) -> Iterator[Parts]:
    """Functions, classes and constants of the module and of its classes; what is inside of a function is its own."""
    front: list[tuple[ast.AST, Parts]] = [(tree, home)]
    while front:
        node, within = front.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                yield (*within, child.name)
                front.append((child, (*within, child.name)))
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (*within, child.name)
            elif isinstance(child, ast.Name):
                if isinstance(child.ctx, ast.Store):
                    yield (*within, child.id)
            elif not isinstance(child, ast.Lambda):
                front.append((child, within))


def _imports(tree: ast.Module, package: Parts) -> dict[str, Parts]:
    """What each imported name stands for; `*` at the end of one: all that is in there."""
    known: dict[str, Parts] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = tuple(alias.name.split("."))
                known[alias.asname or alias.name] = parts
                known.setdefault(alias.asname or parts[0], parts if alias.asname else parts[:1])
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = (*above, *(node.module.split(".") if node.module else ()))
            for alias in node.names:
                known[alias.asname or (alias.name if alias.name != "*" else f"*{node.lineno}")] = (*module, alias.name)
    return known


def _said(node: ast.Attribute, known: dict[str, Parts]) -> Iterator[Parts]:
    """A chain like `a.b.c`, with what `a` stands for in its place; nothing for a chain that begins otherwise."""
    parts: list[str] = []
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute) and len(parts) < LONGEST_CHAIN:
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield (*known.get(inner.id, (inner.id,)), *reversed(parts))
