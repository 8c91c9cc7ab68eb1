"""Which files of the repository the import statements of a file mean. What leads out of the repository means none."""

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping

LANGUAGES: Mapping[str, str] = {
    "py": "python",
    "pyi": "python",
    "js": "javascript",
    "jsx": "javascript",
    "mjs": "javascript",
    "cjs": "javascript",
    "ts": "typescript",
    "mts": "typescript",
    "cts": "typescript",
    "tsx": "tsx",
    "go": "go",
    "rs": "rust",
    "java": "java",
}
"""What is read for imports, by the ending of a file's name."""

_SCRIPTS = ("ts", "tsx", "d.ts", "js", "jsx", "mjs", "cjs", "mts", "cts", "vue", "svelte", "json")
_WIDEST = 12
"""Files of a Go package; importing a wider one ties a file to nothing in particular."""


def language(path: str) -> str:
    """The language of a file that is read for imports; "" of any other."""
    return LANGUAGES.get(path.rpartition(".")[2], "") if "." in path else ""


class Finder:
    """Finds what statements mean among the files of one commit. `packages`: folders of its npm packages by their names."""

    def __init__(self, paths: Iterable[str], packages: Mapping[str, str] | None = None) -> None:
        self._paths = frozenset(paths)
        self._packages = packages or {}
        self._crates: dict[str, list[str]] = {}
        self._modules: dict[str, list[str]] = defaultdict(list)
        self._go: dict[str, list[str]] = defaultdict(list)
        self._java: dict[str, list[str]] = defaultdict(list)
        for path in sorted(self._paths):
            match language(path):
                case "python":
                    for name in self._names(path):
                        self._modules[name].append(path)
                case "go" if not path.endswith("_test.go"):
                    self._go[posixpath.dirname(path)].append(path)
                case "java":
                    self._java[posixpath.basename(path)].append(path)
                case "rust" if path.endswith("src/lib.rs"):
                    home = path.split("/")[:-1]
                    self._crates["".join(home[-2:-1]).replace("-", "_")] = home
                case _:
                    pass

    def found(self, path: str, statements: Iterable[str]) -> frozenset[str]:
        """The files that a file's statements, as the readers tell them, mean."""
        look = {"python": self._python, "go": self._go_package, "rust": self._rust, "java": self._java_class}
        finder = look.get(language(path), self._script)
        return frozenset(one for said in statements for one in finder(path, said)) - {path}

    def _names(self, path: str) -> Iterable[str]:
        """The dotted names of a Python file: from the folder above its topmost package, and from the top of the repository."""
        parts = path.rpartition(".")[0].split("/")
        root = len(parts) - 1
        while root and "/".join((*parts[:root], "__init__.py")) in self._paths:
            root -= 1
        if parts[-1] == "__init__":
            parts = parts[:-1]
        return {".".join(parts[start:]) for start in {0, root, 1 if parts[0] in ("src", "lib") else 0}} - {""}

    def _python(self, path: str, said: str) -> list[str]:
        """`said`: a dotted name with as many leading dots as levels; the last part may be a name within the module."""
        bare = said.lstrip(".")
        level = len(said) - len(bare)
        if level:
            folder = path.split("/")[:-level]
            if level > path.count("/") + 1:
                return []
            return self._relative([*folder, *filter(None, bare.split("."))])
        while bare:
            if bare in self._modules:
                return self._modules[bare]
            bare = bare.rpartition(".")[0]
        return []

    def _relative(self, parts: list[str]) -> list[str]:
        for end in (len(parts), len(parts) - 1):
            stem = "/".join(parts[:end])
            tried = (f"{stem}.py", f"{stem}/__init__.py", f"{stem}.pyi")
            known = [one for one in tried if one in self._paths]
            if known:
                return known[:1]
        return []

    def _script(self, path: str, said: str) -> list[str]:
        if not said.startswith("."):
            return self._package(said)
        return self._script_at(posixpath.normpath(posixpath.join(posixpath.dirname(path), said)))

    def _package(self, said: str) -> list[str]:
        """A package of this repository, or a module within one."""
        parts = said.split("/")
        depth = 2 if said.startswith("@") else 1
        home = self._packages.get("/".join(parts[:depth]))
        if home is None:
            return []
        tried = (posixpath.normpath("/".join((home, source, *parts[depth:]))) for source in ("src", "."))
        return next((found for target in tried if (found := self._script_at(target))), [])

    def _script_at(self, target: str) -> list[str]:
        stem = target.rpartition(".")[0] if target.endswith((".js", ".jsx", ".mjs", ".cjs")) else target
        tried = (
            target,
            *(f"{stem}.{ending}" for ending in _SCRIPTS),
            *(f"{target}/index.{ending}" for ending in _SCRIPTS),
        )
        return [one for one in tried if one in self._paths][:1]

    def _go_package(self, path: str, said: str) -> list[str]:
        """The folder whose path ends the import's: what stands before it is the name of the module."""
        parts = said.split("/")
        for start in range(len(parts)):
            files = self._go.get("/".join(parts[start:]), [])
            if files:
                return files if len(files) <= _WIDEST else []
        return []

    def _rust(self, path: str, said: str) -> list[str]:
        """`said`: a path from `crate`, `super` or `self`, or "mod NAME"."""
        folder = path.split("/")[:-1]
        stem = posixpath.basename(path).removesuffix(".rs")
        own = folder if stem in ("mod", "lib", "main") else [*folder, stem]
        if said.startswith("mod "):
            return self._rust_file([*own, said.removeprefix("mod ")])
        first, *rest = said.split("::")
        if first == "crate":
            start = folder[: len(folder) - folder[::-1].index("src")] if "src" in folder else folder[:1]
        elif first == "super":
            start = own[:-1]
            while rest[:1] == ["super"]:
                start, rest = start[:-1], rest[1:]
        elif first == "self":
            start = own
        elif first in self._crates:
            start = self._crates[first]
        else:
            return []
        for end in range(len(rest), 0, -1):
            known = self._rust_file([*start, *rest[:end]])
            if known:
                return known
        return self._rust_file([*start, "lib"]) if first in self._crates else []

    def _rust_file(self, parts: list[str]) -> list[str]:
        stem = "/".join(parts)
        return [one for one in (f"{stem}.rs", f"{stem}/mod.rs") if one in self._paths][:1]

    def _java_class(self, path: str, said: str) -> list[str]:
        """A class, or what is imported from within one."""
        parts = said.split(".")
        for end in (len(parts), len(parts) - 1):
            tail = f"{'/'.join(parts[:end])}.java"
            known = [one for one in self._java.get(posixpath.basename(tail), []) if f"/{one}".endswith(f"/{tail}")]
            if known:
                return known[:1]
        return []
