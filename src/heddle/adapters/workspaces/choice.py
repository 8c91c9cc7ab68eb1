"""Which provider makes new workspaces, and what that asks of the sandbox."""

from heddle.core.errors import SetupError

MEANS = {
    "instant": "instant: a layer over one shared tree per commit, seen by its session alone",
    "clone": "clone: a whole checkout each, with refs, configuration, hooks and stash of its own",
    "worktree": "worktree: a plain git worktree each; refs, configuration, hooks and stash are your repository's",
}
"""What each provider gives a session, for `heddle doctor`."""

TIERS = {"instant": ("2", "3"), "worktree": ("0",)}
"""The tiers that a provider works in, the usual one first: a layer needs a box, and a worktree cannot be enclosed."""


def tier_wanted(provider: str, tier: str) -> str:
    """The tier to ask for when both are configured; a provider is never replaced by another one (D2).

    Raises SetupError: slug config-wrong-type for an unknown provider, config-contradiction when both cannot be had.
    """
    if provider != "auto" and provider not in MEANS:
        raise SetupError(
            f"'workspace.provider' is '{provider}'; it must be one of auto, {', '.join(MEANS)}",
            slug="config-wrong-type",
            hint="see: heddle config explain workspace.provider",
        )
    among = TIERS.get(provider, (tier,))
    if tier not in ("auto", *among):
        raise SetupError(
            f"'workspace.provider' is '{provider}', which works in sandbox tier {' or '.join(among)}; "
            f"'sandbox.tier' is '{tier}'",
            slug="config-contradiction",
            hint='set one of the two to "auto"; see: heddle config explain workspace.provider',
        )
    return tier if tier in among else among[0]


def provider_for(wanted: str, tier: int) -> str:
    """The provider of new workspaces in that tier."""
    if wanted != "auto":
        return wanted
    return "instant" if str(tier) in TIERS["instant"] else "clone"
