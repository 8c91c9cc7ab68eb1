"""Which command lines Codex may run in a stage that only reads."""

import subprocess
from pathlib import Path

import pytest

from heddle.adapters.agents.codex.commands import reads_only, script_of

READING = [
    "cat hello.txt",
    "ls -la src && pwd",
    "rg -n 'def (load|fetch)_' src/*.py | head -n 20",
    'rg -n "limit\\(" . 2>/dev/null',
    "sed -n '1,200p' src/a.py",
    "nl -ba a.py | sed -n '10,$p'",
    "find . -name '*.py' -not -path './.git/*' | sort -u | wc -l",
    "git --no-pager log --oneline -n 5 HEAD~3",
    "git diff --stat main^ -- src; git status --short 2>&1 | cat",
    "cd src; grep -rn 'a|b' . || echo none",
    "cat 'a b.txt'\ncat \"c d.txt\"",
    "cut -d, -f1 a.csv | sort -nr | uniq -c",
]

OTHERWISE = [
    "",
    "rm hello.txt",
    "cat a > b",
    "cat a >> b",
    "cat a 2>b",
    "cat a 2>/dev/nullx",
    "cat a & rm b",
    "cat a; rm b",
    "cat a | tee b",
    "cat a\nrm b",
    "cat $(touch b)",
    "cat `touch b`",
    'cat "$(touch b)"',
    'cat "`touch b`"',
    "cat <(touch b)",
    "X=1 cat a",
    "(rm b)",
    "{ rm b; }",
    "cat a;",
    "cat {a,b}",
    "cat 'a",
    "cat a\\",
    "cat a \\; rm",
    "echo a # b",
    "find . -delete",
    "find . '|' ls -delete",
    "find . -exec rm {} +",
    "find . -fprintf b x",
    "rg --pre ./evil x",
    "rg x *",
    "rg x '-'*",
    "rg x ''*",
    "rg x -*",
    "sed -i s/a/b/ a",
    "sed -n 'w b' a",
    "sed -n '1e touch b' a",
    "sed -n 1p -i a",
    "sort -o b a",
    "sort -uo b a",
    "sort --output=b a",
    "uniq a b",
    "git commit -m x",
    "git -c core.pager=evil log",
    "git log --output=b",
    "git log --outpu=b",
    "git grep -Otouch x",
    "git grep -nOtouch x",
    "git grep --open-files-in-pager=touch x",
    "git grep --ope=touch x",
    "git diff --ext-diff",
    "git branch x",
    "git --exec-path=. log",
    "xargs rm",
    "awk 'BEGIN{system(\"touch b\")}'",
    "python3 -c 'print(1)'",
    "./cat a",
    "/tmp/ls",
    "c?t a",
    "env cat a",
    "cat a\x00b",
    "cat é",
    "cat " + "a" * 40_000,
]


@pytest.mark.parametrize("script", READING)
def test_commands_that_only_read_are_known(script: str) -> None:
    assert reads_only(script)


@pytest.mark.parametrize("script", OTHERWISE)
def test_what_writes_or_is_not_understood_is_not_harmless(script: str) -> None:
    assert not reads_only(script)


@pytest.mark.parametrize("script", READING)
def test_a_real_shell_writes_nothing_with_them(script: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "src").mkdir()
    for name in ("hello.txt", "a.py", "a.csv", "src/a.py", "a b.txt"):
        (tmp_path / name).write_text("limit( a,1\n")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, stdin=subprocess.DEVNULL)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("command", "script"),
    [
        ("/bin/bash -lc 'cat hello.txt'", "cat hello.txt"),
        ("zsh -c 'a b'", "a b"),
        ("/bin/bash -lc 'cat a' extra", "/bin/bash -lc 'cat a' extra"),
        ("/bin/evil -lc 'cat a'", "/bin/evil -lc 'cat a'"),
        ("bash -lc 'open", "bash -lc 'open"),
        ("", ""),
    ],
)
def test_a_command_is_told_without_the_shell_that_runs_it(command: str, script: str) -> None:
    assert script_of(command) == script
