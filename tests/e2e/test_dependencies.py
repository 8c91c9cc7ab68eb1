"""What lockfiles name is installed once by the real tools, in a box, and every session and check finds it there."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.fleet import git, heddle, make_repository, scene, writes
from support.package_index import PackageIndex

pytestmark = [pytest.mark.asyncio, pytest.mark.needs("boxes")]

CHECK = ".venv/bin/python -c 'import tiny; assert tiny.SIZE == {size}'"
PLAN = '+++\nscope = ["{path}"]\nchecks = [{check}]\n+++\n# Plan\n'


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with PackageIndex(("tiny", "1.0", "SIZE = 1\n"), ("tiny", "2.0", "SIZE = 2\n")) as index:
        yield index


def lockfiles(**files: str) -> dict[str, str]:
    setup = '[setup]\ndependencies = ["pip"]\n'
    return {
        "a.py": "x = 1\n",
        ".gitignore": ".venv/\n",
        "heddle.toml": setup,
        "requirements.txt": "tiny==1.0\n",
        **files,
    }


def uses(path: str, check: str, *steps: dict[str, object]) -> list[dict[str, object]]:
    """A task whose agent runs the check itself before it writes one file."""
    plan = PLAN.format(path=path, check=json.dumps(check))
    return [
        scene("research", {"do": "document", "text": "# Research\n- a.py:1\n"}),
        scene("plan", {"do": "document", "text": plan}),
        scene("execute", {"do": "run", "command": check}, *steps, *writes(path)[2]["steps"]),
    ]


async def test_many_tasks_share_one_install_and_a_changed_lockfile_gets_its_own(
    tmp_path: Path, index: PackageIndex
) -> None:
    repository = make_repository(tmp_path / "repo", lockfiles())
    async with heddle(tmp_path, repository, uses("b.txt", CHECK.format(size=1)), PIP_INDEX_URL=index.url) as fleet:
        waiting = await fleet.start("write b")
        rows = await fleet.until(waiting, approve=False)
        assert "pip install" in rows[0]["why"], "a person allows the install first (X5)"
        assert index.fetched == []
        await fleet.call("inbox.approve", task=waiting)
        assert (await fleet.until(waiting))[0]["status"] == "landed", await fleet.call("events", task=waiting)
        assert index.fetched == ["tiny-1.0-py3-none-any.whl"]
        assert ".venv" not in git(repository, "ls-tree", "-r", "--name-only", "main")
        (repository / "requirements.txt").write_text("tiny==2.0\n")
        (repository / "b.txt").unlink()
        git(repository, "commit", "-q", "-a", "-m", "tiny 2")
        again = await fleet.start("write b")
        await fleet.until_kind(again, "plan-delivered")
        assert index.fetched == ["tiny-1.0-py3-none-any.whl", "tiny-2.0-py3-none-any.whl"]
        await fleet.call("task.stop", task=again)
        await fleet.until_tidy(again)
    assert not list(Path(os.environ["HEDDLE_HOME"]).glob("instant/*/deps-*")), "what only made a layer is gone"


async def test_a_new_daemon_finds_what_was_installed(tmp_path: Path, index: PackageIndex) -> None:
    repository = make_repository(tmp_path / "repo", lockfiles())
    for number in (1, 2):
        async with heddle(tmp_path, repository, uses("b.txt", CHECK.format(size=1)), PIP_INDEX_URL=index.url) as fleet:
            id = await fleet.start("write b")
            await fleet.call("repository.allow", root=str(repository))
            await fleet.until_kind(id, "plan-delivered")
            assert index.fetched == ["tiny-1.0-py3-none-any.whl"], number


async def test_an_install_that_fails_says_why_and_the_next_attempt_tries_again(
    tmp_path: Path, index: PackageIndex
) -> None:
    repository = make_repository(tmp_path / "repo", lockfiles(**{"requirements.txt": "tiny==3.0\n"}))
    config, scenes = "[limits]\nattempts = 2\n", uses("b.txt", "true")
    async with heddle(tmp_path, repository, scenes, config, PIP_INDEX_URL=index.url) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        id = await fleet.start("write b")
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert failed["reason"] == "setup-failed"
        assert "pip install" in failed["detail"]
        assert "tiny==3.0" in failed["evidence"]
        rows = await fleet.until(id)
        assert rows[0]["status"] == "waiting", "two attempts, then a person is asked"
        assert (await fleet.kinds(id)).count("stage-failed") == 2


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({".gitignore": "*.pyc\n"}, "installs into '.venv', which git does not ignore here; add it to .gitignore"),
        ({"heddle.toml": '[setup]\ndependencies = ["uv"]\n'}, "there is no uv.lock"),
    ],
)
async def test_what_cannot_be_shared_is_said(
    tmp_path: Path, index: PackageIndex, files: dict[str, str], said: str
) -> None:
    repository = make_repository(tmp_path / "repo", lockfiles(**files))
    async with heddle(tmp_path, repository, uses("b.txt", "true"), PIP_INDEX_URL=index.url) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        id = await fleet.start("write b")
        failed = (await fleet.until_kind(id, "stage-failed"))["data"]
        assert said in failed["detail"]


async def test_without_a_box_each_workspace_installs_for_itself(tmp_path: Path, index: PackageIndex) -> None:
    repository = make_repository(tmp_path / "repo", lockfiles())
    config, scenes = '[sandbox]\ntier = "0"\n', uses("b.txt", CHECK.format(size=1))
    async with heddle(tmp_path, repository, scenes, config, PIP_INDEX_URL=index.url) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        id = await fleet.start("write b")
        await fleet.until_kind(id, "plan-delivered")
    assert len(index.fetched) == 2, "research and plan"


async def test_hosts_that_the_person_names_are_for_sessions_and_checks_alike(tmp_path: Path) -> None:
    repository = make_repository(
        tmp_path / "repo", {"a.py": "", "heddle.toml": '[network]\nhosts = ["evil.example:443"]\n'}
    )
    config = '[network]\nhosts = ["api.example:443", "*.example.com:8443"]\n'
    async with heddle(tmp_path, repository, writes("b.txt"), config) as fleet:
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed"
    specs = [json.loads(path.read_bytes()) for path in Path(os.environ["HEDDLE_HOME"]).glob("holders/*/spec.json")]
    ours = [spec for spec in specs if spec["key"].endswith((".1", ".check-1"))]
    assert len(ours) == 4
    for spec in ours:
        assert spec["hosts"] == spec["near"] == ["api.example:443", "*.example.com:8443"]


async def test_in_tier_3_what_the_person_names_is_for_approved_commands_alone(tmp_path: Path) -> None:
    toml = '[setup]\ncommands = ["true"]\ndependencies = ["pip"]\n'
    repository = make_repository(
        tmp_path / "repo", {".gitignore": ".venv\n", "requirements.txt": "", "heddle.toml": toml}
    )
    config = '[sandbox]\ntier = "3"\n[network]\nhosts = ["api.example:443"]\n'
    async with heddle(
        tmp_path, repository, writes("b.txt"), config, PIP_INDEX_URL="https://pip.example/simple"
    ) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        id = await fleet.start("write b")
        rows = await fleet.until(id)
        assert (rows[0]["status"], rows[0]["tier"]) == ("landed", 3), rows[0]["why"]
    specs = [json.loads(path.read_bytes()) for path in Path(os.environ["HEDDLE_HOME"]).glob("holders/*/spec.json")]
    sessions = [spec for spec in specs if spec["key"].endswith(".1")]
    commands = [spec for spec in specs if spec["key"].endswith((".check-1", ".setup-1", ".install"))]
    assert len(sessions) == 3
    assert {
        word for spec in commands for word in ("check", "setup", "install") if word in spec["key"].rpartition(".")[2]
    } == {*("check", "setup", "install")}
    for spec in sessions:
        assert (spec["hosts"], spec["near"], spec["forwards"]) == ([], [], [])
    for spec in commands:
        assert {"api.example:443", "pip.example:443"} <= set(spec["hosts"])


def npm_files() -> dict[str, bytes | str]:
    """A project whose one dependency lies in the repository, as a packed file with an install script that must not run."""
    package = json.dumps({"name": "tiny", "version": "1.0.0", "scripts": {"install": "touch ../../RAN"}}).encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, data in (("package/package.json", package), ("package/index.js", b"module.exports = 1\n")):
            about = tarfile.TarInfo(name)
            about.size = len(data)
            archive.addfile(about, io.BytesIO(data))
    wanted = {"tiny": "file:tiny-1.0.0.tgz"}
    locked = {"version": "1.0.0", "resolved": "file:tiny-1.0.0.tgz", "hasInstallScript": True}
    packages = {"": {"name": "it", "dependencies": wanted}, "node_modules/tiny": locked}
    return {
        "a.py": "x = 1\n",
        ".gitignore": "node_modules/\n",
        "heddle.toml": '[setup]\ndependencies = ["npm"]\n',
        "package.json": json.dumps({"name": "it", "dependencies": wanted}),
        "package-lock.json": json.dumps({"name": "it", "lockfileVersion": 3, "packages": packages}),
        "tiny-1.0.0.tgz": packed.getvalue(),
    }


@pytest.mark.needs("npm")
async def test_npm_installs_without_the_scripts_of_packages(tmp_path: Path) -> None:
    repository = make_repository(tmp_path / "repo", npm_files())
    check = "node -e 'require(\"tiny\") == 1 || process.exit(1)' && test ! -e RAN"
    async with heddle(tmp_path, repository, uses("b.txt", check)) as fleet:
        await fleet.call("repository.allow", root=str(repository))
        id = await fleet.start("write b")
        assert (await fleet.until(id))[0]["status"] == "landed", await fleet.call("events", task=id)
