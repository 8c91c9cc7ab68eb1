"""The map: what counts of a past, what belongs together, what is measured, and what is said where nothing can be."""

import random
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from heddle.core.map.advice import advise
from heddle.core.map.chart import Chart, Hidden, Source, Tie, draw
from heddle.core.map.coupling import HALF_LIFE, Coupling
from heddle.core.map.history import ENOUGH, Commit, Touched, useful
from heddle.core.map.hot import Hot, Policy, hot_files, policy
from heddle.core.map.imports import Finder, language
from heddle.core.map.names import twins
from heddle.core.map.parts import Edges, Measure, Part, at_once, edges, measured, parts_of, placed
from heddle.core.map.picture import picture


def commit(*paths: str, message: str = "work", id: str = "") -> Commit:
    return Commit(id, message, paths)


def touched(*paths: str, author: str = "Ada", message: str = "work", renamed: tuple[str, str] | None = None) -> Touched:
    return Touched("1", author, message, paths, (renamed,) if renamed else ())


def together(edges: Edges) -> Sequence[Collection[str]]:
    """Groups that hang together by any edge: parts as they would be found where none touches another."""
    group: dict[str, set[str]] = {}
    for one, other in edges:
        joined = group.get(one, {one}) | group.get(other, {other})
        for path in joined:
            group[path] = joined
    return [sorted(found) for found in {id(found): found for found in group.values()}.values()]


AREAS = {area: [f"src/{area}/{name}.py" for name in "abcd"] for area in ("red", "green", "blue")}
FILES = frozenset(path for paths in AREAS.values() for path in paths)


def work(commits: int, stray: float = 0.0) -> list[Commit]:
    """Commits of two files of one area each; `stray`: the share of those that take their second file from anywhere."""
    chance = random.Random(7)
    made = []
    for _ in range(commits):
        one, other = chance.sample(AREAS[chance.choice(sorted(AREAS))], 2)
        made.append(commit(one, chance.choice(sorted(FILES - {one})) if chance.random() < stray else other))
    return made


def test_what_tells_nothing_is_left_out_and_files_are_called_as_they_are_now() -> None:
    past = [
        touched("new.py", "b.py"),
        touched("new.py", renamed=("old.py", "new.py")),
        touched(*(f"{n}.py" for n in range(21))),
        touched("x.py", author="dependabot[bot]"),
        touched("x.py", message="style: run black"),
        touched(),
        touched("old.py", "c.py", renamed=("older.py", "old.py")),
        touched("older.py", "d.py"),
    ]
    assert [one.paths for one in useful(past)] == [
        ("new.py", "b.py"),
        ("new.py",),
        ("new.py", "c.py"),
        ("new.py", "d.py"),
    ]


def test_a_commit_counts_half_after_so_many_others() -> None:
    aged = Coupling([commit("a", "b"), *([commit("z")] * (HALF_LIFE - 1)), commit("a", "c")])
    chances = aged.given("a")
    assert chances["b"] / chances["c"] == pytest.approx(0.5, rel=0.01)
    assert (aged.both("b", "a"), aged.both("b", "c")) == (1, 0)
    assert aged.degree("b", "c") == aged.degree("b", "nowhere") == 0
    assert aged.given("nowhere") == {}
    assert Coupling().share("a") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("src/parser.py", "tests/test_parser.py"),
        ("lib/list.c", "lib/list.h"),
        ("web/Button.test.tsx", "web/Button.tsx"),
        ("pkg/queue.go", "pkg/queue_test.go"),
        ("src/main/Store.java", "src/test/StoreTest.java"),
    ],
)
def test_names_pair_a_test_with_what_it_tests(one: str, other: str) -> None:
    assert twins([one, other, "docs/else.md", "src/x/__init__.py", "tests/__init__.py"]) == [(one, other)]


def test_names_that_stand_everywhere_or_in_many_places_pair_nothing() -> None:
    assert twins(["a/index.ts", "b/index.test.ts", "a/x.py", "b/x.py", ".env", "b/.env"]) == []
    assert twins([f"{n}/test_thing.py" for n in range(8)] + ["thing.py"]) == []
    assert twins(["core/thing.py", "web/thing.py", "tests/web/test_thing.py"]) == [
        ("core/thing.py", "tests/web/test_thing.py"),  # where two fit as well, the pairing is still the same each time
        ("tests/web/test_thing.py", "web/thing.py"),
    ]


