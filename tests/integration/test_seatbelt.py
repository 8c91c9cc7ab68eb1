"""Tier 1 on macOS, as far as it can be seen without a Mac: the profiles to the letter, and that each process gets one."""

import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.sandbox import machine, policy, zygote
from heddle.adapters.sandbox.seatbelt import Seatbelt, rules, try_profile
from heddle.core.errors import Refused
from heddle.holder import seatbelt
from heddle.ports import Command, Mount, View

GOLDEN = Path(__file__).parents[1] / "fixtures" / "seatbelt"
HOME = "/Users/ada/Library/Application Support/heddle/clones/k/t1"


STAND_IN = """\
#!{python}
import os, sys
assert sys.argv[1] == "-f" and sys.argv[3] == "--", sys.argv
open({seen!r}, "a").write(open(sys.argv[2], encoding="utf-8").read() + "\\0")
os.execvp(sys.argv[4], sys.argv[4:])
"""
"""Takes the place of sandbox-exec: notes the profile, encloses nothing."""


def write(path: str) -> Mount:
    return Mount("write", path, source=path)


def read(path: str) -> Mount:
    return Mount("read", path, source=path)


def clone(*mounts: Mount) -> View:
    """What a private clone shows its session."""
    git = f"{HOME}/tree/.git"
    pinned = (read(f"{git}/{name}") for name in ("config", "hooks", "objects/info"))
    trees = (write(f"{HOME}/tree"), write(f"{HOME}/out"), write(f"{HOME}/tmp"))
    return View("t1", (*trees, *pinned, read("/Users/ada/code/app/.git/objects"), *mounts), f"{HOME}/home", "")


