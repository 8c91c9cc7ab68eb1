"""Import statements of source files: Python by its own parser, the others by tree-sitter. Nothing that is read is run."""

from heddle.adapters.imports.reading import statements

__all__ = ["statements"]
