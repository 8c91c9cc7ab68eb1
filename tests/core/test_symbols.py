"""What breaks together although it merges: told only where it is sure, in Python, from changes alone."""

import pytest

from heddle.core.symbols import LARGEST, Symbols, all_of, broken, broken_together, functions, is_read, used, words

STATS = "def mean(values):\n    return sum(values) / len(values)\n\n\ndef spread(values):\n    return max(values)\n"
REPORT = "from tally.stats import mean\n\n\ndef report(rows):\n    return 0\n"


def symbols(path: str, before: str | None, after: str | None) -> Symbols:
    return all_of([Symbols(broken(path, before, after)), used(path, before, after)])


def between(path: str, old: str | None, new: str | None, user: str, before: str | None, after: str | None) -> str:
    found = broken_together(symbols(path, old, new), symbols(user, before, after))
    return "\n".join(one.words for one in found)


RENAMED = STATS.replace("mean", "average")
USES = REPORT.replace("return 0", "return mean(rows)")


@pytest.mark.parametrize(
    ("new", "after", "told"),
    [
        (RENAMED, USES, "tally/report.py:5 newly uses mean of tally/stats.py, which is gone there"),
        (STATS, USES, ""),  # the control: nothing was renamed
        (RENAMED, REPORT.replace("return 0", "return 1"), ""),  # its old use is the renamer's to mend
        (None, USES, "which is gone there"),  # the whole file is gone
        (STATS.replace("(values)", "(values, weights)", 1), USES, "takes other arguments there"),
        (STATS.replace("(values)", "(values, weights=None)", 1), USES, ""),  # the call can still be made
        (RENAMED + "\nmean = average\n", USES, ""),
        (RENAMED + "\nfrom other import mean\n", USES, ""),
        (RENAMED + "\nfrom other import *\n", USES, ""),
        ("if True:\n    def mean(values): return 0\ntry:\n    x = 1\nexcept E:\n    y = 2\n", USES, ""),
        (RENAMED, USES.replace("rows)", "mean)", 1).replace("report(rows", "report(mean"), ""),  # a parameter
        (RENAMED, "def report(rows):\n    return mean(rows)\n", ""),  # somebody else's mean
        (RENAMED, USES.replace("tally.stats", "other.stats"), ""),
        (RENAMED, USES.replace("tally.stats", "stats"), "is gone there"),  # in the same folder
        (RENAMED, USES.replace("from tally.stats", "from .stats"), "is gone there"),
        (RENAMED, "import tally.stats\nx = tally.stats.mean([])\n", "is gone there"),
        (RENAMED, "import tally.stats as s\nx = s.mean\n", "is gone there"),
        (RENAMED, "from . import stats\nx = stats.mean([])\n", "is gone there"),
        (RENAMED, "from tally.stats import mean, spread\n", "tally/report.py:1 newly uses mean"),
        (RENAMED, "import stats\nx = [].pop().mean\nstats.mean = 3\n", ""),
        (STATS.replace("(values)", "(values, weights)", 1), "from tally.stats import mean\nf = mean\n", ""),
        ("def mean(", USES, ""),  # cannot be read: nothing is said
        (RENAMED, "def (", ""),
        (RENAMED, None, ""),
    ],
)
def test_a_new_use_of_what_the_other_side_broke_is_found(new: str | None, after: str | None, told: str) -> None:
    found = between("tally/stats.py", STATS, new, "tally/report.py", REPORT, after)
    assert (told in found) if told else not found


@pytest.mark.parametrize(
    ("old", "new", "call", "hurts"),
    [
        ("def f(a): ...", "def f(a, *, key): ...", "f(1)", True),
        ("def f(a): ...", "def f(a, *, key): ...", "f(1, key=2)", False),
        ("def f(a): ...", "def f(a, *, key=1): ...", "f(1)", False),
        ("def f(a): ...", "def f(b): ...", "f(a=1)", True),
        ("def f(a): ...", "def f(b, **more): ...", "f(1, a=1)", False),
        ("def f(a, b): ...", "def f(a): ...", "f(1, 2)", True),
        ("def f(a, b): ...", "def f(a, *rest): ...", "f(1, 2)", False),
        ("def f(a, b): ...", "def f(a): ...", "f(*x)", False),
        ("def f(a, b): ...", "def f(a): ...", "f(**x)", False),
        ("def f(a): ...", "def f(a, b=1): ...", "f(1, a=2)", True),
        ("def f(a, b): ...", "def f(a, /): ...", "f(a=1)", True),
        ("class f:\n def __init__(self, a): ...", "class f:\n def __init__(self, a, b): ...", "f(1)", True),
        ("class f:\n x = 1", "class f:\n def __init__(self, b): ...", "f()", False),  # who knows what it took
        ("@d\ndef f(a): ...", "@d\ndef f(a, b): ...", "f(1)", False),
        ("@d.e\ndef f(a): ...", "@d.e\ndef f(a, b): ...", "f(1)", False),
        ("def f(a): ...\ndef f(a): ...", "def f(a, b): ...", "f(1)", False),
    ],
)
def test_other_parameters_hurt_only_the_calls_that_cannot_be_made_any_more(
    old: str, new: str, call: str, hurts: bool
) -> None:
    user = f"from m import f\nx = {call}\n"
    assert bool(between("m.py", old, new, "user.py", "from m import f\n", user)) is hurts


