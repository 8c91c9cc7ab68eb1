"""What agents load, what is wrong with it, and the block that Heddle keeps: the pure part of `heddle rules`."""

import pytest

from heddle.core.errors import UserError
from heddle.core.rules import block, checking, commands, guidance, markdown, references, statements, syncing
from heddle.core.rules.files import MOST_BYTES, RuleFile, Tree, folder_of, is_build, is_rules, joined
from heddle.core.rules.findings import Finding, Severity
from heddle.core.rules.loading import Place, When, habit, imported_paths, loaded_by, said
from heddle.core.session import rules_told

BLOCK = block.content(("make deps",), ("make test",))


def file(path: str, text: str = "", **told: object) -> RuleFile:
    return RuleFile(path, text, len(text.encode()), **told)  # type: ignore[arg-type]


def tree(*paths: str, there: tuple[str, ...] = (), whole: bool = True, **builds: str) -> Tree:
    texts = {path.replace("__", "."): text for path, text in builds.items()}
    return Tree(frozenset((*paths, *texts)), texts, frozenset(there), whole)


def loads(agent: str, *files: RuleFile, place: Place = Place.OWN, version: str = "") -> list[tuple[str, str]]:
    found = loaded_by(agent, files, place, version)
    assert found is not None
    return [(one.path, one.when.value) for one in found]


def slugs(
    *files: RuleFile, agents: tuple[str, ...] = ("codex",), of: Tree | None = None, wanted: str = ""
) -> list[str]:
    known = of or tree(*(one.path for one in files), Makefile="test deps:\n")
    report = checking.check(files, known, dict.fromkeys(agents, ""), wanted)
    return [f"{one.path}:{one.line} {one.slug}" for one in report.findings if one.slug != "gap"]


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("AGENTS.md", ""),
        ("docs/AGENTS.md", "docs"),
        (".claude/rules/a/b.md", ""),
        ("web/.cursor/rules/x.mdc", "web"),
        (".github/copilot-instructions.md", ""),
    ],
)
def test_a_file_speaks_of_the_folder_around_it(path: str, folder: str) -> None:
    assert is_rules(path)
    assert folder_of(path) == file(path).folder == folder


def test_other_files_are_no_rules_and_no_builds() -> None:
    assert not any(map(is_rules, ("agents.md", "docs/agents.md", "x/.agents/skills/y/AGENTS.md", "README.md")))
    assert is_build("web/package.json") and is_build("Makefile") and not is_build("docs/makefile.md")


def test_paths_are_joined_and_never_lead_out() -> None:
    assert joined("docs", "../src/./a.py") == "src/a.py"
    assert joined("docs", "../../etc/passwd") == ""


def test_a_tree_knows_files_folders_and_the_ends_of_paths() -> None:
    known = tree("src/heddle/core/run.py", there=("dist/x",))
    assert all(map(known.names, ("src/heddle", "core/run.py", "run.py", "core", "dist/x")))
    assert not known.names("src/run.py")


# --------------------------------------------------------------------------------------------- markdown


def kinds(text: str) -> list[str]:
    return [f"{line.number}{line.kind[:2]}{line.language}" for line in markdown.lines(text)]


def test_fences_comments_and_front_matter_are_told_apart() -> None:
    assert kinds("---\na: b\n---\ntext\n```sh\nls\n```\nend") == ["1fr", "2fr", "3fr", "4te", "6cosh", "8te"]
    assert kinds("---\nno end") == ["1te", "2te"]
    assert kinds("a\n<!-- one\n```\ntwo -->\nb\n<!-- short -->\nc") == [
        "1te", "2co", "3co", "4co", "5te", "6co", "7te",
    ]  # fmt: skip
    assert kinds("~~~\n```\nx\n~~~~\ny") == ["2co", "3co", "5te"]
    assert kinds("````\n```\nx") == ["2co", "3co"]


def test_indented_lines_are_code_but_not_in_lists() -> None:
    assert kinds("a\n\n    code\n    more\nb\n    not") == ["1te", "2te", "3co", "4co", "5te", "6te"]
    assert kinds("- a\n\n    of the item\nb") == ["1te", "2te", "3te", "4te"]


def test_imports_stand_outside_of_code() -> None:
    text = "@a.md and (@b/c.md), `@no.md` mail x@y.z\n```\n@no.md\n```\n\n    @no.md\n@.\n"
    assert markdown.imports(text) == ((1, "a.md"), (1, "b/c.md"))


