"""What git knows of the files of a checkout, for whoever looks at them: nothing is written, no lock is taken (C6)."""

from collections.abc import Iterable

from heddle.adapters.git import trees
from heddle.adapters.git.checkouts import Checkout
from heddle.adapters.git.objects import Store

MOST_BYTES = 64_000_000
"""Of paths: some hundred thousand files."""


async def listed(store: Store, checkout: Checkout) -> tuple[tuple[str, ...], bool]:
    """Tracked paths and untracked ones that are not ignored, in order; and whether these are all."""
    place = store.public(checkout.git_dir, checkout.path)
    args = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    answer = await store.git.run(*args, place=place, limit=MOST_BYTES, cut=True)
    shown = (path.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for path in answer.fields)
    return tuple(sorted(path.rstrip("/") for path in shown)), not answer.cut


async def ignored_among(store: Store, checkout: Checkout, paths: Iterable[str]) -> frozenset[str]:
    """Those of the paths that git would ignore if they were there; all, when git cannot tell of one of them."""
    wanted = sorted({path for path in paths if path and "\0" not in path})
    if not wanted:
        return frozenset()
    place = store.public(checkout.git_dir, checkout.path)
    asked = "".join(f"./{path}\0" for path in wanted).encode("utf-8", "surrogateescape")
    args = ("check-ignore", "-z", "--stdin", "--no-index")
    magic = {"GIT_LITERAL_PATHSPECS": "0"}  # the command refuses the variable, and no path that begins so has magic
    answer = await store.git.run(*args, place=place, env=magic, stdin=asked, ok=(0, 1, 128))
    told = (path.removeprefix("./") for path in answer.fields)
    return frozenset(wanted if answer.status == 128 else told)


async def at_head(store: Store, checkout: Checkout, path: str) -> bytes | None:
    """What the current commit of the checkout holds at a path; None: no plain file, or no commit yet."""
    place = store.public(checkout.git_dir, checkout.path)
    head = await store.git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", place=place, ok=(0, 1))
    return await trees.read_file(store, head.text, path) if head.status == 0 else None
