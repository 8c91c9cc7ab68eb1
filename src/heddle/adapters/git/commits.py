"""Commit objects: the person's, with identity and signature as configured, or Heddle's own."""

import re
from collections.abc import Sequence

from heddle.adapters.git.objects import Store, require_id
from heddle.core.errors import HeddleError, OutsideError, SetupError

NAME = "Heddle"
EMAIL = "heddle@localhost"

_STRICT = {"user.useConfigOnly": "true"}
"""Git must not guess an identity from the host's name: a landed commit carries the configured one or none."""


async def write_commit(
    store: Store, tree: str, parents: Sequence[str], message: str, *, as_person: bool, at: float | None
) -> str:
    """Write a commit object and return its id. No hook runs: a check that matters belongs to the plan (M6).

    Raises SetupError (slug no-identity, signing-failed).
    """
    options = [word for parent in parents for word in ("-p", require_id(parent))]
    env = {} if as_person else _own_identity()
    if at is not None:
        env |= {"GIT_AUTHOR_DATE": f"@{int(at)} +0000", "GIT_COMMITTER_DATE": f"@{int(at)} +0000"}
    if as_person:
        await _require_identity(store)
        if await _signs(store):
            options.append("-S")
    said = message.encode("utf-8", "surrogateescape") or b"\n"
    try:
        # commit-tree knows no --end-of-options; every word that follows is a checked id or our own.
        args = ("commit-tree", require_id(tree), *options)
        answer = await store.git.run(*args, place=store.place(), env=env, config=_STRICT, stdin=said)
    except OutsideError as error:
        raise _unsigned(error) if "-S" in options and error.slug == "git-failed" else error from error
    return require_id(answer.text)


_SIGNING = re.compile(r"\bsign|signing|\bgpg|ssh-keygen|private key|failed to write commit object", re.IGNORECASE)


def _own_identity() -> dict[str, str]:
    return {
        "GIT_AUTHOR_NAME": NAME,
        "GIT_AUTHOR_EMAIL": EMAIL,
        "GIT_COMMITTER_NAME": NAME,
        "GIT_COMMITTER_EMAIL": EMAIL,
    }


async def _require_identity(store: Store) -> None:
    for variable in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        answer = await store.git.run("var", variable, place=store.place(), config=_STRICT, ok=(0, 128))
        if answer.status:
            raise SetupError(
                "git does not know the author of commits: user.name or user.email is not set",
                slug="no-identity",
                hint="set user.name and user.email in git's configuration, then try again",
                tail=answer.err.decode("utf-8", "replace"),
            )


async def _signs(store: Store) -> bool:
    """Whether commit.gpgSign is on; commit-tree leaves that setting to its caller. Status 1: not set."""
    answer = await store.run("config", "--type=bool", "--get", "commit.gpgSign", ok=(0, 1))
    return answer.text == "true"


def _unsigned(error: OutsideError) -> HeddleError:
    """What a failure of a signing commit-tree means: mostly a key or its agent, told as such."""
    if not _SIGNING.search(str(error.facts.get("tail", ""))):
        return error
    return SetupError(
        "the commit could not be signed as git's configuration demands (commit.gpgSign)",
        slug="signing-failed",
        hint="see whether the signing key and its agent are available to the daemon, then try again",
        **error.facts,
    )