def test_front_matter_in_its_forms() -> None:
    text = (
        '---\n- stray\npaths:\n  - "src/**"\n  - b\nglobs: a, *.{ts,tsx}\nlist: ["x", \'y\']\nno key\n---\npaths: z\n'
    )
    told = {"paths": ("src/**", "b"), "globs": ("a", "*.{ts,tsx}"), "list": ("x", "y")}
    assert markdown.front_matter(text) == told
    assert markdown.front_matter("plain") == {}
    assert markdown.front_matter("---\na: b\n---") == {"a": ("b",)}


# ---------------------------------------------------------------------------------------------- loading


def test_claude_by_itself_reads_its_own_files_with_imports_to_four_hops() -> None:
    chain = [file("CLAUDE.md", "@a.md @AGENTS.md @gone.md"), file("AGENTS.md", "@CLAUDE.md")]
    chain += [file(f"{one}.md", f"@{two}.md") for one, two in zip("abcde", "bcdef", strict=True)] + [file("f.md")]
    paths = [path for path, _ in loads("claude", *chain)]
    assert paths == ["CLAUDE.md", "a.md", "AGENTS.md", "b.md", "c.md", "d.md"]


def test_claude_reads_agents_md_only_without_a_claude_md_above_and_from_a_version_on() -> None:
    files = (file("AGENTS.md"), file("web/AGENTS.md"), file("web/CLAUDE.md"), file("web/ui/AGENTS.md"))
    assert loads("claude", *files) == [("web/CLAUDE.md", "folder"), ("AGENTS.md", "start")]
    assert loads("claude", file("AGENTS.md"), version="2.1.276 (Claude Code)") == []
    assert loads("claude", file("AGENTS.md"), version="2.1.277") == [("AGENTS.md", "start")]


def test_claude_in_a_session_reads_no_agents_md_and_nothing_private() -> None:
    bare = (file("AGENTS.md"), file("CLAUDE.local.md"))
    assert loads("claude", *bare, place=Place.SESSION) == []
    shim = (*bare, file("CLAUDE.md", "@AGENTS.md"), file(".claude/rules/x.md", '---\npaths: ["a/**"]\n---\n'))
    told = [("CLAUDE.md", "start"), ("AGENTS.md", "start"), (".claude/rules/x.md", "paths")]
    assert loads("claude", *shim, place=Place.SESSION) == told


def test_rules_with_paths_load_on_paths_and_others_as_they_say() -> None:
    claude = (file(".claude/rules/a.md", "all"), file(".claude/rules/b.md", "---\npaths: x/**\n---\n"))
    assert loads("claude", *claude) == [(".claude/rules/a.md", "start"), (".claude/rules/b.md", "paths")]
    texts = ("alwaysApply: true", "globs: a,b", "description: d", 'globs: "**"')
    cursor = [file(f".cursor/rules/{n}.mdc", f"---\n{text}\n---\n") for n, text in enumerate(texts)]
    assert [when for _, when in loads("cursor", *cursor)] == ["start", "paths", "choice", "start"]


def test_codex_prefers_an_override_in_each_folder() -> None:
    files = (file("AGENTS.md"), file("a/AGENTS.md"), file("a/AGENTS.override.md"))
    assert loads("codex", *files) == [("AGENTS.md", "start"), ("a/AGENTS.override.md", "folder")]
    assert loads("codex", *files, place=Place.SESSION) == [("AGENTS.md", "start"), ("a/AGENTS.md", "folder")]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("", ["GEMINI.md"]),
        ("{broken", ["GEMINI.md"]),
        ("[]", ["GEMINI.md"]),
        ('{"context": 1}', ["GEMINI.md"]),
        ("[" * 100_000, ["GEMINI.md"]),
        ('{"context": {"fileName": "AGENTS.md"}}', ["AGENTS.md"]),
        ('{"context": {"fileName": ["AGENTS.md", 7, "GEMINI.md"]}}', ["AGENTS.md", "GEMINI.md"]),
    ],
)
def test_gemini_goes_by_its_settings_but_not_in_a_session(settings: str, told: list[str]) -> None:
    files = (file("AGENTS.md"), file("GEMINI.md"), file(".gemini/settings.json", settings))
    assert [path for path, _ in loads("gemini", *files)] == told
    assert loads("gemini", *files, place=Place.SESSION) == [("GEMINI.md", "start")]


