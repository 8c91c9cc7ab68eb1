"""Attacks on git: the repository's configuration, hooks, objects and refs, and whoever runs git on what was left."""

import subprocess

import pytest

from attacks.attack import Attack, altered
from attacks.scene import Scene
from heddle.adapters.workspaces.instant import layout


def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """A box in which all of the git directory can be written."""
    monkeypatch.setattr(layout, "PINNED", ())


async def ran(scene: Scene) -> bool:
    """Heddle takes the result; the person runs git in the checkout, and in the host's folder of the
    workspace: something of the session's ran there."""
    await scene.read()
    tree = scene.of(scene.mine) / "tree"
    for folder in (scene.checkout, tree):
        for words in (("status",), ("diff", "HEAD"), ("log", "-1")):
            subprocess.run(("git", *words), cwd=folder, env=scene.yard.sample.env, capture_output=True, check=False)
    return scene.mark.exists()


async def rewritten(scene: Scene) -> bool:
    """The parts of its own git directory that make git run something are no longer what Heddle wrote."""
    names = ("config", "commondir", "info/attributes", "hooks/post-checkout")
    found = [scene.of(scene.mine) / git / name for git in ("git", "tree/.git") for name in names]
    return any(path.is_file() and b"pwned" in path.read_bytes() for path in found)


async def altered_after(scene: Scene) -> bool:
    """Heddle takes the result, and something of the person's is not what it was."""
    await scene.read()
    return await altered(scene)


async def holds_dots(scene: Scene) -> bool:
    """Heddle takes the result, and the person's repository holds a tree with a path that leads out of it."""
    await scene.read()
    return "harmful" in scene.yard.sample.git("rev-list", "--all", "--objects")


PIN = "git=$(git rev-parse --git-dir); common=$(git rev-parse --git-common-dir)\n"
"""Where git keeps things: of this worktree, and of the repository."""

ATTACKS = (
    Attack(
        row="4",
        name="plant a hook",
        script=PIN
        + 'for at in "$common" "$MAIN/.git"; do mkdir -p "$at/hooks"; echo pwned > "$at/hooks/post-commit"; done',
        through=altered,
    ),
    Attack(
        row="4b",
        passes=frozenset({1}),
        name="hooks and configuration of its own git directory",
        script="""
cd .git; echo pwned >> config; echo pwned > commondir; echo pwned > info/attributes; echo pwned > hooks/post-checkout
git config pwned.pwned pwned
for name in config commondir info hooks; do
    mv $name aside || rm -rf $name || continue
    mkdir -p info hooks; echo pwned > $name; echo pwned > info/attributes; echo pwned > hooks/post-checkout
done
""",
        through=rewritten,
        control="a box in which all of its git directory can be written",
        without=unpinned,
    ),
    Attack(
        row="5",
        passes=frozenset({1}),
        name="have the host's git run a program",
        script='git config core.fsmonitor "$PWN"; git config core.hooksPath "$PWD"; echo new > new.txt',
        through=ran,
    ),
    Attack(
        row="5b",
        passes=frozenset({1}),
        name="a filter that Heddle's own git runs",
        script="""
for where in --local --global; do git config $where filter.evil.clean "$PWN; cat"; done
echo '* filter=evil' > .gitattributes; echo new >> README
""",
        through=ran,
    ),
    Attack(
        row="6",
        name="delete the repository's objects",
        script=PIN
        + """
for at in "$common/objects" "$MAIN/.git/objects" $(cat "$common/objects/info/alternates"); do
    chmod -R u+w "$at"; rm -rf "$at"/[0-9a-f][0-9a-f] "$at"/pack
done
""",
        through=altered,
    ),
    Attack(
        row="7",
        name="move the branch",
        script="""
new=$(git -c user.name=x -c user.email=x@y commit-tree -m evil 'HEAD^{tree}')
git update-ref refs/heads/main "$new"; git update-ref refs/heads/evil "$new"; git update-ref refs/tags/evil "$new"
""",
        through=altered_after,
    ),
    Attack(
        row="8",
        passes=frozenset({1}),
        name="another git directory",
        script="""
git init -q evil; git -C evil config core.fsmonitor "$PWN"
rm -rf .git; mv .git aside; echo "gitdir: $PWD/evil/.git" > .git
""",
        through=ran,
    ),
    Attack(
        row="9",
        passes=frozenset({1}),
        name="another common directory",
        script=PIN
        + 'git init -q evil; git -C evil config core.fsmonitor "$PWN"; echo "$PWD/evil/.git" > "$git/commondir"',
        through=ran,
    ),
    Attack(
        row="11",
        passes=frozenset({1}),
        name="a repository inside",
        script="""
git init -q inner; git -C inner -c user.name=x -c user.email=x@y commit -q --allow-empty -m inner
git -C inner config core.fsmonitor "$PWN"; git add inner; echo new > inner/new.txt
""",
        through=ran,
    ),
    Attack(
        row="36",
        name="a tree that leads out of itself",
        python=True,
        script="""
import subprocess
def git(*words, data=b""):
    words = ("git", "-c", "user.name=x", "-c", "user.email=x@y", *words)
    return subprocess.run(words, input=data, stdout=-1, check=True).stdout.decode().strip()
blob = git("hash-object", "-w", "--stdin", data=b"evil")
inner = git("mktree", data=f"100644 blob {blob}\\tharmful\\n".encode())
entry = b"40000 ..\\0" + bytes.fromhex(inner)
outer = git("hash-object", "-t", "tree", "-w", "--stdin", "--literally", data=entry)
evil = git("commit-tree", "-m", "evil", "-p", "HEAD", outer)
git("update-ref", "HEAD", git("commit-tree", "-m", "harmless", "-p", evil, "HEAD^{tree}"))
""",
        through=holds_dots,
    ),
    Attack(
        row="37",
        name="refs that lead elsewhere",
        script=PIN + 'rm -rf "$common/refs/heddle"; ln -s "$PERSON" "$common/refs/heddle"; echo new > new.txt',
        through=altered_after,
    ),
    Attack(
        row="51",
        name="push by force",
        script="""
new=$(git -c user.name=x -c user.email=x@y commit-tree -m evil 'HEAD^{tree}')
for to in origin "$SCENE/remote.git" "$MAIN"; do git push -q --force "$to" "$new:refs/heads/main" "$new:refs/heads/evil"; done
""",
        through=altered,
    ),
    Attack(
        row="54",
        name="a hundred thousand refs and absurd ones",
        python=True,
        script="""
import subprocess
def git(*words):
    return subprocess.run(("git", *words), stdout=-1, check=True).stdout.decode().strip()
commit, common = git("rev-parse", "HEAD"), git("rev-parse", "--git-common-dir")
names = [f"refs/heads/x{number:06}" for number in range(100_000)] + ["refs/heads/-x", "refs/heads/\\u202egpj.exe"]
lines = [f"{commit} {name}\\n" for name in sorted(names, key=str.encode)]
with open(f"{common}/packed-refs", "w") as file:
    file.write("# pack-refs with: peeled fully-peeled sorted \\n" + "".join(lines))
""",
        through=altered_after,
    ),
)