def test_hot_files_come_with_what_would_let_many_touch_them() -> None:
    past = [commit("CHANGELOG.md", "uv.lock", "app/routes.py", "core.py", f"{n}.py") for n in range(12)]
    hot = hot_files(Coupling(past), {"CHANGELOG.md", "uv.lock", "app/routes.py", "core.py", "1.py", "never.py"})
    assert {one.path: one.policy for one in hot} == {
        "CHANGELOG.md": Policy.FRAGMENTS,
        "uv.lock": Policy.REGENERATE,
        "app/routes.py": Policy.UNION,
        "core.py": Policy.SPLIT,
    }
    assert policy("src/history.py") is Policy.SPLIT
    cold = [commit("a.py", "uv.lock"), *([commit("b.py")] * 30)] * 10
    assert [one.path for one in hot_files(Coupling(cold), {"a.py", "uv.lock"})] == ["uv.lock"]


def test_edges_come_from_changes_imports_and_names_between_known_files_only() -> None:
    coupling = Coupling(
        [commit("a", "b"), commit("a", "b"), commit("a", "c"), commit("b", "gone"), commit("b", "gone")]
    )
    imports = {"a": ["c", "a", "gone"], "gone": ["a"]}
    found = edges(coupling, {"a", "b", "c", "d"}, imports, [("c", "d"), ("c", "gone")])
    assert sorted(found) == [("a", "b"), ("a", "c"), ("c", "d")]
    assert found["a", "b"] > found["c", "d"] > found["a", "c"] > 0


def test_parts_are_called_after_where_most_of_their_work_is() -> None:
    coupling = Coupling([commit("src/a/x.py", "src/a/y.py", "tests/test_x.py")] * 5 + [commit("src/a/z.py")])
    groups = [
        {"src/a/x.py", "src/a/y.py", "tests/test_x.py"},
        {"src/a/z.py", "src/a/p.py", "src/a/q.py"},
        {"one", "two/x", "three"},
        {"tests/test_p.py", "tests/test_q.py", "tests/test_r.py"},
        {"lone", "pair"},
    ]
    parts = parts_of(groups, coupling)
    assert [part.name for part in parts] == ["src/a", "src/a: z.py", "one", "tests"]
    assert parts[0].share == pytest.approx(15 / 16, rel=0.01)
    assert placed(parts)["tests/test_x.py"] == 0
    assert parts_of([], Coupling()) == ()


def test_measuring_counts_what_stays_within_a_part_and_what_meets() -> None:
    part_of = {"a": 0, "b": 0, "c": 1}
    past = [commit("a", "b"), commit("a", "c"), commit("c"), commit("nowhere"), commit("hot")]
    assert measured(past, part_of, {"hot"}) == Measure(3, 0.5, 2 / 3, 0.5)
    assert measured([], part_of, ()) == Measure(0, 0.0, 0.0, 0.0)
    assert (at_once([]), at_once([Part("a", (), 0.5), Part("b", (), 0.5), Part("c", (), 0.0)])) == (1, 2)


def drawn(commits: list[Commit], **more: Collection[str]) -> Chart:
    imports = {path: frozenset(more.get("imports", ())) - {path} for path in FILES}
    return draw(Source(commits, FILES, imports), together)


def test_a_modular_repository_is_found_to_be_one_with_its_planted_parts() -> None:
    chart = drawn(work(400))
    assert chart.modular is True
    assert sorted(sorted(part.files) for part in chart.parts) == sorted(AREAS.values())
    assert (chart.at_once, chart.loose, chart.ties) == (3, 0, ())
    assert chart.measure is not None and (chart.measure.contained, chart.measure.apart) == (1.0, 0.0)
    assert chart.hidden and not drawn(work(400), imports=FILES).hidden
    assert {hidden.one.split("/")[1] == hidden.other.split("/")[1] for hidden in chart.hidden} == {True}


def test_a_measure_that_was_found_lately_holds() -> None:
    lately = Measure(99, 0.9, 0.1, 0.0)
    assert draw(Source(work(400), FILES, {}), together, lately).measure == lately