def test_opencode_and_aider_read_what_their_settings_name() -> None:
    opencode = (
        file("opencode.json", '{"instructions": ["docs/a.md", "gone.md"]}'),
        file("docs/a.md"),
        file("CLAUDE.md"),
    )
    assert [path for path, _ in loads("opencode", *opencode)] == ["CLAUDE.md", "docs/a.md"]
    aider = file(".aider.conf.yml", "model: x\nread: # of these\n  - CONVENTIONS.md\n  - gone.md\n")
    assert [path for path, _ in loads("aider", aider, file("CONVENTIONS.md"))] == ["CONVENTIONS.md"]
    assert loads("aider", file("CONVENTIONS.md")) == []


def test_of_other_agents_nothing_is_known() -> None:
    assert loaded_by("rehearsal", ()) is None
    assert habit("aider", (), Place.SESSION) is None


def test_imports_say_what_else_is_to_be_read() -> None:
    found = imported_paths((file("a/CLAUDE.md", "@b.md @../c.md @/etc/x @~/y @../../z.md"),))
    assert found == {"a/b.md", "c.md"}


# ------------------------------------------------------------------------------------------- references


def dead(text: str, of: Tree, path: str = "AGENTS.md") -> list[tuple[int, str]]:
    found = [references.dead(one, of) for one in references.references((file(path, text),))]
    return [(one.line, one.slug) for one in found if one]


HERE = tree("docs/guide.md", "src/app/main.py", "AGENTS.md")


def test_imports_links_and_paths_that_lead_nowhere_are_told() -> None:
    text = "@gone.md\n[a](docs/gone.md)\nSee `src/app/old_main.py`.\n[b](docs/guide.md#x) `src/app/main.py:12` @docs/guide.md\n"
    assert dead(text, HERE) == [(1, "dead-import"), (2, "dead-path"), (3, "dead-path")]


@pytest.mark.parametrize(
    "text",
    [
        "[a](https://x.example/y) [b](#part) [c](mailto:a@b) [d](<docs/guide.md>) [e](docs/{x}.md) [f](//host/x) ![g](x.png)",
        "[up](../other/x.md) `[a](docs/gone.md)`",
        "Create `src/app/views.py` first.",
        "An example: `src/foo.py`, `src/my_module.py`, `path/to/file.py`.",
        "`elsewhere/thing.py` `src/app` `a.py` `src/*.py` `app/main.py`",
        "```\n[a](docs/gone.md) `src/app/old_main.py`\n```",
        "<!-- `src/app/old_main.py` -->",
        "See `src/app/their_thing.py` in that repository.",
        "Read from `.app/settings.json`; see `../other/src/thing.py`.",
        "@~/x.md @/y.md @pytest.mark @anthropic/sdk",
    ],
)
def test_what_may_be_meant_otherwise_is_not_told(text: str) -> None:
    assert dead(text, HERE) == []


def test_a_path_counts_from_the_file_and_from_the_top() -> None:
    assert dead("`app/main.py` [x](app/main.py) [y](/docs/guide.md)", HERE, "src/AGENTS.md") == []
    assert dead("`dist/out.js` in src", tree("src/x", there=("dist/out.js",))) == []


def test_a_folder_that_is_not_there_is_told_once() -> None:
    rules = file(
        "AGENTS.md",
        "[a](lost/a.md)\n[b](lost/b.md) [c](lost/c.md)\n[d](gone/d.md)\n[e](docs/e.md)\n[f](f.md)\n@lost/x.md",
    )
    told = [(one.line, one.text) for one in references.all_dead((rules,), HERE)]
    assert [line for line, _ in told] == [6, 4, 5, 1, 3]
    assert told[3][1] == "names 'lost/a.md', and there is no folder 'lost' (and names it 2 more times)"
    assert told[4][1] == "names 'gone/d.md', and there is no folder 'gone'"


def test_only_prose_is_searched() -> None:
    assert references.references((file(".gemini/settings.json", '"[a](b.md)"'),)) == ()


# --------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("CI=1 uv run --python 3.12 --frozen pytest -q", "pytest -q"),
        ("uv run -m pytest", "pytest"),
        ("python3 -m pytest x", "pytest x"),
        ("uv run -- make x", "make x"),
        ("sudo make install # now", "make install"),
        ("python", "python"),
        ('echo "open', ""),
        ("A=1", ""),
    ],
)
def test_a_command_is_read_without_what_surrounds_it(text: str, words: str) -> None:
    assert " ".join(commands.words_of(text)) == words


def test_a_command_comes_to_its_words() -> None:
    assert commands.brief(("pnpm", "--filter", "web", "run", "lint", "-x")) == "pnpm lint"
    assert commands.brief(("make", "-w", "run")) == "make run"


