"""Where the sources lie."""

from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "heddle"
