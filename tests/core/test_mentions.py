"""Which files define or use a symbol: every branch, and that no text of a file harms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heddle.core.errors import UserError
from heddle.core.mentions import LARGEST, Source, require_symbols, source

STATS = "LIMIT = 3\n\ndef mean(values):\n    def inner(): ...\n    local = 1\n\nclass Table:\n    WIDE = 1\n    async def row(self): ...\n"


@pytest.mark.parametrize(
    ("symbol", "defines"),
    [
        ("stats.mean", True),
        ("app.stats.mean", True),
        ("stats.Table.row", True),
        ("Table.row", True),
        ("Table.WIDE", True),
        ("stats.LIMIT", True),
        ("mean.inner", False),
        ("stats.inner", False),
        ("stats.local", False),
        ("other.mean", False),
    ],
)
def test_what_a_file_defines(symbol: str, defines: bool) -> None:
    found = source("src/app/stats.py", STATS.encode())
    assert found is not None and found.defines(symbol) is defines
    assert not defines or found.concerns(symbol)


@pytest.mark.parametrize(
    ("symbol", "code", "uses"),
    [
        ("stats.mean", "from app.stats import mean", True),
        ("stats.mean", "from .stats import mean as m", True),
        ("stats.mean", "from . import stats\nstats.mean([])", True),
        ("stats.mean", "import app.stats\napp.stats.mean([])", True),
        ("stats.mean", "import app.stats as s\ns.mean([])", True),
        ("stats.mean", "import app.stats\nwhich = app.stats\nwhich.mean", True),
        ("stats.mean", "from app.stats import *\nmean([])", True),
        ("stats.mean", "from app.stats import *\nmedian([])", False),
        ("stats.mean", "from app.stats import median\nmedian([])", False),
        ("stats.mean", "def mean(): ...\nmean()", False),
        ("stats.mean", "numbers().mean()", False),
        ("Table.row", "from app.stats import Table\nTable().row()", True),
        ("Table.row", "from app.stats import Table\nclass Mine(Table):\n    def row(self): ...", True),
        ("Table.row", "from app.stats import Table\nTable().column()", False),
        ("stats.mean", "import app.stats\nf = lambda: app.stats.mean", True),
        ("Table.row", "x = 1", False),
        ("stats.mean", "import stats\nstats.mean(", True),
        ("stats.mean", "import stats\nstats.median(", False),
    ],
)
def test_what_a_file_uses(symbol: str, code: str, uses: bool) -> None:
    found = source("src/app/report.py", code.encode())
    assert found is not None and found.concerns(symbol) is uses and not found.defines(symbol)


def test_a_package_is_called_as_its_folder() -> None:
    found = source("app/stats/__init__.py", b"from .all import mean\ndef median(): ...\n")
    assert found is not None and found.defines("stats.median") and found.concerns("all.mean")
    assert source("app/a.py", b"from .... import far\n") is not None


def test_what_is_no_python_or_too_large_is_not_read() -> None:
    assert source("a.md", b"stats.mean") is None
    assert source("a.py", b"#" * (LARGEST + 1)) is None


@given(st.binary(max_size=200))
def test_no_file_harms(data: bytes) -> None:
    assert isinstance(source("a.py", data), Source)


def test_deep_files_harm_nobody() -> None:
    for deep in ("a" + ".a" * 90_000, "-" * 90_000 + "1", "[" * 90_000, "if 1: pass\n" + "elif 1: pass\n" * 20_000):
        found = source("a.py", deep.encode())
        assert found is not None and not found.concerns("stats.mean")
    found = source("a.py", ("a" + ".b" * 40).encode())
    assert found is not None and max(map(len, found.spoken)) == 11


def test_names_of_symbols_are_checked() -> None:
    assert require_symbols([" stats.mean ", "stats.mean", "Table.row"]) == ("stats.mean", "Table.row")
    for wrong in (["mean"], [""], ["a..b"], ["a.b\x1b"], ["-x.y"], ["a." + "b" * 101], [f"a.b{n}" for n in range(21)]):
        with pytest.raises(UserError) as caught:
            require_symbols(wrong)
        assert caught.value.slug == "bad-symbol" and caught.value.hint