def test_where_it_is_not_modular_or_nobody_can_tell_that_is_said() -> None:
    few = drawn(work(ENOUGH - 1))
    assert (few.modular, few.at_once, few.measure) == (None, 1, None)
    assert f"{ENOUGH - 1} of {ENOUGH} commits" in few.why
    assert drawn([commit(*FILES)] * 300).why == "all files hang together as one part"

    def by_area(edges: Edges) -> Sequence[Collection[str]]:
        return list(AREAS.values())

    source = Source(work(400, stray=1.0), FILES, {})
    mixed = draw(source, by_area)
    assert mixed.modular is False and "stay within one part" in mixed.why
    assert len(mixed.ties) == 3 and mixed.ties[0].commits > 20
    one = [commit("src/red/a.py") for _ in range(400)]
    meets = draw(Source([commit("hub", *two.paths) for two in work(400)] + one, FILES | {"hub"}, {}), by_area)
    assert meets.modular is False and "share a file" in meets.why


def test_an_import_by_way_of_a_package_hides_nothing() -> None:
    past = [commit("a.py", "b.py"), commit("c.py")] * 10
    files = frozenset({"a.py", "b.py", "c.py", "pkg/__init__.py"})
    imports = {"a.py": {"pkg/__init__.py"}, "pkg/__init__.py": {"b.py"}, "b.py": set[str](), "c.py": set[str]()}
    frozen = {path: frozenset(targets) for path, targets in imports.items()}
    assert draw(Source(past, files, frozen), together).hidden == ()
    bare = draw(Source(past, files, {path: frozenset[str]() for path in files}), together).hidden
    assert [(one.one, one.other, one.commits) for one in bare] == [("a.py", "b.py", 10)]


def test_ties_tell_of_imports_that_no_common_change_shows() -> None:
    chart = draw(
        Source(work(400), FILES, {"src/red/a.py": frozenset({"src/blue/a.py"})}), lambda _: list(AREAS.values())
    )
    assert [(tie.commits, tie.imports, tie.files) for tie in chart.ties] == [(0, 1, ("src/red/a.py", "src/blue/a.py"))]


TOLD = Chart(
    parts=(Part("src/a: x.py", ("src/a/x.py", "y.py"), 0.6), Part("b", ("b/z.py",), 0.3)),
    ties=(Tie(0, 1, 9, 2, ("src/a/x.py", "b/z.py")), Tie(0, 1, 1, 0, ("y.py", "b/z.py"))),
    hot=(Hot("uv.lock", 0.4, 20, Policy.REGENERATE),),
    hidden=(Hidden("y.py", "b/z.py", 7, 0.5),),
    measure=None,
    modular=None,
    why="not enough history: 3 of 200",
    at_once=1,
    commits=3,
    files=4,
    loose=1,
)


def test_advice_names_the_hot_the_shared_the_hidden_and_what_is_too_big() -> None:
    told = advise(TOLD)
    assert [one.kind for one in told] == ["hot", "interface", "hidden", "part", "history"]
    assert "make it anew with its tool" in told[0].text
    assert "between src/a: x.py and b" in told[1].text and "9 common changes" in told[1].text
    assert "along its folders: (top), src/a" in told[3].text
    assert advise(replace(TOLD, parts=(), ties=(), hot=(), hidden=(), modular=True)) == ()


def test_the_picture_is_the_same_each_time_and_outside_text_stays_text() -> None:
    many = tuple(Part(f"part {n}<&\x1b\u202e\ud800", (f"{n}.py", f"{n}b.py"), 0.3 / (n + 1)) for n in range(20))
    ties = tuple(Tie(n, n + 1, 20 - n, 0, ("", "")) for n in range(19))
    chart = replace(TOLD, parts=many, ties=ties, modular=True)
    svg = picture(chart, "a <script> & \x00")
    assert svg == picture(chart, "a <script> & \x00")
    root = ElementTree.fromstring(svg.encode())
    texts = [node.text or "" for node in root.iter() if node.tag.endswith("text")]
    assert "a <script> & \N{REPLACEMENT CHARACTER}" in texts
    assert any("6 smaller parts are not drawn" in text for text in texts)
    assert not [node for node in root.iter() if node.tag.endswith("script")]


def test_circles_stay_apart_and_within_the_frame() -> None:
    svg = picture(replace(TOLD, parts=tuple(Part(f"p{n}", (f"{n}.py",), 1 / (n + 1)) for n in range(14))), "x")
    found = [tuple(map(float, one)) for one in re.findall(r'cx="(.+?)" cy="(.+?)" r="(.+?)" fill="#fbfaf8"', svg)]
    assert len(found) == 14
    for one, other in ((a, b) for n, a in enumerate(found) for b in found[n + 1 :]):
        assert ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5 > one[2] + other[2]
    assert all(r <= x <= 850 - r for x, _, r in found)
    assert all(a[2] >= b[2] for a, b in pairwise(found))


