"""Which statements a source file imports by. A file that its language's parser cannot read tells none."""

import ast
import warnings
from collections.abc import Iterable

from heddle.adapters.imports import trees
from heddle.core.map.imports import language

_BLOCKS = ("cases", "finalbody", "orelse", "handlers", "body")
"""Where statements hold statements."""

LARGEST = 200_000
"""Bytes of a source file; a larger one is generated, and is not read."""


def statements(path: str, data: bytes) -> tuple[str, ...]:
    """What a file imports, each once: dotted names, module paths, or as the language says it (see core.map.imports)."""
    if len(data) > LARGEST:
        return ()
    found = _python(data) if language(path) == "python" else trees.found(language(path), data)
    return tuple(dict.fromkeys(found))


def _python(data: bytes) -> list[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # ValueError: a NUL, or a coding that is none
        return []
    return [name for node in _within(tree) for name in _named(node)]


def _within(tree: ast.Module) -> Iterable[ast.AST]:
    """Every statement; an import is one, so what lies in expressions is not looked at."""
    front: list[ast.AST] = [tree]
    while front:
        node = front.pop()
        yield node
        for field in _BLOCKS:
            front += getattr(node, field, ())


def _named(node: ast.AST) -> Iterable[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            stem = "." * level + (module or "")
            joint = "." if module else ""
            return [stem if alias.name == "*" else f"{stem}{joint}{alias.name}" for alias in names]
        case _:
            return []
