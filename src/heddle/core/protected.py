"""Files that steer agents or builds: whoever changes one changes what others do next, so a person sees it before it lands."""

import json
from collections.abc import Iterable

from heddle.core.scope import Scope

STEERING = Scope(
    (
        *(
            f"**/{name}"
            for name in ("agents.md", "agents.override.md", "claude.md", "gemini.md", ".mcp.json", ".envrc")
        ),
        *(f"**/{name}/**" for name in (".claude", ".codex", ".gemini", ".opencode", ".agents", ".cursor", ".husky")),
        "opencode.json",
        "opencode.jsonc",
        ".github/copilot-instructions.md",
        ".github/instructions/**",
        ".github/workflows/**",
        ".github/actions/**",
        ".gitlab-ci.yml",
        ".circleci/**",
        ".buildkite/**",
        ".pre-commit-config.yaml",
        ".githooks/**",
        ".gitattributes",
        ".vscode/**",
        ".devcontainer/**",
        ".worktreeinclude",
        "heddle.toml",
        ".heddle/**",
    )
)

MANIFEST = "package.json"
"""Whose scripts are run by whoever installs, tests or builds; what else is in it is not protected."""


def steering(paths: Iterable[str]) -> tuple[str, ...]:
    """Those of the paths that steer agents or builds, however their letters are cased."""
    return tuple(path for path in paths if STEERING.covers(path.casefold()))


def scripts(manifest: bytes | None) -> object:
    """The scripts of a manifest; of one that cannot be read, all of it."""
    try:
        told = json.loads(manifest or b"{}")
        return told.get("scripts", {}) if isinstance(told, dict) else told
    except (ValueError, RecursionError):
        return manifest
