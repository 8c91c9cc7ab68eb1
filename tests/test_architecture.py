"""The shape is held by checks, not by reviews: imports of the core, sizes, names, and where exceptions may be swallowed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from support import house

CORE_MAY_IMPORT = frozenset(
    [
        "ast",
        "dataclasses",
        "enum",
        "typing",
        "collections",
        "collections.abc",
        "hashlib",
        "heapq",
        "json",
        "re",
        "functools",
        "itertools",
        "math",
        "string",
        "posixpath",
    ]
)
FUNCTION_WALL = 60
FILE_WALL = 400
EXCEPTIONS: dict[str, str] = {}
"""Files or functions past a wall, each with its reason."""

BANNED_PREFIXES = ("get_", "handle_", "process_", "do_")
BANNED_WORDS = ("Manager", "Helper")
BANNED_MODULES = frozenset({"utils", "misc", "common", "base"})
MAY_SWALLOW = frozenset(
    {
        "engine/branchqueue.py",
        "engine/fleet.py",
        "engine/trains.py",
        "server/app.py",
        "server/mcp/app.py",
        "holder/zygote.py",
        "holder/program.py",
        "holder/box/init.py",
        "holder/supervisor.py",
        "rehearsal/acp.py",
    }
)
"""Where `except Exception` may stand: it becomes an event, an answer or an exit there."""


def modules(root: Path) -> Iterator[tuple[str, ast.Module, str]]:
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        yield path.relative_to(root).as_posix(), ast.parse(text), text


def foreign_imports_of_the_core(root: Path) -> list[str]:
    found = []
    for name, tree, _ in modules(root):
        if not name.startswith("core/"):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                imported = [node.module or ""]
            else:
                continue
            found += [
                f"{name}: {one}" for one in imported if one not in CORE_MAY_IMPORT and not one.startswith("heddle.core")
            ]
    return found


def past_a_wall(root: Path) -> list[str]:
    found = []
    for name, tree, text in modules(root):
        lines = sum(bool(line.strip()) for line in text.splitlines())
        if lines > FILE_WALL and name not in EXCEPTIONS:
            found.append(f"{name} has {lines} lines")
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1 - len((ast.get_docstring(node) or "").splitlines())
                if length > FUNCTION_WALL and f"{name}:{node.name}" not in EXCEPTIONS:
                    found.append(f"{name}:{node.name} has {length} lines")
    return found


def banned_names(root: Path) -> list[str]:
    found = []
    for name, tree, _ in modules(root):
        if Path(name).stem in BANNED_MODULES:
            found.append(name)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith(BANNED_PREFIXES):
                found.append(f"{name}:{node.name}")
            if isinstance(node, ast.ClassDef) and any(word in node.name for word in BANNED_WORDS):
                found.append(f"{name}:{node.name}")
    return found


def swallowed(root: Path) -> list[str]:
    found = []
    for name, tree, _ in modules(root):
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler) and name not in MAY_SWALLOW:
                caught = ast.unparse(node.type) if node.type else "everything"
                if caught in ("Exception", "BaseException", "everything") and not _raises(node):
                    found.append(f"{name}:{node.lineno} swallows {caught}")
    return found


def _raises(node: ast.ExceptHandler) -> bool:
    return any(isinstance(inner, ast.Raise) for inner in ast.walk(node))


def undocumented(root: Path) -> list[str]:
    found = []
    for name, tree, _ in modules(root):
        if not ast.get_docstring(tree) and tree.body:
            found.append(name)
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in [*tree.body, *(inner for outer in classes for inner in outer.body)]:
            kinds = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
            if isinstance(node, kinds) and not node.name.startswith("_") and not ast.get_docstring(node):
                found.append(f"{name}:{node.name}")
    return found


def test_the_core_imports_nothing_but_words_and_rules() -> None:
    assert foreign_imports_of_the_core(house.SOURCE) == []


def test_functions_and_files_stay_within_their_walls() -> None:
    assert past_a_wall(house.SOURCE) == []


def test_names_are_words_of_the_house() -> None:
    assert banned_names(house.SOURCE) == []


def test_only_the_edges_swallow_surprises() -> None:
    assert swallowed(house.SOURCE) == []


def test_everything_public_says_what_it_means() -> None:
    assert undocumented(house.SOURCE) == []


def test_x6_no_error_text_holds_a_runnable_destructive_command() -> None:
    """X6: a hint may be pasted without a thought, so none may destroy."""
    destructive = re.compile(
        r"rm -[rf]|git (?:reset|clean|checkout -f|push --force|branch -D|stash (?:drop|clear)|worktree remove)|mkfs|dd if="
    )
    found = [
        f"{name}: {match.group()}" for name, _, text in modules(house.SOURCE) for match in destructive.finditer(text)
    ]
    assert found == []


def test_each_check_bites(tmp_path: Path) -> None:
    core = tmp_path / "core"
    core.mkdir()
    (core / "utils.py").write_text("import pydantic\ndef get_x():\n    try: pass\n    except Exception: pass\n")
    (tmp_path / "long.py").write_text("class ThingManager:\n    x = 1\ndef f():\n" + "    x = 1\n" * 500)
    assert foreign_imports_of_the_core(tmp_path) == ["core/utils.py: pydantic"]
    assert len(past_a_wall(tmp_path)) == 2
    assert banned_names(tmp_path) == ["core/utils.py", "core/utils.py:get_x", "long.py:ThingManager"]
    assert swallowed(tmp_path) == ["core/utils.py:4 swallows Exception"]
    assert len(undocumented(tmp_path)) == 5