def dead_commands(text: str, of: Tree) -> list[str]:
    return [one.text for one in commands.dead((file("AGENTS.md", text),), of)]


MAKE = tree(Makefile="test lint: deps\n\tpytest\nX := 1\n.PHONY: test\nall::\n")


def test_commands_that_cannot_run_are_told() -> None:
    package = '{"scripts": {"test": "x", "build": "y"}}'
    full = tree(
        "scripts/run.sh", Makefile=MAKE.builds["Makefile"], package__json=package, justfile="@go x='1':\n  y\nalias b := go\n",
        tox__ini="[testenv:docs]\n", noxfile__py="def lint(s): ...\n",
    )  # fmt: skip
    good = "make test; make lint && make all\nnpm run build\nnpm test\njust go\njust b\ntox -e docs\ntox -e py312\nnox -s lint\nls;"
    bad = "make vanish\npnpm run vanish | cat\njust vanish\ntox -e vanish\nnox -s vanish\n./scripts/vanish.sh\npython scripts/old.py\nbash"
    assert dead_commands(f"```sh\n{good}\n./scripts/run.sh\n```", full) == []
    told = dead_commands(f"```sh\n{bad}\n```", full)
    assert len(told) == 7
    assert "says 'make vanish', but no Makefile has such a target" in told
    assert "says './scripts/vanish.sh', but there is no './scripts/vanish.sh'" in told
    assert dead_commands("Run `npm test`.", tree()) == ["says 'npm test', but no package.json has such a script"]


@pytest.mark.parametrize(
    ("text", "of"),
    [
        ("`make vanish`", tree(Makefile="include other.mk\n")),
        ("`make vanish`", tree(Makefile="%.o: %.c\n")),
        ("`make vanish`", tree("CMakeLists.txt")),
        ("`just vanish`", tree(justfile="import 'x'\n")),
        ("`make data.csv`", tree("data.csv", Makefile="x:\n")),
        ("`make vanish`", tree(whole=False)),
        ("`python tools/x_vanish.py`", tree("tools/a", whole=False)),
        ("Add `make vanish`, create `./scripts/run.sh`.", MAKE),
        ("```\nmake sure\n./a/b_c.py\n```", MAKE),
        ("Builds `./scripts/run.sh`", MAKE),
        ("```python\nmake vanish\n```", MAKE),
        ("`make -C docs html` `npm run x --if-present` `tox -e a-b` `make <target>`", tree()),
        ("`src/app/vanish_x.py`", tree()),
        ("<!-- `make vanish` -->", MAKE),
    ],
)
def test_commands_that_may_run_are_not_told(text: str, of: Tree) -> None:
    assert dead_commands(text, of) == []


def test_a_prompt_makes_a_line_of_a_plain_fence_a_command() -> None:
    assert len(dead_commands("```\n$ make vanish\n```", MAKE)) == 1


# ------------------------------------------------------------------------------------------- statements


def differing(ours: str, theirs: str, path: str = "CLAUDE.md") -> list[str]:
    files = (file("AGENTS.md", ours), file(path, theirs))
    return [one.text for one in statements.differences(files, [frozenset(("AGENTS.md", path))] * 2)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("- **Test**: `make test`", "- Run the tests with `pytest -q`"),
        ("Lint: `ruff check .`", "Linting: `pylint src`"),
        ("Build: `npm run build`", "build: `npm run dist`"),
        ("Requires Python 3.11+", "Requires Python >= 3.12"),
        ("Use Node 20.", "Node.js version 22 is needed"),
        ("- Never edit the `gen/api.py` by hand", "1. Update `gen/api.py`"),
    ],
)
def test_one_subject_stated_in_two_ways_is_told_once_with_both_places(ours: str, theirs: str) -> None:
    (told,) = differing(ours, theirs)
    assert "CLAUDE.md:1 as '" in told


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("- Test: `make test`", "- Tests: `make test` (all of them)"),
        ("- Test: `pytest -q`", "- Test: `uv run pytest tests/`"),
        ("- Test: `make test`\n- Test: `pytest`", "- Test: `pytest`"),
        ("Requires Python >=3.11", "Requires Python 3.11 or newer"),
        ("Supports Python 3.10 to 3.14, uses 3.12", "Use Python 3.12"),
        ("In Python 3.7 this was otherwise.", "Use Python 3.12"),
        ("- Test: `make test`", "```\n- Test: `pytest`\n```"),
        ("- Test: ` `", "- Test: `pytest`"),
        ("- Test: `make test`", "nothing"),
        ("- Never edit the `gen/api.py`", "Do not:\n- Update `gen/api.py`"),
    ],
)
def test_what_is_the_same_or_a_choice_or_a_mention_is_not_told(ours: str, theirs: str) -> None:
    assert differing(ours, theirs) == []


