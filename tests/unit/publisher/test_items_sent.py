"""``mark`` and ``alert``: in their place among the rows, never raising, what is lost counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from handmade_frames import Ingest
from memory_transport import MemoryTransport

from streamviz.clock import monotonic_time
from streamviz.errors import ConfigError
from streamviz.publisher import publisher as publisher_module
from streamviz.publisher.notes import MAX_TEXT, WAITING_BYTES
from streamviz.publisher.outbox import Outbox
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.sender import _STEPLESS_S, Sender
from streamviz.wire.bodies import read_body
from streamviz.wire.codec import MAX_ITEM_BYTES, encode_ack


class Line:
    """A publisher whose sender takes its turns when told, and a server in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ingest = Ingest()
        self._now = monotonic_time()
        monkeypatch.setattr(Sender, "start", lambda _: None)
        transport = MemoryTransport(self._answer)
        monkeypatch.setattr(publisher_module, "ZmqTransport", lambda _: transport)

    def open(self, **how: Any) -> Publisher:
        """Return a publisher of run ``run``."""
        self.publisher = Publisher("tcp://127.0.0.1:1", run="run", **how)
        return self.publisher

    def _answer(self, data: bytes) -> list[bytes]:
        self.ingest.receive(data)
        return [encode_ack(ack) for _, ack in self.ingest.acks()]

    def turn(self, after_s: float = 0.3) -> None:
        """Let the sender take two turns."""
        sender = self.publisher._stream.sender
        assert sender is not None
        for _ in range(2):
            self._now += after_s
            sender._turn(self._now)

    def items(self) -> list[tuple[str, str, int]]:
        """Return kind, name and step of what the server has."""
        if "run" not in self.ingest.store.runs():
            return []
        return [(one.kind, one.name, one.step) for one in self.ingest.store.items("run")]

    def bodies(self) -> list[dict[str, object]]:
        """Return what they carry."""
        return [read_body(one.body) for one in self.ingest.store.items("run")]


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A server and a sender that stands still."""
    line = Line(monkeypatch)
    yield line
    sender = line.publisher._stream.sender
    assert sender is not None
    sender.ended.set()


def test_marks_and_alerts_lie_among_the_rows(line: Line) -> None:
    """Each is numbered as a row, has the step it was given or the last one sent, and its text."""
    publisher = line.open()
    publisher.send({"m": 1.0}, step=5)
    publisher.mark("checkpoint")
    publisher.send({"m": 2.0}, step=6)
    publisher.mark("lr halved", step=50, text="by hand")
    publisher.alert("NaN\nloss", "in layer 3", level="error")
    publisher.alert("odd level", level="loud")
    line.turn()

    assert line.items() == [
        ("mark", "checkpoint", 5),
        ("mark", "lr halved", 50),
        ("alert", "NaN loss", 6),
        ("alert", "odd level", 6),
    ]
    assert line.bodies() == [
        {},
        {"text": "by hand"},
        {"title": "NaN\nloss", "text": "in layer 3", "level": "error"},
        {"title": "odd level", "text": "", "level": "warning"},
    ]
    totals = publisher.totals()
    assert (totals.sent, totals.held, totals.dropped, totals.refused) == (6, 0, {}, {})
    [worker] = line.ingest.workers()
    assert (worker.stored, worker.last_step) == (6, 6)


def test_before_the_first_row_an_item_waits_for_its_step(line: Line) -> None:
    """A mark of a training that resumes at step 700 is no sign of step 0."""
    publisher = line.open()
    publisher.mark("resumed")
    publisher.mark("at a step", step=3)
    line.turn()
    assert line.items() == [("mark", "at a step", 3)]
    assert publisher.totals().held == 1
    publisher.send({"m": 1.0}, step=700)
    line.turn()

    assert line.items()[1:] == [("mark", "resumed", 700)]
    assert publisher.totals().held == 0


@pytest.mark.parametrize("how", ["time", "flush"])
def test_an_item_waits_for_a_first_row_only_so_long(line: Line, how: str) -> None:
    """After some seconds, or when somebody waits for it, it goes out with step 0."""
    publisher = line.open()
    publisher.alert("no device")
    line.turn()
    assert line.items() == []
    if how == "time":
        line.turn(_STEPLESS_S)
    else:
        assert publisher._stream.sender is not None
        publisher._stream.sender.ask()
        line.turn()

    assert line.items() == [("alert", "no device", 0)]


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda p: p.mark("a", step=-1), "a step outside 0 to 2**53"),
        (lambda p: p.mark("a", step="x"), "an item that raised AttributeError"),
        (lambda p: p._item("k\n", "a", 1, {}), "an item without a legal name"),
        (lambda p: p._item("k", "a", 1, {"x": object()}), "an item that is no plain data"),
        (lambda p: p._item("k", "a", 1, {"x": bytes(MAX_ITEM_BYTES)}), "an item of more than"),
        (lambda p: p._item("k", "a", 1, None), "an item that is no plain data"),
    ],
)
def test_what_cannot_be_sent_is_counted(
    line: Line, call: Callable[[Publisher], None], reason: str
) -> None:
    """It never raises; what is wrong is counted by name, and nothing of it goes out."""
    publisher = line.open()
    call(publisher)
    publisher.mark("good", step=1)
    line.turn()

    assert line.items() == [("mark", "good", 1)]
    [(told, count)] = publisher.totals().refused.items()
    assert told.startswith(reason)
    assert count == 1


def test_any_text_becomes_a_name(line: Line) -> None:
    """A title is no reason to lose an alert; too long a text is cut."""

    class Rude:
        def __str__(self) -> str:
            raise RuntimeError

    publisher = line.open()
    for name in ("", "\n", "ab" * 500, "\udc80", "a\u202eb", 7):
        publisher.mark(name, step=1, text="x" * (MAX_TEXT + 9))  # type: ignore[arg-type]
    publisher.alert(Rude(), step=1)  # type: ignore[arg-type]
    line.turn()

    names = [name for _, name, _ in line.items()]
    assert names == ["unnamed", "unnamed", "ab" * 128, "?", "a b", "7"]
    assert {len(str(body["text"])) for body in line.bodies()} == {MAX_TEXT}
    assert publisher.totals().refused == {"an item that raised RuntimeError": 1}


def test_items_that_wait_are_bounded(line: Line) -> None:
    """Past so many bytes a further one is left out and counted; framed ones make room."""
    publisher = line.open()
    publisher.send({"m": 1.0}, step=1)
    for _ in range(12):
        publisher._item("blob", "b", 1, {"data": bytes(1_000_000)})
    waiting = publisher._note_room._taken
    for _ in range(20):
        line.turn()

    assert 0 < waiting <= WAITING_BYTES
    assert len(line.items()) == WAITING_BYTES // 1_000_300
    assert sum(publisher.totals().refused.values()) == 12 - len(line.items())
    assert publisher._note_room._taken == 0
    publisher._item("blob", "b", 1, {"data": bytes(1_000_000)})
    assert publisher._note_room._taken > 0


def test_what_falls_out_of_a_full_outbox_gives_its_room_back(line: Line) -> None:
    """It is counted with the rows that fell out, and drawn as a gap from step 0 on."""
    publisher = line.open(outbox_rows=16)
    for _ in range(40):
        publisher.mark("early")
    assert publisher._note_room._taken < 40 * 200
    publisher.send({"m": 1.0}, step=9)
    line.turn()

    lost = publisher.totals().dropped["outbox full"]
    assert isinstance(publisher._outbox, Outbox)
    assert len(line.items()) == 40 - lost
    assert publisher._note_room._taken == 0
    [(_, gap)] = line.ingest.gaps()
    assert (gap.rows, gap.first_step) == (lost, 0)


def test_after_close_items_are_counted(line: Line) -> None:
    """A closed publisher takes nothing more, says so once, and holds no room for it."""
    publisher = line.open()
    publisher._deafen("after close", "closed")
    publisher.mark("late", step=1)

    assert publisher.totals().refused == {"after close": 1}
    assert publisher._note_room._taken == 0


def test_facts_ride_in_the_hello(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """They come to the run and the rank; a user's own key of their name is left out, said once."""
    publisher = line.open(
        config={"lr": 0.1, "streamviz": {"mesh": {"dp": 9}}},
        replicated=("loss_scale", "loss_scale"),
        mesh={"dp": 3, "pp": 1},
        total_steps=100,
        samples_per_step=8,
        tokens_per_step=1024,
        flops_per_step=1e12,
        peak_flops=9.9e14,
    )
    publisher.send({"m": 1.0}, step=1)
    line.turn()

    [worker] = line.ingest.workers()
    info = line.ingest.roster.run("run")
    assert info is not None
    assert worker.mesh == {"dp": 3, "pp": 1}
    assert info.config == {"lr": 0.1}
    assert info.facts == {
        "replicated": ["loss_scale"],
        "total_steps": 100,
        "samples_per_step": 8.0,
        "tokens_per_step": 1024.0,
        "flops_per_step": 1e12,
        "peak_flops": 9.9e14,
    }
    assert line.ingest.total("facts_refused_total") == 0
    assert [one.message for one in caplog.records].count(
        "streamviz: the key 'streamviz' of config is reserved; left out"
    ) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"mesh": {"dp": -1}},
        {"mesh": {"dp": 1.5}},
        {"mesh": {"": 1}},
        {"mesh": {str(axis): 0 for axis in range(9)}},
        {"mesh": [("dp", 1)]},
        {"replicated": "loss"},
        {"replicated": ["a\n"]},
        {"replicated": [str(name) for name in range(65)]},
        {"total_steps": 0},
        {"total_steps": True},
        {"samples_per_step": float("nan")},
        {"tokens_per_step": "many"},
        {"flops_per_step": float("inf")},
        {"peak_flops": -1},
    ],
    ids=str,
)
def test_facts_that_cannot_be_are_named_where_they_are_set(bad: dict[str, Any]) -> None:
    """The setting, what was found and what is allowed."""
    [name] = bad
    with pytest.raises(ConfigError, match=f"^{name}: found .*, expected"):
        Publisher("tcp://127.0.0.1:1", run="run", mode="off", **bad)
