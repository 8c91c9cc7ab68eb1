"""Real repositories for tests, in a folder and with a git configuration of their own."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

PERSON = "Ann Example"
EMAIL = "ann@example.com"


class Sample:
    """A repository with one commit on `main`; `git` runs the person's own git in it."""

    def __init__(self, folder: Path, name: str = "sample", *, empty: bool = False) -> None:
        self.folder = folder
        self.path = folder / name
        self.env = environment(folder)
        self.path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", ".")
        if not empty:
            self.first = self.commit({"README": "hello\n", "src/app.py": numbered(20), "notes.txt": "one\n"})

    @property
    def git_dir(self) -> Path:
        return self.path / ".git"

    def git(self, *args: str, stdin: str = "", cwd: Path | None = None, ok: bool = True, **env: str) -> str:
        done = subprocess.run(
            ("git", *args),
            cwd=cwd or self.path,
            env=self.env | env,
            input=stdin.encode("utf-8", "surrogateescape"),
            capture_output=True,
            check=False,
        )
        assert not ok or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")

    def write(self, files: Mapping[str, str | bytes | None], root: Path | None = None) -> None:
        """Write files of the checkout; None deletes."""
        for name, content in files.items():
            path = (root or self.path) / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def commit(self, files: Mapping[str, str | bytes | None], message: str = "a change") -> str:
        """Commit files on what is checked out, as the person does."""
        self.write(files)
        self.git("add", "-A", *files)
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def aside(self, files: Mapping[str, str | None], parent: str = "", message: str = "a change") -> str:
        """A commit on `parent` that neither a checkout nor a ref knows."""
        parent = parent or self.git("rev-parse", "HEAD")
        index = str(self.folder / f"index-{hashlib.sha256(repr((parent, files)).encode()).hexdigest()}")
        self.git("read-tree", parent, GIT_INDEX_FILE=index)
        for name, content in files.items():
            if content is None:
                self.git("update-index", "--force-remove", "--", name, GIT_INDEX_FILE=index)
                continue
            blob = self.git("hash-object", "-w", "--stdin", stdin=content)
            entry = f"100644 {blob}\t{name}\n"
            self.git("update-index", "--replace", "--add", "--index-info", stdin=entry, GIT_INDEX_FILE=index)
        tree = self.git("write-tree", GIT_INDEX_FILE=index)
        return self.git("commit-tree", tree, "-p", parent, "-m", message)

    def hook(self, name: str, script: str) -> None:
        path = self.git_dir / "hooks" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)


def environment(folder: Path) -> dict[str, str]:
    """A hermetic environment: HOME and git's configuration lie in `folder`."""
    config = folder / "gitconfig"
    if not config.exists():
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(f"[user]\n\tname = {PERSON}\n\temail = {EMAIL}\n[advice]\n\tdetachedHead = false\n")
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "GIT_CONFIG_GLOBAL": str(config),
        "GIT_CONFIG_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }


def numbered(count: int, **changed: str) -> str:
    """Lines "line 1" .. "line COUNT"; `l7="x"` puts another text at line 7."""
    return "".join(f"{changed.get(f'l{n}', f'line {n}')}\n" for n in range(1, count + 1))


def files_below(root: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of everything below a checkout, without its .git."""
    found = {}
    for folder, folders, names in os.walk(root):
        if ".git" in folders:
            folders.remove(".git")
        for name in names:
            path = Path(folder, name)
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            found[path.relative_to(root).as_posix()] = (path.lstat().st_mode, content)
    found.pop(".git", None)
    return found
