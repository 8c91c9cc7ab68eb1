"""Attacks on files: the person's, other sessions', Heddle's, the machine's."""

from typing import Any

import pytest

from attacks.attack import Attack, altered, succeeded, told
from attacks.scene import Scene
from heddle.adapters.workspaces.instant import layout, workspace
from heddle.core.errors import OutsideError, Refused
from heddle.ports import Mount, View


def linked_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box whose git directory is no layer: the index of all sessions is the session's own."""
    real = layout.view

    def direct(made: layout.LayerLayout, key: str, tree: str, base: layout.Base, *more: Any) -> View:
        seen = real(made, key, tree, base, *more)
        index = Mount("write", f"{tree}/.git/index", source=str(base.index))
        return View(seen.key, (*seen.mounts, index), seen.home, seen.lock)

    monkeypatch.setattr(workspace, "view", direct)


async def remade(scene: Scene) -> bool:
    """The box is made again over the same layers, and the session looks at what it prepared. No box is no success."""
    await scene.close_box()
    try:
        await scene.play('ls -A bait; cat "$PERSON/.netrc" bait/* bait/.netrc evil src/* .git/objects/info/* .git/*/*')
    except (Refused, OutsideError):
        return False
    return await told(scene) or await altered(scene)


async def wrote(scene: Scene) -> bool:
    """A file of Heddle's."""
    return await succeeded(scene) or await altered(scene)


ATTACKS = (
    Attack(
        row="1",
        name="write the checkout",
        script='cd /; echo pwned > "$MAIN/README"; echo pwned > "$MAIN/new.txt"; rm -r "$MAIN/src"',
        through=altered,
    ),
    Attack(
        row="2",
        name="write the tree of another session",
        script='echo pwned > "$OTHER/README"; mkdir -p "$OTHER/deep"; echo pwned > "$OTHER/deep/new.txt"',
        through=altered,
    ),
    Attack(
        row="3",
        name="read keys",
        script="""
cat ~/.ssh/id_ed25519 ~/.aws/credentials ~/.netrc "$PERSON/.ssh/id_ed25519" "$MAIN/../.netrc"
ln -s "$PERSON/.ssh" keys; cat keys/id_ed25519
""",
        through=told,
    ),
    Attack(
        row="3b",
        name="search all that can be seen",
        python=True,
        script="""
wanted = b"-".join((b"TOP", b"SECRET", b"4711"))
passed = ("/proc", "/sys", "/usr", "/lib", "/bin", "/sbin", "/etc", "/opt", sys.prefix, sys.base_prefix)
roots = [os.environ["SCENE"]] if os.path.isdir(os.environ["SCENE"] + "/tmp") else ["/"]
for root in roots:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(passed)]
        for path in (os.path.join(folder, name) for name in names):
            if os.path.isfile(path) and os.path.getsize(path) < 100_000:
                data = attempt(lambda path: open(path, "rb").read(), path)
                if data and wanted in data:
                    print(path, wanted.decode(), flush=True)
""",
        through=told,
    ),
    Attack(
        row="12",
        name="a file of 3 GiB",
        script='truncate -s 3G big; [ "$(stat -c %s big)" = 3221225472 ] && echo got through; rm -f big',
        through=succeeded,
    ),
    Attack(
        row="14",
        name="fill the machine's tmp",
        python=True,
        script="""
host = os.environ["SCENE"] + "/tmp"
for folder in [host] if os.path.isdir(host) else ["/tmp", "/run", "/var", "/dev/shm", "/dev", "/"]:
    fd = attempt(os.open, f"{folder}/fill", os.O_CREAT | os.O_WRONLY)
    if fd is not None:
        if attempt(os.posix_fallocate, fd, 0, 700_000_000) is None and os.fstat(fd).st_size >= 700_000_000:
            print("got through", folder, flush=True)
        os.unlink(f"{folder}/fill")
""",
        through=succeeded,
    ),
    Attack(
        row="32",
        name="poison a shared cache",
        script='for home in ~ "$PERSON"; do mkdir -p "$home/.cache/pip"; echo evil > "$home/.cache/pip/wheel"; done',
        through=altered,
    ),
    Attack(
        row="33",
        name="read the transcript of another session",
        script='cat "$STATE"/held/other-*/transcript "$OWN"/../../held/*/transcript',
        through=told,
    ),
    Attack(
        row="34",
        name="change the tree that all begin with",
        script='cd /; chmod -R u+w "$BASE"; echo evil > "$BASE/README"; rm -f "$MAIN/README"; ln "$BASE/README" "$MAIN/x"',
        through=altered,
    ),
    Attack(
        row="34b",
        name="change the index that all begin with",
        script='printf evil | dd of="$MAIN/.git/index" conv=notrunc; chmod u+w "$MAIN/.git/index"',
        through=altered,
        control="a box that shows the index itself",
        without=linked_index,
    ),
    Attack(
        row="35",
        name="links of the overlay's own",
        python=True,
        script="""
for name in ("src", "bait"):
    os.makedirs(name, exist_ok=True)
for name in ("bait/file", "evil"):
    open(name, "w").close()
for path in ("src", "bait", "bait/file", "evil"):
    for key in ("redirect", "metacopy", "opaque", "origin", "upper", "impure", "whiteout"):
        for prefix in ("user.overlay", "trusted.overlay", "user.overlay.overlay"):
            value = os.environ["PERSON"].encode() if key == "redirect" else b"y"
            attempt(os.setxattr, path, f"{prefix}.{key}", value)
""",
        through=remade,
        control="none: there is no overlay without a box, and the kernel gives these no effect",
    ),
    Attack(
        row="35b",
        name="links where the next box is built",
        script="""
mv .git/objects .git/aside; mkdir .git/objects; ln -s "$PERSON/.ssh" .git/objects/info
rm -rf .git/info .git/hooks; ln -s "$PERSON" .git/info; ln -s "$PERSON" .git/hooks
""",
        through=remade,
        control="none: where a link leads to would be mounted over itself, outside of what becomes the box",
    ),
    Attack(
        row="35c",
        name="write what is Heddle's",
        script="""
echo evil > "$SCENE/mark"; echo evil > "$OWN/heddle.json"; touch "$OWN/sealed" /heddle/evil "$OUT/../evil"
folder=$(dirname "$PYTHON"); touch "$folder/$WORD" && { echo got through; rm -f "$folder/$WORD"; }
""",
        through=wrote,
    ),
)
