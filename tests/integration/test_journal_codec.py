"""Events as stored: whatever can be recorded comes back, and what an older Heddle recorded can be read."""

import json
import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heddle import __version__
from heddle.adapters.journal import codec
from heddle.adapters.journal.codec import Unreadable, decode, encode
from heddle.core.events import EVENTS, Event, RunStopped, ScopeViolated

FIXTURES = Path(__file__).parents[1] / "fixtures"
GOLDEN = sorted(FIXTURES.glob("journal-*.jsonl"))


def test_every_step_from_an_old_version_has_its_upcast() -> None:
    for kind, version in codec.VERSIONS.items():
        assert kind in EVENTS
        assert {(kind, step) for step in range(1, version)} <= set(codec.UPCASTS)


def test_a_file_name_that_is_no_text_survives() -> None:
    event = ScopeViolated((b"lat\xe9in".decode("utf-8", "surrogateescape"), "größe"))
    kind, version, data = encode(event)
    assert data.isascii() and decode(kind, version, data) == event


def something(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that events are made of."""
    match get_origin(kind):
        case origin if origin is Union or origin is types.UnionType:
            return st.one_of(*map(something, get_args(kind)))
        case origin if origin is tuple and get_args(kind)[-1] is Ellipsis:
            return st.lists(something(get_args(kind)[0]), max_size=3).map(tuple)
        case origin if origin is tuple:
            return st.tuples(*map(something, get_args(kind)))
        case origin if origin is Literal:
            return st.sampled_from(get_args(kind))
    if hasattr(kind, "__dataclass_fields__"):
        return st.builds(kind, **{name: something(of) for name, of in get_type_hints(kind).items()})
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    return st.integers(-(2**63), 2**63 - 1) if kind is int else st.from_type(kind)


@pytest.mark.parametrize("kind", EVENTS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_every_event_comes_back_as_it_was_stored(kind: str, data: st.DataObject) -> None:
    event: Event = data.draw(something(EVENTS[kind]))
    assert decode(*encode(event)) == event
    assert type(decode(*encode(event))) is EVENTS[kind]


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.stem)
def test_what_a_release_recorded_can_be_read(golden: Path) -> None:
    for line in golden.read_text().splitlines():
        stored = json.loads(line)
        event = decode(stored["kind"], stored["version"], stored["data"])
        assert decode(*encode(event)) == event


def test_what_this_release_records_is_in_its_golden_file_to_the_letter() -> None:
    lines = (FIXTURES / f"journal-{__version__}.jsonl").read_text().splitlines()
    recorded = [tuple(json.loads(line).values()) for line in lines]
    assert [encode(decode(*stored)) for stored in recorded] == recorded
    assert [kind for kind, _, _ in recorded] == list(EVENTS), "an event has no recorded example"


def test_an_event_of_tomorrow_is_unreadable_and_not_guessed() -> None:
    kind, version, data = encode(RunStopped("enough"))
    for stored in ((kind, version + 1, data), ("run-dreamt", 1, data)):
        with pytest.raises(Unreadable):
            decode(*stored)
