"""Import statements by tree-sitter. A grammar is loaded when a file of its language is read first; a query finds the statements."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Node, Parser, Query, QueryCursor

_DEEPEST = 60
"""How far below the top of a file a statement is looked for: what nests deeper was not written by people."""

_STATEMENTS = frozenset(["import_statement", "export_statement", "import_declaration", "use_declaration", "mod_item"])

_SCRIPT = """
(import_statement source: (string) @quoted)
(export_statement source: (string) @quoted)
(call_expression function: (import) arguments: (arguments . (string) @quoted))
(call_expression function: (identifier) @called arguments: (arguments . (string) @quoted) (#eq? @called "require"))
"""
_QUERIES = {
    "javascript": _SCRIPT,
    "typescript": f"{_SCRIPT} (import_require_clause source: (string) @quoted)",
    "tsx": f"{_SCRIPT} (import_require_clause source: (string) @quoted)",
    "go": "(import_spec path: (interpreted_string_literal) @quoted)",
    "rust": "(use_declaration argument: (_) @used) (mod_item name: (identifier) @mod !body)",
    "java": "(import_declaration . (_) @name)",
}


def found(language: str, data: bytes) -> list[str]:
    """What a file imports; nothing of a language that has no grammar here."""
    if language not in _QUERIES:
        return []
    from tree_sitter import QueryCursor

    parser, query = _tools(language)
    cursor = QueryCursor(query)
    cursor.set_max_start_depth(_DEEPEST)
    root = parser.parse(data).root_node
    told = []
    for capture, node in (one for top in _sound(root) for one in _captured(cursor, top)):
        reader = _READERS.get(capture)
        told += reader(node) if reader is not None else []
    return told


def _sound(root: "Node") -> "list[Node]":
    """Where to look. What a parser could not read may be laid out so that a query takes minutes: of such a file only
    those statements at its top that are imports.
    """
    return [top for top in root.children if top.type in _STATEMENTS and not top.has_error] if root.has_error else [root]


def _captured(cursor: "QueryCursor", top: "Node") -> "list[tuple[str, Node]]":
    return [(capture, node) for capture, nodes in cursor.captures(top).items() for node in nodes]


@lru_cache
def _tools(language: str) -> "tuple[Parser, Query]":
    from tree_sitter import Parser, Query

    grammar = _grammar(language)
    return Parser(grammar), Query(grammar, _QUERIES[language])


def _grammar(language: str) -> "Language":
    from tree_sitter import Language

    match language:
        case "javascript":
            import tree_sitter_javascript

            return Language(tree_sitter_javascript.language())
        case "typescript" | "tsx":
            import tree_sitter_typescript as scripts

            return Language(scripts.language_tsx() if language == "tsx" else scripts.language_typescript())
        case "go":
            import tree_sitter_go

            return Language(tree_sitter_go.language())
        case "rust":
            import tree_sitter_rust

            return Language(tree_sitter_rust.language())
        case _:
            import tree_sitter_java

            return Language(tree_sitter_java.language())


def _text(node: "Node | None") -> str:
    return node.text.decode(errors="replace") if node is not None and node.text is not None else ""


def _used(node: "Node") -> list[str]:
    """The paths of a use tree, without calling deeper the deeper it nests."""
    front: list[tuple[Node | None, str]] = [(node, "")]
    told = []
    while front:
        branch, before = front.pop()
        if branch is None:
            continue
        match branch.type:
            case "use_list":
                front += [(child, before) for child in branch.named_children]
            case "scoped_use_list":
                path = _text(branch.child_by_field_name("path"))
                front.append((branch.child_by_field_name("list"), f"{before}{path}::"))
            case "use_as_clause":
                front.append((branch.child_by_field_name("path"), before))
            case "use_wildcard":
                front.append((branch.named_child(0), before))
            case _:
                told.append(f"{before}{_text(branch)}")
    return told


_READERS: "dict[str, Callable[[Node], list[str]]]" = {
    "quoted": lambda node: [_text(node)[1:-1]],
    "used": _used,
    "mod": lambda node: [f"mod {_text(node)}"],
    "name": lambda node: [_text(node)],
}