def test_a_link_does_not_differ_from_what_it_leads_to() -> None:
    files = (file("AGENTS.md", "Test: `a`"), file("CLAUDE.md", "Test: `b`", link="AGENTS.md"))
    assert list(statements.differences(files, [frozenset(("AGENTS.md", "CLAUDE.md"))])) == []


# ------------------------------------------------------------------------------------------------ block


def test_the_block_is_short_and_names_the_commands() -> None:
    assert len(BLOCK.splitlines()) <= block.MOST_LINES
    assert "  - `make deps`" in BLOCK and "  - `make test`" in BLOCK
    assert "Nothing lands" not in block.content((), ())
    odd = block.content(("a`b", *(f"run {n}" for n in range(9))), ())
    assert "a`b" not in odd and "run 4" in odd and "and 5 more" in odd and len(odd.splitlines()) <= block.MOST_LINES


@pytest.mark.parametrize("text", ["", "rules", "rules\n", "a\r\nb\r\n", "\ufeffa\n\n\n", "a\rb"])
def test_a_block_is_appended_and_replaced_and_nothing_else_changes(text: str) -> None:
    once = block.with_block(text, BLOCK)
    assert once.startswith(text)
    assert ("\r\n" in once) == ("\r\n" in text)
    assert once.replace("\r\n", "").count("\n") == 0 or "\r\n" not in text
    assert block.with_block(once, BLOCK) == once
    other = block.with_block(once + "after", "<!-- heddle:rules begin -->\nnew\n<!-- heddle:rules end -->")
    assert other.startswith(text) and other.endswith("after") and "One task" not in other
    assert block.outside(once) == text.replace("\r\n", "\n").rstrip()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a\n{block.BEGIN}\nb", 2),
        (f"a\n\n{block.END}\n", 3),
        (f"{block.END}\n{block.BEGIN}\n", 1),
        (f"{block.BEGIN}\n{block.BEGIN}\n{block.END}", 2),
        (f"{BLOCK}\n\n{block.BEGIN}\n{block.END}", len(BLOCK.splitlines()) + 2),
    ],
)
def test_a_broken_fence_is_named_by_its_line_and_nothing_is_made(text: str, line: int) -> None:
    with pytest.raises(UserError) as caught:
        block.with_block(text, BLOCK)
    assert caught.value.slug == "broken-fence"
    assert f"line {line} " in caught.value.message
    assert slugs(file("AGENTS.md", text), wanted=BLOCK) == [f"AGENTS.md:{line} broken-fence"]


# --------------------------------------------------------------------------------------------- checking


def test_the_block_is_missing_stale_or_as_it_should_be() -> None:
    assert slugs(file("AGENTS.md", "a"), wanted=BLOCK) == ["AGENTS.md:0 no-block"]
    assert slugs(file("AGENTS.md", "a\n" + block.content((), ())), wanted=BLOCK) == ["AGENTS.md:2 stale-block"]
    assert slugs(file("AGENTS.md", BLOCK.replace("\n", "\r\n")), wanted=BLOCK) == []
    assert slugs(file("AGENTS.md", "a")) == []
    assert slugs() == ["AGENTS.md:0 no-canonical"]


def test_a_budget_counts_along_the_way_and_each_way_once() -> None:
    big = "x" * 20_000
    files = (file("AGENTS.md", big), file("a/AGENTS.md", big), file("a/b/AGENTS.md", big), file("c/AGENTS.md", "y"))
    report = checking.check(files, tree(), {"codex": "", "claude": ""})
    found = [one for one in report.findings if one.slug == "over-budget"]
    assert [(one.path, one.severity) for one in found] == [("a/AGENTS.md", Severity.WARNING)]
    assert "40000 when it starts in a/" in found[0].text
    (top,) = (
        one
        for one in checking.check((file("AGENTS.md", big * 2),), tree(), {"codex": ""}).findings
        if one.line == 0 and one.slug == "over-budget"
    )
    assert top.severity is Severity.ERROR


def test_dead_paths_are_told_only_of_a_tree_that_was_read_whole() -> None:
    rules = file("AGENTS.md", "[a](gone.md)")
    assert slugs(rules) == ["AGENTS.md:1 dead-path"]
    assert slugs(rules, of=tree(whole=False)) == []