LINKED = {"/Users/ada/bin": "/Users/ada/.local/share/bin"}
TOOLS = ("/Users/ada/.cargo/bin", "/Users/ada/.rustup", "/Users/ada/bin")
PROFILES = {
    "clone-with-network": lambda: seatbelt.profile(
        rules(clone(), TOOLS, lambda path: LINKED.get(path, path)), (20100, 20101), (49152, 11434)
    ),
    "short-command": lambda: seatbelt.profile(rules(clone(), ())),
    "strange-names": lambda: seatbelt.profile(
        rules(View("t2", (write('/w/"quoted" \\ (und) ünïcødé 名前 #;'),), "/w/a b", ""), ("/t/'single'",))
    ),
}


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_what_it_was_last_read_as(name: str) -> None:
    """Read what differs, line by line, before you take it over: TAKE=1."""
    file, text = GOLDEN / f"{name}.sb", PROFILES[name]()
    if os.environ.get("TAKE"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_balanced_and_begins_by_denying_all(name: str) -> None:
    text = PROFILES[name]()
    assert text.startswith("(version 1)\n(deny default)\n")
    bare = re.sub(r'#?"(\\.|[^"\\])*"|;.*', "", text)
    depth = 0
    for char in bare:
        depth += {"(": 1, ")": -1}.get(char, 0)
        assert depth >= 0
    assert depth == 0
    assert '"' not in bare
    assert "\\" not in bare


def test_no_rule_allows_files_or_network_without_naming_what() -> None:
    for text in (make() for make in PROFILES.values()):
        whole = re.findall(r"^\((?:allow) [a-z* -]+\)$", text, re.MULTILINE)
        assert whole == ["(allow process-fork)", "(allow sysctl-read)", "(allow pseudo-tty)"]


def verdict(text: str, operation: str, path: str) -> str:
    """What a profile says of an operation on a path: the last rule that fits, as Seatbelt reads it."""
    found = "deny"
    for verb, operations, body in re.findall(r"^\((allow|deny) ([a-z*\- ]+)((?:\n  .*)*)\)?$", text, re.MULTILINE):
        if not any(re.fullmatch(name.replace("*", "[a-z-]*"), operation) for name in operations.split()):
            continue
        for kind, quoted in re.findall(r'\((subpath|literal) "((?:\\.|[^"\\])*)"\)', body):
            named = re.sub(r"\\(.)", r"\1", quoted)
            if path == named or (kind == "subpath" and path.startswith(f"{named}/")):
                found = verb
    return found


@pytest.mark.parametrize(
    ("operation", "path", "wanted"),
    [
        ("file-read-data", f"{HOME}/tree/a.py", "allow"),
        ("file-write-data", f"{HOME}/tree/a.py", "allow"),
        ("file-write-create", f"{HOME}/tree/.git/index.lock", "allow"),
        ("file-write-data", f"{HOME}/tree/.git/config", "deny"),
        ("file-write-create", f"{HOME}/tree/.git/hooks/pre-commit", "deny"),
        ("file-read-data", f"{HOME}/tree/.git/config", "allow"),
        ("file-write-unlink", f"{HOME}/tree/.git", "deny"),
        ("file-write-unlink", f"{HOME}/tree/.git/objects", "deny"),
        ("file-write-unlink", f"{HOME}/tree", "deny"),
        ("file-write-unlink", f"{HOME}/tree/.git/objects/aa", "allow"),
        ("file-write-create", f"{HOME}/tree2", "deny"),
        ("file-read-data", f"{HOME}/hooks", "deny"),
        ("file-read-data", "/Users/ada/code/app/.git/objects/aa/bb", "allow"),
        ("file-write-create", "/Users/ada/code/app/.git/objects/aa/bb", "deny"),
        ("file-read-data", "/Users/ada/code/app/.git/config", "deny"),
        ("file-read-metadata", "/Users/ada/code/app", "allow"),
        ("file-read-data", "/Users/ada/code/app", "deny"),
        ("file-read-data", "/Users/ada/.ssh/id_ed25519", "deny"),
        ("file-read-metadata", "/Users/ada/.ssh/id_ed25519", "deny"),
        ("file-read-data", "/Users/ada/Library/Keychains/login.keychain-db", "deny"),
        ("file-read-data", "/System/Volumes/Data/Users/ada/.ssh/id_ed25519", "deny"),
        ("file-read-data", "/private/etc/ssh/ssh_host_key", "deny"),
        ("file-read-data", "/private/etc/hosts", "allow"),
        ("file-read-data", "/opt/homebrew/var/postgres/base", "deny"),
        ("file-read-data", "/opt/homebrew/bin/node", "allow"),
        ("process-exec", "/usr/bin/git", "allow"),
        ("process-exec", "/Users/ada/code/evil", "deny"),
        ("process-exec", f"{HOME}/tree/node_modules/.bin/tsc", "allow"),
        ("file-read-data", "/Users/ada/.local/share/bin/tool", "allow"),
        ("file-read-metadata", "/Users/ada/bin", "allow"),
        ("file-read-data", "/Users/ada/bin/other", "deny"),
        ("file-write-create", "/private/tmp/x", "deny"),
        ("file-write-data", "/dev/null", "allow"),
        ("file-read-data", "/dev/disk0", "deny"),
    ],
)
def test_what_a_profile_says_of_places(operation: str, path: str, wanted: str) -> None:
    assert verdict(PROFILES["clone-with-network"](), operation, path) == wanted


@pytest.mark.parametrize("name", ["a\nb", "a\x00b", "a\x1bb", "a\x7fb", "a\x85b", os.fsdecode(b"a\xffb")])
def test_a_path_that_no_profile_can_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no profile can name"):
        seatbelt.profile(rules(View("t", (write(f"/w/{name}"),), "/w/home", ""), ()))


# ------------------------------------------------------------------------------------- started by what stands in for it


@pytest.fixture
def seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What profiles the stand-in was given; holders and short commands start it in the place of sandbox-exec."""
    program, seen = tmp_path / "sandbox-exec", tmp_path / "seen"
    program.write_text(STAND_IN.format(python=sys.executable, seen=str(seen)))
    program.chmod(0o755)
    patch = f"from heddle.holder import seatbelt\nseatbelt.SANDBOX_EXEC = {str(program)!r}"
    monkeypatch.setattr(seatbelt, "SANDBOX_EXEC", str(program))
    monkeypatch.setattr(zygote, "ENTRY", f"import sys\nsys.path.append(sys.argv[2])\n{patch}\n{zygote.ENTRY}")
    from heddle.adapters.sandbox import confined

    monkeypatch.setattr(confined, "ERRAND", f"import sys\nsys.path.append(sys.argv[1])\n{patch}\n{confined.ERRAND}")
    return seen


@pytest.fixture
def runtime() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="hl-") as folder:
        path = Path(folder) / "r"
        path.mkdir(mode=0o700)
        yield path


@pytest_asyncio.fixture
async def sandbox(tmp_path: Path, runtime: Path) -> AsyncIterator[Seatbelt]:
    made = Seatbelt(tmp_path / "held", runtime, {**os.environ, "HOME": str(tmp_path / "person"), "TOKEN": "hunter2"})
    yield made
    await made.close_box("t1")
    await made.close()


def view(folder: Path, tree: str = "tree") -> View:
    for name in (tree, "home"):
        (folder / "own" / name).mkdir(parents=True, exist_ok=True)
    return View("t1", (write(str(folder / "own" / tree)),), str(folder / "own" / "home"), "")


async def test_a_process_is_started_by_its_own_profile_with_the_port_of_its_proxy(
    sandbox: Seatbelt, seen: Path, tmp_path: Path
) -> None:
    script = "import json, os; print(json.dumps(dict(os.environ)))"
    command = Command(
        "k",
        (sys.executable, "-I", "-S", "-c", script),
        str(tmp_path / "own" / "tree"),
        hosts=("example.com:443",),
        forwards=("127.0.0.1:11434",),
        ports=(20100,),
    )
    held = await sandbox.start_in(view(tmp_path), command)
    assert (await held.exit()).ok, held.load_errors()
    told = json.loads(held.load_output())
    proxy = int(told["HTTPS_PROXY"].rpartition(":")[2])
    assert "TOKEN" not in told
    assert told["HOME"] == str(tmp_path / "own" / "home")
    (text,) = seen.read_text().split("\0")[:-1]
    ports = re.findall(r'network-outbound \(remote ip "localhost:(\d+)"\)', text)
    assert sorted(map(int, ports)) == sorted((proxy, 11434, 20100))
    assert re.findall(r'network-inbound \(local ip "localhost:(\d+)"\)', text) == ["20100"]
    assert verdict(text, "file-write-create", str(tmp_path / "own" / "tree" / "x")) == "allow"
    assert verdict(text, "file-read-data", str(tmp_path / "person" / ".ssh")) == "deny"


async def test_a_short_command_has_a_profile_without_network(sandbox: Seatbelt, seen: Path, tmp_path: Path) -> None:
    ran = await sandbox.run_in(view(tmp_path), ("cat",), stdin=b"given")
    assert (ran.status, ran.out) == (0, b"given"), ran.err
    (text,) = seen.read_text().split("\0")[:-1]
    assert "localhost" not in text


async def test_d2_nothing_starts_where_no_profile_can_be_had(
    sandbox: Seatbelt, seen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="no profile can name"):
        await sandbox.run_in(view(tmp_path, "tree\twith"), ("true",))
    monkeypatch.setattr(seatbelt, "SANDBOX_EXEC", str(tmp_path / "absent"))
    with pytest.raises(Refused, match="absent"):
        await sandbox.start_in(view(tmp_path), Command("k2", ("true",), "/"))
    assert not seen.exists()


async def test_a_machine_is_tried_and_told(seen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-in encloses nothing, and just that is found out."""
    environment = {**os.environ, "HOME": str(tmp_path)}
    told = await try_profile(tmp_path / "probe", environment)
    assert told == "a file outside could be read"
    assert verdict(seen.read_text(), "file-read-data", str(tmp_path / "probe" / "outside")) == "deny"
    monkeypatch.setattr(machine, "DARWIN", True)
    (found,) = [
        one for one in await machine.findings(1, tmp_path, environment, policy.NOTHING) if one.what == "seatbelt"
    ]
    assert (found.ok, found.detail) == (False, told)
    monkeypatch.setattr(seatbelt, "SANDBOX_EXEC", str(tmp_path / "absent"))
    assert "absent" in await machine.try_confined(tmp_path / "probe", environment)