def test_a_map_of_nothing_is_a_picture_too() -> None:
    empty = draw(Source([], frozenset(), {}), together)
    assert (empty.parts, empty.modular, empty.loose) == ((), None, 0)
    assert ElementTree.fromstring(picture(empty, "empty")) is not None


PATHS = [
    *("src/app/__init__.py", "src/app/core.py", "src/app/sub/__init__.py", "src/app/sub/x.py", "lib/y.pyi", "tool.py"),
    *("web/a.ts", "web/b.tsx", "web/c/index.js", "web/d.d.ts"),
    *("packages/core/src/index.ts", "packages/core/src/deep.ts", "packages/plain/x.js"),
    *("side-crate/src/lib.rs", "side-crate/src/far.rs"),
    *("go/pkg/x.go", "go/pkg/x_test.go", *(f"go/wide/{n}.go" for n in range(13))),
    *("rs/src/lib.rs", "rs/src/a.rs", "rs/src/a/b.rs", "rs/src/a/c/mod.rs", "rs/src/d.rs", "build.rs"),
    *("j/a/B.java", "j/c/D.java", "README"),
]


@pytest.mark.parametrize(
    ("path", "said", "means"),
    [
        ("tool.py", "app.core.run", ["src/app/core.py"]),
        ("tool.py", "src.app.core", ["src/app/core.py"]),
        ("tool.py", "app", ["src/app/__init__.py"]),
        ("tool.py", "os.path", []),
        ("src/app/sub/x.py", "..core", ["src/app/core.py"]),
        ("src/app/sub/x.py", ".name", ["src/app/sub/__init__.py"]),
        ("src/app/sub/x.py", "...sub.deep", []),
        ("src/app/sub/x.py", "......far", []),
        ("lib/z.py", ".y", ["lib/y.pyi"]),
        ("web/a.ts", "./b.js", ["web/b.tsx"]),
        ("web/a.ts", "./c", ["web/c/index.js"]),
        ("web/a.ts", "./d", ["web/d.d.ts"]),
        ("web/a.ts", "react", []),
        ("web/a.ts", "@me/core", ["packages/core/src/index.ts"]),
        ("web/a.ts", "@me/core/deep.js", ["packages/core/src/deep.ts"]),
        ("web/a.ts", "plain/x", ["packages/plain/x.js"]),
        ("web/a.ts", "plain/gone", []),
        ("rs/src/a.rs", "side_crate::far::Thing", ["side-crate/src/far.rs"]),
        ("rs/src/a.rs", "side_crate::Thing", ["side-crate/src/lib.rs"]),
        ("web/a.ts", "../../../out", []),
        ("go/main.go", "example.com/me/go/pkg", ["go/pkg/x.go"]),
        ("go/main.go", "me/go/wide", []),
        ("go/main.go", "fmt", []),
        ("rs/src/lib.rs", "mod a", ["rs/src/a.rs"]),
        ("rs/src/d.rs", "crate::a::b::Thing", ["rs/src/a/b.rs"]),
        ("rs/src/a/b.rs", "super::c::x", ["rs/src/a/c/mod.rs"]),
        ("rs/src/a/b.rs", "super::super::d", ["rs/src/d.rs"]),
        ("rs/src/a.rs", "self::b", ["rs/src/a/b.rs"]),
        ("rs/src/a.rs", "std::io", []),
        ("rs/src/a.rs", "crate::nothing", []),
        ("build.rs", "crate::nothing", []),
        ("j/c/D.java", "a.B", ["j/a/B.java"]),
        ("j/a/B.java", "j.c.D.thing", ["j/c/D.java"]),
        ("j/a/B.java", "java.util.List", []),
    ],
)
def test_import_statements_mean_files_of_the_repository_or_none(path: str, said: str, means: list[str]) -> None:
    packages = {"@me/core": "packages/core", "plain": "packages/plain"}
    assert sorted(Finder(PATHS, packages).found(path, [said])) == means


def test_only_source_files_have_a_language() -> None:
    assert (language("a/b.tsx"), language("README"), language("x.md")) == ("tsx", "", "")