def test_a_file_that_cannot_be_read_is_told() -> None:
    assert slugs(file("AGENTS.md", trouble="it is not UTF-8")) == ["AGENTS.md:0 unreadable"]
    assert MOST_BYTES > 32 * 1024


def test_the_same_text_loaded_twice_is_told_once_for_all_agents() -> None:
    files = (file("AGENTS.md", "rules"), file("GEMINI.md", "@AGENTS.md"))
    assert slugs(*files, agents=("agy",)) == ["AGENTS.md:0 loaded-twice"]
    assert slugs(file("AGENTS.md", "rules"), file("GEMINI.md", "rules", link="AGENTS.md"), agents=("agy", "codex")) == [
        "AGENTS.md:0 loaded-twice"
    ]
    assert slugs(*files, agents=("gemini", "codex")) == []


SAID = "".join(f"- This is the rule that has the number {n}.\n" for n in range(9))


def test_copies_are_told_stale_or_not() -> None:
    files = (file("AGENTS.md", SAID), file("CLAUDE.md", "@AGENTS.md"))
    assert slugs(*files, file("GEMINI.md", SAID)) == ["GEMINI.md:0 stale-shim"]
    report = checking.check(
        (*files, file("GEMINI.md", SAID.replace("9", "x") + "- And one more of those rules.\n")), tree(), {}
    )
    assert "a stale copy (1 lines differ)" in next(one.text for one in report.findings if one.slug == "stale-shim")
    assert slugs(*files, file("GEMINI.md", "- Something else altogether, and of its own.\n" * 9)) == []
    assert slugs(*files, file("a/AGENTS.md", SAID), file("a/CLAUDE.md", SAID)) == ["a/CLAUDE.md:0 stale-shim"]
    assert slugs(file("AGENTS.md", SAID), file("GEMINI.md", SAID, link="AGENTS.md")) == []


def test_agents_that_the_canonical_file_does_not_reach_are_named() -> None:
    bare = file("AGENTS.md", "rules")
    told = ("claude", "codex", "gemini", "cursor", "aider")
    report = checking.check((bare,), tree(), dict.fromkeys(told, ""))
    found = {one.text.split()[0]: one for one in report.findings if one.slug == "not-loaded"}
    assert set(found) == {"claude", "gemini", "aider"}
    assert "in a session of Heddle" in found["claude"].text
    shims = (file("CLAUDE.md", "own"), file("GEMINI.md", "@AGENTS.md"))
    texts = [one.text for one in checking.check((bare, *shims), tree(), dict.fromkeys(told[:3], "")).findings]
    assert "claude does not load it; it loads CLAUDE.md" in texts


def test_a_long_file_for_claude_is_a_note_when_claude_reads_it() -> None:
    long = (file("AGENTS.md"), file("CLAUDE.md", "@AGENTS.md\n" + "x\n" * 300))
    assert slugs(*long, agents=("claude",)) == ["CLAUDE.md:0 long"]
    assert slugs(*long) == []


def test_files_differ_only_where_one_reader_has_both() -> None:
    files = (file("AGENTS.md", "Test: `a`"), file("web/AGENTS.md", "Test: `b`"), file("GEMINI.md", "Test: `c`"))
    assert slugs(*files) == ["AGENTS.md:1 stated-differently"]
    cursor = (file("AGENTS.md", "Test: `a`"), file(".cursor/rules/x.mdc", "---\nalwaysApply: true\n---\nTest: `b`"))
    assert slugs(*cursor, agents=("cursor",)) == [".cursor/rules/x.mdc:4 stated-differently"]


def test_a_repository_addresses_agents_by_their_files() -> None:
    files = (file("a/CLAUDE.md"), file(".github/copilot-instructions.md"), file("AGENTS.md"))
    assert checking.addressed(files) == ("claude", "copilot")


# --------------------------------------------------------------------------------------------- guidance

FULL = """# Guide
## Layout
- `src/app` is the program.
## Set-up
Run `uv sync`.
## Tests
See docs/testing.md, or run `pytest`.
Build with `make build`, lint with `ruff check`.
Never push.
"""


