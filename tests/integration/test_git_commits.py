"""Identity and signature follow the person's configuration; nothing of the repository's runs on the host (M6)."""

import subprocess
from pathlib import Path

import pytest
import pytest_asyncio

from heddle.adapters.git import GitRepository, open_repository
from heddle.core.errors import SetupError
from heddle.ports import Advanced
from repositories import EMAIL, Sample

pytestmark = pytest.mark.asyncio

HOOKS = [
    "pre-commit",
    "prepare-commit-msg",
    "commit-msg",
    "post-commit",
    "pre-merge-commit",
    "post-merge",
    "post-checkout",
    "pre-push",
    "reference-transaction",
    "post-rewrite",
    "post-index-change",
    "pre-auto-gc",
    "update",
    "post-update",
]


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    return Sample(tmp_path)


@pytest_asyncio.fixture
async def repository(sample: Sample) -> GitRepository:
    return await open_repository(sample.path, sample.env)


def ssh_key(sample: Sample) -> Path:
    """A fresh key that git's configuration signs with, and a file that says who may sign with it."""
    key = sample.folder / "signing key"
    subprocess.run(
        ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)), check=True, env=sample.env
    )
    allowed = sample.folder / "allowed"
    allowed.write_text(f"{EMAIL} {key.with_suffix('.pub').read_text()}")
    sample.git("config", "gpg.format", "ssh")
    sample.git("config", "user.signingKey", str(key))
    sample.git("config", "gpg.ssh.allowedSignersFile", str(allowed))
    sample.git("config", "commit.gpgSign", "true")
    return key


async def written(repository: GitRepository, sample: Sample, **named: float) -> str:
    """A commit as the person, kept so that the person's own git can see it."""
    tree = await repository.tree_of(sample.first)
    commit = await repository.commit(tree, (sample.first,), "landed", as_person=True, **named)
    await repository.keep("refs/heddle/results/1", commit)
    return commit


@pytest.mark.needs("ssh-keygen")
async def test_a_signature_is_made_as_configured(repository: GitRepository, sample: Sample) -> None:
    ssh_key(sample)
    commit = await written(repository, sample, at=1_700_000_000)
    assert sample.git("log", "-1", "--format=%G? %GS %an <%ae>", commit) == f"G {EMAIL} Ann Example <{EMAIL}>"
    assert await written(repository, sample, at=1_700_000_000) == commit


@pytest.mark.needs("ssh-keygen")
async def test_without_the_setting_nothing_is_signed(repository: GitRepository, sample: Sample) -> None:
    ssh_key(sample)
    sample.git("config", "commit.gpgSign", "false")
    assert sample.git("log", "-1", "--format=%G?", await written(repository, sample)) == "N"


@pytest.mark.needs("ssh-keygen")
async def test_a_key_that_is_gone_is_told_and_nothing_lands_unsigned(repository: GitRepository, sample: Sample) -> None:
    ssh_key(sample).unlink()
    with pytest.raises(SetupError) as caught:
        await written(repository, sample)
    assert caught.value.slug == "signing-failed" and caught.value.hint
    assert await repository.kept("results") == ()


@pytest.mark.needs("ssh-keygen")
async def test_what_heddle_writes_for_itself_is_never_signed(repository: GitRepository, sample: Sample) -> None:
    ssh_key(sample).unlink()
    tree = await repository.tree_of(sample.first)
    commit = await repository.commit(tree, (), "a result", as_person=False)
    await repository.keep("refs/heddle/results/1", commit)
    assert sample.git("log", "-1", "--format=%G? %an %ae", commit) == "N Heddle heddle@localhost"


async def test_identity_comes_from_the_repositorys_own_configuration_first(
    repository: GitRepository, sample: Sample
) -> None:
    sample.git("config", "user.name", "Ann at Work")
    sample.git("config", "committer.email", "work@example.com")
    commit = await written(repository, sample)
    shown = sample.git("log", "-1", "--format=%an %ae %cn %ce", commit)
    assert shown == f"Ann at Work {EMAIL} Ann at Work work@example.com"


async def test_an_identity_that_is_not_set_is_never_guessed(sample: Sample) -> None:
    (sample.folder / "gitconfig").write_text("[user]\n\tname = Ann\n")
    guesses = {"EMAIL": "guess@example.com", "GIT_AUTHOR_EMAIL": "x@example.com", "GIT_COMMITTER_EMAIL": "x"}
    repository = await open_repository(sample.path, sample.env | guesses)
    with pytest.raises(SetupError) as caught:
        await written(repository, sample)
    assert caught.value.slug == "no-identity" and "user.email" in caught.value.hint
    tree = await repository.tree_of(sample.first)
    assert await repository.commit(tree, (), "ours", as_person=False)


async def test_no_hook_of_the_repository_runs_on_the_host(repository: GitRepository, sample: Sample) -> None:
    witness = sample.folder / "witness"
    shared = sample.folder / "hooks"
    shared.mkdir()
    for name in HOOKS:
        sample.hook(name, f"echo {name} >> '{witness}'; exit 1")
        (shared / name).write_text(f"#!/bin/sh\necho {name} >> '{witness}'; exit 1\n")
        (shared / name).chmod(0o755)
    new = sample.aside({"notes.txt": "landed\n"})
    witness.unlink(missing_ok=True)
    for hooks in ("", str(shared)):
        if hooks:
            sample.git("config", "core.hooksPath", hooks)
            witness.unlink(missing_ok=True)
        sample.git("config", "core.fsmonitor", f"echo fsmonitor >> '{witness}'; false")
        await written(repository, sample)
        await repository.merge(new, sample.first, sample.first)
        await repository.unsaved()
        assert await repository.advance("main", sample.first, new, {"refs/heddle/landed/1": new}) == Advanced("updated")
        await repository.forget("refs/heddle/results/1")
        assert not witness.exists(), witness.read_text()
        assert sample.git("-c", "core.fsmonitor=false", "status", "--porcelain") == ""


async def test_nothing_is_pushed_or_fetched(sample: Sample) -> None:
    """A landing touches no remote, and no transport is allowed to any of our commands."""
    remote = sample.folder / "remote.git"
    sample.git("clone", "-q", "--bare", ".", str(remote))
    sample.git("remote", "add", "origin", str(remote))
    sample.git("config", "branch.main.remote", "origin")
    sample.git("config", "push.default", "matching")
    before = sample.git("for-each-ref", cwd=remote)
    repository = await open_repository(sample.path, sample.env)
    new = sample.aside({"notes.txt": "landed\n"})
    await repository.advance("main", sample.first, new, {"refs/heddle/landed/1": new})
    assert sample.git("for-each-ref", cwd=remote) == before
    for verb in (("push", "origin", "main"), ("fetch", "origin")):
        with pytest.raises(Exception, match="not allowed|partial clone"):
            await repository.store.git.run(*verb, place=repository.store.public())
    assert sample.git("for-each-ref", cwd=remote) == before
