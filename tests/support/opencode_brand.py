"""opencode as the tests' own brand."""

import json
from pathlib import Path

from opencode_cli import program

SHIPPED = Path(__file__).parents[2] / "src/heddle/data/agents/opencode.toml"


def write_brand(folder: Path) -> None:
    """The shipped brand, with the program of the tests; `folder` is where person.toml lies."""
    ours = json.dumps([program()])[1:-1]
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "agents" / "opencode.toml").write_text(SHIPPED.read_text().replace('["opencode"', f"[{ours}"))