def test_guidance_that_is_there_gives_all_and_each_gap_is_named() -> None:
    known = tree("src/app/main.py", "docs/testing.md", "Cargo.toml")
    assert guidance.score([file("AGENTS.md", FULL)], known, ()).value == 100
    empty = guidance.score([file("AGENTS.md", "# Guide\n## Structure\nwords\n## Next\n`src/app`\n")], known, ())
    assert empty.value == 0
    assert [gap.name for gap in empty.gaps] == [need.name for need in guidance.NEEDS]
    assert "+0 of 25: tests" in empty.reasons


def test_what_nobody_needs_is_no_gap_and_faults_cost() -> None:
    found = [Finding("x", severity, "p", 0, "t") for severity in Severity]
    told = guidance.score([file("AGENTS.md", FULL.replace("`make build`", "care"))], tree("src/app/main.py"), found)
    assert told.value == 100 - 10 - 2
    assert "+10 of 10: build, which nobody needs here" in told.reasons
    assert "-10: 1 of severity error, 10 each, 30 at most" in told.reasons


def test_a_pointer_to_a_document_counts_and_one_to_nothing_does_not() -> None:
    text = "For the architecture see ARCHITECTURE.md.\n"
    need = next(need for need in guidance.NEEDS if need.name == "architecture")
    assert guidance.gives(file("AGENTS.md", text), need, tree("ARCHITECTURE.md"))
    assert not guidance.gives(file("AGENTS.md", text), need, tree())
    assert guidance.gives(file("AGENTS.md", "# Layout\n```\nsrc/\n```\n"), need, tree())


def test_a_command_behind_a_label_counts_whatever_it_is() -> None:
    need = next(need for need in guidance.NEEDS if need.name == "set-up")
    assert guidance.gives(file("AGENTS.md", "- Set-up and tests: `./dev`"), need, tree())
    assert not guidance.gives(file("AGENTS.md", "- Set-up: by hand"), need, tree())
    assert not guidance.gives(file("AGENTS.md", "The set-up is `./dev`"), need, tree())


# ---------------------------------------------------------------------------------------------- syncing


def planned(
    *files: RuleFile, agents: tuple[str, ...] = (), targets: tuple[str, ...] = (), paths: tuple[str, ...] = ()
) -> list[str]:
    plan = syncing.plan(files, paths, agents, BLOCK, targets)
    return [
        *(f"{one.path} {'made' if one.before is None else 'changed'}" for one in plan.writes),
        *(f"{one.path} left" for one in plan.left),
    ]


SYNCED = file("AGENTS.md", block.with_block("rules\n", BLOCK))


def test_the_block_is_written_where_it_may_be() -> None:
    assert planned() == ["AGENTS.md made"]
    assert planned(file("AGENTS.md", "rules")) == ["AGENTS.md changed"]
    assert planned(SYNCED) == []
    assert planned(file("AGENTS.md", "x", link="CLAUDE.md")) == ["AGENTS.md left"]
    assert planned(file("AGENTS.md", trouble="no plain file")) == ["AGENTS.md left"]
    with pytest.raises(UserError):
        planned(file("AGENTS.md", block.BEGIN))


def test_a_shim_is_made_only_for_who_needs_one_and_never_over_a_file() -> None:
    assert planned(SYNCED, agents=("claude", "gemini", "codex")) == ["CLAUDE.md made", "GEMINI.md made"]
    assert planned(SYNCED, file("CLAUDE.md", "own"), agents=("claude",)) == ["CLAUDE.md left"]
    assert planned(SYNCED, file("CLAUDE.md", "x", link="AGENTS.md"), agents=("claude",)) == []
    assert planned(SYNCED, file(".claude/CLAUDE.md", "@../AGENTS.md"), agents=("claude",)) == []
    assert planned(file("CLAUDE.md", "@AGENTS.md"), agents=("claude",)) == ["AGENTS.md made"]
    assert planned(file("CLAUDE.md", "own"), agents=("claude",)) == ["AGENTS.md made", "CLAUDE.md left"]
    both = file(".gemini/settings.json", '{"context": {"fileName": ["AGENTS.md", "GEMINI.md"]}}')
    assert planned(SYNCED, both, agents=("gemini",)) == ["GEMINI.md left"]
    one = file(".gemini/settings.json", '{"context": {"fileName": "AGENTS.md"}}')
    assert planned(SYNCED, one, agents=("gemini",)) == ["GEMINI.md made"]


