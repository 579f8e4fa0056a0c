"""The marks of the run that a page shows: told when there are new ones, bounded, as text."""

from __future__ import annotations

from streamviz.store.store import Store
from streamviz.views.items import MOST_ITEMS, answer
from streamviz.views.keyhole import Keyhole
from streamviz.views.marks import MAX_MARK_TEXT, MOST_MARKS_TOLD, Marks
from streamviz.wire.bodies import pack_body


def store_of() -> Store:
    """Return a store with one run of one worker."""
    store = Store(64 << 20)
    store.open_worker("r", 4, 2)
    return store


def mark(store: Store, step: int, name: str = "here", **body: object) -> None:
    """Add a mark."""
    store.add_item("r", 0, "mark", name, step, 1.5, pack_body(body))


def test_marks_are_told_when_there_are_new_ones() -> None:
    """Nothing while there are none, one text for all pages, another with the next mark."""
    store = store_of()
    marks = Marks(store)
    assert marks.of(None) is marks.of("nobody") is marks.of("r") is None
    mark(store, 7, "<b>", text="x" * 999)

    first = marks.of("r")

    assert first is marks.of("r")
    assert first == (
        '{"op":"items","run":"r","marks":[{"name":"<b>","step":7,"time":1.5,"rank":4,"attempt":2,'
        f'"text":"{"x" * MAX_MARK_TEXT}"}}],"left_off":0}}'
    )
    store.add_item("r", 0, "alert", "a", 8, 1.5, pack_body({}))
    assert marks.of("r") is first  # an alert is no mark
    store.add_item("r", 0, "mark", "broken", 9, 1.5, b"\x8f")
    second = marks.of("r")
    assert second is not None
    assert '"name":"broken"' in second


def test_of_many_marks_the_newest_are_told() -> None:
    """A loop that marks every step costs a page no more than so many, and is told so."""
    store = store_of()
    for step in range(600):
        mark(store, step, f"n{step % 7}")

    told = Marks(store).of("r")

    assert told is not None
    assert told.count('"step":') == MOST_MARKS_TOLD
    assert '"step":599' in told
    assert f'"left_off":{600 - MOST_MARKS_TOLD}' in told


def test_an_answer_of_the_api_is_bounded() -> None:
    """The newest are told, and how many were left off."""
    store = store_of()
    for step in range(3):
        mark(store, step, data=bytes(1 << 19))
    [*items] = store.items("r") * 12

    told = answer(items)

    assert told["left_off"] == 36 - len(list(told["items"]))  # type: ignore[call-overload]
    assert 0 < len(list(told["items"])) < 36  # type: ignore[call-overload]
    assert MOST_ITEMS == 10_000


def test_a_shared_run_shows_its_marks_and_alerts_and_no_others() -> None:
    """A page that may read one run is told what belongs to it."""
    keyhole = Keyhole("mine")
    for op in ("items", "alerts"):
        assert keyhole.outward(f'{{"op":"{op}","run":"mine"}}') == f'{{"op":"{op}","run":"mine"}}'
        assert keyhole.outward(f'{{"op":"{op}","run":"other"}}') is None