COUNTER = (
    "class Counter:\n    def enter(self, one): ...\n    @staticmethod\n    def made(one): ...\n    def get(self): ...\n"
)


@pytest.mark.parametrize(
    ("new", "line", "told"),
    [
        (COUNTER.replace("enter", "put_in"), "c.enter(1)", "uses Counter.enter of m.py, which is gone"),
        (COUNTER.replace("enter(self, one)", "enter(self, one, more)"), "c.enter(1)", "takes other arguments"),
        (COUNTER.replace("made(one)", "made()"), "c.made(1)", "takes other arguments"),
        (COUNTER.replace("get", "fetch"), "c.get()", ""),  # many types have that
        (
            COUNTER.replace("Counter:", "Counter(Base):").replace("enter", "put_in"),
            "c.enter(1)",
            "",
        ),  # inherited, maybe
        (COUNTER.replace("enter", "put_in"), "c.other(1)", ""),
    ],
)
def test_methods_are_told_by_files_that_import_their_module(new: str, line: str, told: str) -> None:
    before = "from m import Counter\n"
    found = between("m.py", COUNTER, new, "user.py", before, f"{before}{line}\n")
    assert (told in found) if told else not found
    assert not between("m.py", COUNTER, new, "user.py", "", f"{line}\n")  # it has nothing to do with the module


def test_in_one_file_and_through_a_package() -> None:
    old = "def helper(): ...\n"
    assert "is gone" in between("m.py", old, "", "m.py", old, old + "x = helper()\n")
    package = between("p/__init__.py", "from .q import f\n", "", "u.py", "", "from p import f\n")
    assert "newly uses f of p/__init__.py" in package
    assert not between("m.py", "from .q import f\n", "", "u.py", "", "from m import f\n")
    both = symbols("m.py", old, "x = 1\n"), symbols("m.py", old, old.replace("helper", "aid") + "x = helper()\n")
    assert not broken_together(*both)  # it renamed it itself: the merge of the texts decides
    assert "is gone" in between("m.py", "LIMIT: int = 3\n", "", "u.py", "", "from m import LIMIT\n")


def test_lines_count_as_added_as_often_as_there_are_more_of_them() -> None:
    before = "from m import f\nx = f()\n"
    assert not between("m.py", "def f(): ...\n", "", "u.py", before, before + "y = 1\n")
    assert "u.py:3" in between("m.py", "def f(): ...\n", "", "u.py", before, before + "x = f()\n")
    called, more = "from m import f\nf(\n)\n", "from m import f\nf(\n1)\n"
    assert "u.py:2" in between("m.py", "def f(a): ...\n", "def f(): ...", "u.py", called, more)


@pytest.mark.parametrize(
    "source",
    ["x = " + "-" * 100_000 + "1", "a" + ".b" * 100_000, "(" * 10_000, "\0", "x" * (LARGEST + 1), "é = '\ud800'"],
)
def test_text_that_nobody_can_read_says_nothing_and_harms_nobody(source: str) -> None:
    assert symbols("a.py", "def f(): ...\n", source).breaks in ((), symbols("a.py", "def f(): ...\n", "").breaks)
    symbols("a.py", source, "f.a.b.c.d.e.f.g.h.i.j.k\n")
    functions(source)


def test_every_name_in_a_file_is_one_of_its_words() -> None:
    assert words("x.größe(_a1, 1b)") == {"x", "größe", "_a1", "b"}
    assert words(None) == frozenset()


def test_spans_of_functions_and_the_languages_that_are_read() -> None:
    source = "@d\ndef f():\n    def g():\n        pass\n\nasync def h():\n    pass\n"
    assert sorted(functions(source)) == [(1, 4), (3, 4), (6, 7)]
    assert is_read("a/b.py") and not is_read("a.rs")
    assert all_of([symbols("a.py", "def f(): ...\n", ""), Symbols()]).breaks[0].name == "f"