def test_what_git_ignores_reaches_no_session_and_is_not_written() -> None:
    shim = file("CLAUDE.md", "@AGENTS.md", ignored=True)
    assert slugs(file("AGENTS.md"), shim, agents=("claude",)) == ["AGENTS.md:0 not-loaded"]
    assert slugs(file("AGENTS.md"), file("CLAUDE.md", "@AGENTS.md"), agents=("claude",)) == []
    for files in ((SYNCED,), (SYNCED, shim)):
        plan = syncing.plan(files, (), ("claude",), BLOCK, (), ("CLAUDE.md",))
        assert (plan.writes, [one.why for one in plan.left]) == ((), [syncing.UNSEEN])


RULE = file(".claude/rules/api.md", '---\npaths:\n  - "src/**/*.ts"\n  - lib/**\n---\n\nBe strict.\n')


def test_rules_with_paths_are_compiled_for_who_was_asked_for() -> None:
    cursor = syncing.compiled(RULE, "cursor")
    assert cursor == (
        ".cursor/rules/api.mdc",
        "---\ndescription: api\nglobs: src/**/*.ts,lib/**\nalwaysApply: false\n---\n"
        "<!-- compiled by heddle from .claude/rules/api.md -->\n\nBe strict.\n",
    )
    copilot = syncing.compiled(RULE, "copilot")
    assert copilot and copilot[0] == ".github/instructions/api.instructions.md" and 'applyTo: "src/' in copilot[1]
    made = file(*cursor)
    assert planned(SYNCED, RULE, file(".claude/rules/all.md", "x"), targets=("cursor",)) == [
        ".cursor/rules/api.mdc made"
    ]
    assert planned(SYNCED, RULE, made, targets=("cursor",)) == []
    assert planned(SYNCED, RULE, file(cursor[0], made.text + "x"), targets=("cursor",)) == [
        ".cursor/rules/api.mdc changed"
    ]
    assert planned(SYNCED, RULE, file(cursor[0], "own"), targets=("cursor",)) == [".cursor/rules/api.mdc left"]
    assert planned(SYNCED, RULE, paths=(cursor[0],), targets=("cursor",)) == [".cursor/rules/api.mdc left"]
    assert syncing.compiled(file(".claude/rules/x.md", '---\npaths: a"b\n---\n'), "copilot") is None


def test_a_compiled_file_that_fell_behind_is_told() -> None:
    made = syncing.compiled(RULE, "cursor")
    assert made is not None
    assert slugs(file("AGENTS.md"), RULE, file(*made)) == []
    assert slugs(file("AGENTS.md"), RULE, file(made[0], made[1] + "x")) == [".cursor/rules/api.mdc:0 stale-shim"]
    assert slugs(file("AGENTS.md"), file(*made)) == [".cursor/rules/api.mdc:0 stale-shim"]


def test_when_has_a_word_for_each_moment() -> None:
    assert [one.value for one in When] == ["start", "folder", "paths", "choice"]


def test_a_text_of_no_sense_takes_no_time_and_what_was_kept_of_it_is_let_go() -> None:
    for bit in ("[", "`", "` ", "@", "a/", "a\n", "$(", "[a](", "- Test: `", "x " * 999 + "\n"):
        text = (bit * MOST_BYTES)[:MOST_BYTES]
        of = tree(Makefile=text, package__json=text, justfile=text)
        checking.check((file("AGENTS.md", text), file("CLAUDE.md", text)), of, {"claude": "", "codex": ""})
        assert len(markdown.lines(text)) <= markdown.MOST_LINES
    checking.forget()
    assert markdown.lines.cache_info().currsize == 0


def test_a_file_that_only_says_it_was_compiled_is_nobodys_shim() -> None:
    text = "<!-- compiled by heddle from .claude/rules/api.md -->"
    assert slugs(file("AGENTS.md", text)) == []


@pytest.mark.parametrize(
    ("reason", "cause", "when", "why"),
    [
        ("session_start", "", When.START, "its own file"),
        ("include", "CLAUDE.md", When.START, "imported by CLAUDE.md"),
        ("path_glob_match", "a.{x}", When.PATHS, "it came to a.{x}"),
        ("nested_traversal", "", When.FOLDER, "it came to a file"),
        ("", "", When.START, "it counts it among its instructions"),
        ("something new {", "", When.START, "something new {"),
    ],
)
def test_what_an_agent_tells_of_its_rules_is_said_in_our_words(reason: str, cause: str, when: When, why: str) -> None:
    told = said("claude", "docs/x.md", reason, cause)
    assert (told.path, told.when, told.why) == ("docs/x.md", when, why)


def test_each_session_tells_of_its_rules_in_a_document_of_its_own() -> None:
    assert rules_told("T1-1-plan-1.2") == "rules-T1-1-plan-1.2.jsonl"
