"""``Publisher.send`` and what stands around it, with a transport in memory."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from handmade_frames import Ingest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_transport import MemoryTransport

from streamviz.errors import ConfigError
from streamviz.ingest.liveness import WorkerState
from streamviz.publisher import publisher as publisher_module
from streamviz.publisher.outbox import MAX_ROW_VALUES
from streamviz.publisher.publisher import Publisher
from streamviz.publisher.stream import Totals
from streamviz.publisher.transport import NoTransport
from streamviz.wire.codec import encode_ack
from streamviz.wire.frames import MAX_STEP


class Rig:
    """Publishers whose transport ends in a collector with a real store."""

    def __init__(self) -> None:
        self.ingest = Ingest()
        self.transports: list[MemoryTransport] = []

    def connect(self, endpoint: str) -> MemoryTransport:
        """Return a transport; each frame is answered at once."""
        assert endpoint.startswith("tcp://")
        transport = MemoryTransport(self.answer)
        self.transports.append(transport)
        return transport

    def answer(self, data: bytes) -> list[bytes]:
        """Let the collector take a frame, and return what it says."""
        self.ingest.receive(data)
        return [encode_ack(ack) for _, ack in self.ingest.acks()]

    def rows(self, metric: str = "m") -> list[tuple[int, float]]:
        """Return steps and values of one metric, as stored."""
        [series] = self.ingest.rows(metric).values()
        return series


@pytest.fixture
def rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    """Return where publishers publish to."""
    rig = Rig()
    monkeypatch.setattr(publisher_module, "ZmqTransport", rig.connect)
    settings = ("ENDPOINT", "RUN", "MODE", "FLUSH_MS", "BUFFER_BYTES", "OUTBOX_ROWS")
    for name in (*settings, "SPILL_DIR", "SPILL_BYTES"):
        monkeypatch.delenv(f"STREAMVIZ_{name}", raising=False)
    return rig


@pytest.fixture
def publisher(rig: Rig) -> Iterator[Publisher]:
    """Return a publisher of run ``run``."""
    with Publisher(run="run") as publisher:
        yield publisher
    assert len(rig.transports) == 1


def refused(publisher: Publisher) -> dict[str, int]:
    """Return what was refused, once all is framed."""
    assert publisher.flush(10)
    return dict(publisher.totals().refused)


def test_what_is_sent_is_stored(rig: Rig, publisher: Publisher) -> None:
    """Numbers of all kinds arrive with their steps, and the totals say so."""
    publisher.send({"m": 0.5, "n": 1}, step=3)
    publisher.send({"m": np.float32(0.25), "n": np.array([2])}, step=4)
    publisher.send({"m": math.nan, "n": True}, step=5)
    assert publisher.flush(10)

    assert rig.rows("n") == [(3, 1.0), (4, 2.0), (5, 1.0)]
    assert rig.rows("m")[:2] == [(3, 0.5), (4, 0.25)]
    totals = publisher.totals()
    assert (totals.sent, totals.held, totals.dropped, totals.refused) == (3, 0, {}, {})


def test_values_are_as_they_were_at_the_call(rig: Rig, publisher: Publisher) -> None:
    """Neither a mapping nor an array that is changed right after changes what was sent."""
    metrics: dict[str, Any] = {"m": 1.0}
    publisher.send(metrics, step=1)
    metrics["m"] = 99.0
    array = np.array([2.0])
    publisher.send({"m": array}, step=2)
    array += 1
    publisher.flush(10)

    assert rig.rows() == [(1, 1.0), (2, 2.0)]


def test_steps_count_up_by_themselves(rig: Rig, publisher: Publisher) -> None:
    """Without a step it is one more than the last one sent, whatever that was."""
    for step in (None, None, 10, None, 4, None):
        publisher.send({"m": 1.0}, step)
    publisher.flush(10)

    assert [step for step, _ in rig.rows()] == [0, 1, 4, 5, 10, 11]


@pytest.mark.parametrize(
    "step", [7, np.int64(7), np.uint8(7), np.int32(7), np.array(7)], ids=lambda step: type(step)
)
def test_a_step_is_any_integer(rig: Rig, publisher: Publisher, step: Any) -> None:
    """NumPy's integers are steps, and one may go on counting from them."""
    publisher.send({"m": 1.0}, step=step)
    publisher.send({"m": 1.0})
    publisher.flush(10)

    assert [step for step, _ in rig.rows()] == [7, 8]


def test_a_step_has_a_range(rig: Rig, publisher: Publisher) -> None:
    """0 to 2**53 are steps; what is outside is refused, never wrapped."""
    for step in (0, MAX_STEP, MAX_STEP + 1, -1, -(2**63), 2**64):
        publisher.send({"m": float(step), "n": 1.0}, step=step)

    assert refused(publisher) == {"a step outside 0 to 2**53": 8}
    assert rig.rows() == [(0, 0.0), (MAX_STEP, float(MAX_STEP))]


@pytest.mark.parametrize("step", [1.5, "7", np.float64(7), [1]], ids=repr)
def test_a_step_that_is_no_integer_is_refused(publisher: Publisher, step: Any) -> None:
    """A float or a text is no step; the values of the call are counted."""
    publisher.send({"m": 1.0, "n": 1.0}, step=step)

    [(reason, values)] = refused(publisher).items()
    assert reason.startswith("a step or value that raised ")
    assert values == 2


def test_a_bad_value_leaves_the_others(
    rig: Rig, publisher: Publisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Each unusable value is counted by reason and warned of once by name; the rest is stored."""
    metrics: dict[str, Any] = {"a": 1.0, "t": "x", "wide": np.zeros(3), "none": None, "b": 2.0}
    for step in range(3):
        publisher.send(metrics, step=step)
    publisher.send({"a": 3.0, "huge": 10**400, "\n": 1.0}, step=3)

    assert refused(publisher) == {
        "not a number": 6,
        "more than one element": 3,
        "too large for a float": 1,
        "bad name": 1,
    }
    assert rig.rows("a") == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 3.0)]
    assert rig.rows("b") == [(0, 2.0), (1, 2.0), (2, 2.0)]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == len(set(messages)) == 5
    assert any("metric 't' was left out: not a number" in message for message in messages)


class Hostile(Mapping[str, float]):
    """A mapping that raises at what it is told."""

    def __init__(self, *raising: str) -> None:
        self._raising = raising

    def _check(self, method: str) -> None:
        if method in self._raising:
            raise RuntimeError(method)

    def __getitem__(self, key: str) -> float:
        self._check("getitem")
        return 1.0

    def __iter__(self) -> Iterator[str]:
        self._check("iter")
        return iter(["m"])

    def __len__(self) -> int:
        self._check("len")
        return 1


class Slippery:
    """An object that raises at every look."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


# pytest looks closely at what it is given, so it is given what makes them.
HOSTILE: dict[str, Callable[[], Any]] = {
    "getitem raises": lambda: Hostile("getitem"),
    "iter raises": lambda: Hostile("iter"),
    "len raises": lambda: Hostile("len", "getitem"),
    "all raise": lambda: Hostile("getitem", "iter", "len"),
    "slippery": Slippery,
    "none": lambda: None,
    "number": lambda: 7.5,
    "text": lambda: "loss",
    "pairs": lambda: [("m", 1.0)],
    "slippery value": lambda: {"m": Slippery()},
    "tuple for a name": lambda: {("a", 1): Slippery()},
    "type for a name": lambda: {Slippery: Slippery()},
    "iterator": lambda: iter(()),
    "a class": lambda: Hostile,
}


@pytest.mark.parametrize("what", HOSTILE)
def test_send_never_raises(publisher: Publisher, what: str) -> None:
    """Whatever is handed over, the training goes on, and so does the sender."""
    publisher.send(HOSTILE[what](), step=1)
    publisher.send({"m": 1.0}, step=2)
    if what != "none":
        publisher.send({"m": 1.0}, step=HOSTILE[what]())

    assert publisher.flush(10)
    assert publisher.totals().refused


def test_a_log_handler_that_raises_stays_outside(rig: Rig, publisher: Publisher) -> None:
    """A user's logging that fails is not the training's end."""

    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError(record.msg)

    log = logging.getLogger("streamviz.publisher")
    handler = Failing()
    log.addHandler(handler)
    try:
        publisher.send({"m": "text"}, step=1)  # type: ignore[dict-item] # the point of the test
        publisher.send(None, step=1)  # type: ignore[arg-type] # the point of the test
        publisher.send({"m": 1.0, "\n": 1.0}, step=2)
        assert publisher.flush(10)
    finally:
        log.removeHandler(handler)

    assert rig.rows() == [(2, 1.0)]


anything = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers() | st.none(), inner),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(calls=st.lists(st.tuples(anything, anything), max_size=5))
def test_no_call_raises(publisher: Publisher, calls: list[tuple[Any, Any]]) -> None:
    """So for any metrics and any step that Hypothesis can think of."""
    for metrics, step in calls:
        publisher.send(metrics, step)
        publisher.send({"m": metrics, "n": step, "fine": 1.0})


def test_a_wide_call_is_several_rows(rig: Rig, publisher: Publisher) -> None:
    """More metrics than a row holds are all stored, at the one step."""
    count = 2 * MAX_ROW_VALUES + 1
    publisher.send({f"m{i}": float(i) for i in range(count)}, step=5)
    publisher.flush(10)

    assert rig.ingest.store.metrics("run") == [f"m{i}" for i in range(count)]
    assert rig.rows(f"m{count - 1}") == [(5, float(count - 1))]


def test_phases_go_out_with_the_next_send(
    rig: Rig, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seconds of a phase are a metric of the step that is sent next."""
    ticking = iter(range(100, 1000))
    monkeypatch.setattr("streamviz.publisher.phases.monotonic_time", lambda: float(next(ticking)))
    with publisher.phase("data"):
        pass
    publisher.send({"m": 1.0}, step=1)
    publisher.send({"m": 1.0}, step=2)
    publisher.flush(10)

    assert rig.rows("phase/data") == [(1, 1.0)]


def test_threads_send_side_by_side(rig: Rig, publisher: Publisher) -> None:
    """Several threads lose and mix up nothing."""

    def run(number: int) -> None:
        for step in range(500):
            publisher.send({f"m{number}": float(step)}, step=step)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert publisher.flush(10)

    for number in range(4):
        assert rig.rows(f"m{number}") == [(step, float(step)) for step in range(500)]
    assert publisher.totals().sent == 2000


# -- the end -------------------------------------------------------------------------------


def test_the_end_says_how(rig: Rig) -> None:
    """A clean end is done, an exception is failed, and what was sent is stored either way."""
    with Publisher(run="run") as publisher:
        publisher.send({"m": 1.0})
    assert rig.ingest.states() == [WorkerState.DONE]

    def fail() -> None:
        with Publisher(run="failing") as publisher:
            publisher.send({"m": 1.0})
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    [worker] = rig.ingest.workers("failing")
    assert (worker.state, worker.ended) == (WorkerState.FAILED, "KeyError")


def test_after_close_calls_only_count(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """A send after the end stores nothing, raises nothing, and is told once."""
    publisher = Publisher(run="run")
    publisher.send({"m": 1.0}, step=1)
    publisher.close()
    publisher.close()
    for step in range(2, 5):
        publisher.send({"m": 1.0, "n": 2.0}, step=step)

    assert rig.rows() == [(1, 1.0)]
    assert publisher.totals().refused == {"after close": 6}
    assert publisher.flush(1)
    assert [record for record in caplog.records if "after close" in record.getMessage()]
    assert len(caplog.records) == 1
    assert rig.transports[0].closed_with is not None


def test_a_publisher_that_is_off_does_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """``STREAMVIZ_MODE=off`` makes every call a no-op: no thread, no socket, no count, no word."""
    monkeypatch.setenv("STREAMVIZ_MODE", "off")
    before = threading.active_count()
    with Publisher(run="run") as publisher:
        for step in range(2000):
            publisher.send({"m": 1.0}, step=step)
            with publisher.phase("data"):
                pass
        assert publisher.flush(0)
        assert threading.active_count() == before

    assert rig.transports == []
    assert publisher.totals() == Totals(0, 0, {}, {})
    assert not publisher._rows
    assert caplog.records == []


def test_without_a_server_there_is_one_warning(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """With no server the training runs on; what it sends is held, and told when it ends."""
    publisher = Publisher(run="run")
    rig.transports[0].is_connected = False
    rig.transports[0].connections()
    for step in range(100):
        publisher.send({"m": 1.0}, step=step)
    assert not publisher.flush(0.05)
    publisher.close(timeout=0.1)

    assert publisher.totals().held == 100
    assert not publisher.flush(1)
    [message] = [record.getMessage() for record in caplog.records]
    assert "no streamviz server at" in message
    assert "100 rows were not sent" in message


def test_without_descriptors_the_training_goes_on(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When no socket can be made safely, none is: calls count, and one warning says what to do."""

    def refuse(endpoint: str) -> MemoryTransport:
        raise NoTransport(endpoint)

    monkeypatch.setattr(publisher_module, "ZmqTransport", refuse)
    with Publisher(run="run") as publisher:
        for step in range(10):
            publisher.send({"m": 1.0}, step=step)

    assert publisher.totals().refused == {"no connection": 10}
    assert sum("ulimit -n" in record.getMessage() for record in caplog.records) == 1
    assert not rig.transports


def test_without_descriptors_rows_go_to_the_file(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """When no socket can be made but there is a directory for it, nothing is lost."""

    def refuse(endpoint: str) -> MemoryTransport:
        raise NoTransport(endpoint)

    monkeypatch.setattr(publisher_module, "ZmqTransport", refuse)
    with Publisher(run="run", spill_dir=tmp_path) as publisher:
        for step in range(10):
            publisher.send({"m": 1.0}, step=step)
        assert publisher.flush(10)

    totals = publisher.totals()
    assert (totals.sent, totals.spilled, totals.refused) == (10, 10, {})
    [path] = tmp_path.iterdir()
    [message] = [record.getMessage() for record in caplog.records]
    assert f"what it sends goes to {path}" in message
    assert not rig.transports


@pytest.mark.parametrize("starts_later", [False, True])
def test_without_threads_rows_wait_for_the_end(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    starts_later: bool,  # noqa: FBT001
) -> None:
    """When no thread can be started, rows are written at the end, or when one can be."""
    refuses = [True]
    really = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if refuses[0] and thread.name.startswith("streamviz"):
            raise RuntimeError("can't start new thread")
        really(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    publisher = Publisher(run="run", mode="file", spill_dir=tmp_path)
    for step in range(600):
        publisher.send({"m": 1.0}, step=step)
    assert publisher.totals().spilled == 0
    if starts_later:
        refuses[0] = False
        for step in range(600, 8192 + 10):
            publisher.send({"m": 1.0}, step=step)
        assert publisher.flush(10)
        assert publisher.totals().spilled > 0
    publisher.close()

    totals = publisher.totals()
    assert totals.sent == totals.spilled == totals.held
    assert totals.sent >= 600
    [path] = tmp_path.iterdir()
    assert path.stat().st_size > 600 * 24


def test_a_new_attempt_is_another_stream(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    """After it the same steps are drawn apart, the totals go on, and the children have none."""
    publisher = Publisher(run="run", attempt=2)
    for _ in range(2):
        for step in range(5):
            publisher.send({"m": float(step)}, step=step)
        publisher.new_attempt()
    publisher.send({"m": 9.0}, step=0)
    assert publisher.flush(10)
    totals = publisher.totals()
    publisher.close()
    publisher.new_attempt()

    assert (totals.sent, totals.held) == (11, 0)
    assert publisher.totals().sent == 11
    workers = rig.ingest.workers()
    assert [worker.attempt for worker in workers] == [2, 3, 4]
    assert [worker.ended for worker in workers] == ["new attempt", "new attempt", "ok"]
    assert len(rig.transports) == 3
    assert caplog.records == []


def test_the_world_is_told_as_large_as_its_ranks(rig: Rig) -> None:
    """What a hello says of the world's size holds its rank."""
    with Publisher(run="run", rank=3, world_size=2) as publisher:
        publisher.send({"m": 1.0})

    [worker] = rig.ingest.workers()
    assert (worker.rank, worker.world_size) == (3, 4)


# -- what it may be told -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"endpoint": "localhost:6167"}, "endpoint"),
        ({"run": "a\nb"}, "run"),
        ({"run": "x" * 257}, "run"),
        ({"run": 7}, "run"),
        ({"rank": -1}, "rank"),
        ({"rank": "0"}, "rank"),
        ({"rank": True}, "rank"),
        ({"rank": 1 << 24}, "rank"),
        ({"world_size": 2.0}, "world_size"),
        ({"attempt": -1}, "attempt"),
        ({"mode": "offline"}, "mode"),
        ({"spill_dir": 7}, "spill_dir"),
        ({"spill_bytes": 1}, "spill_bytes"),
        ({"flush_ms": 0}, "flush_ms"),
        ({"buffer_bytes": -1}, "buffer_bytes"),
        ({"outbox_rows": 0}, "outbox_rows"),
        ({"config": ["lr", 0.1]}, "config"),
    ],
    ids=str,
)
def test_a_bad_setting_is_an_error_that_names_it(
    rig: Rig, arguments: dict[str, Any], named: str
) -> None:
    """While it is built a publisher says what it cannot use; that is the only error it raises."""
    with pytest.raises(ConfigError) as caught:
        Publisher(**{"run": "run", **arguments})

    assert caught.value.setting == named
    assert rig.transports == []


def test_a_publisher_says_who_it_is(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over what the launcher says; the server sees both, and the configuration."""
    monkeypatch.setenv("RANK", "5")
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    config = {"lr": 0.1, "\ud800": Slippery}
    with Publisher(run="run", rank=2, config=config) as publisher:
        publisher.send({"m": 1.0})

    [worker] = rig.ingest.workers()
    assert (worker.rank, worker.world_size, worker.attempt) == (2, 8, 3)
    assert (publisher.rank, publisher.world_size, publisher.run) == (2, 8, "run")
    info = rig.ingest.roster.run("run")
    assert info is not None
    assert info.config["lr"] == 0.1


def test_a_world_is_as_large_as_its_ranks(rig: Rig) -> None:
    """A rank past the world size named enlarges it."""
    with Publisher(run="run", rank=3, world_size=2) as publisher:
        assert publisher.world_size == 4
    assert rig.transports[0].closed_with is not None


def test_the_run_comes_from_the_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """``STREAMVIZ_RUN`` names the run where no argument does."""
    monkeypatch.setenv("STREAMVIZ_RUN", "from outside")
    with Publisher() as publisher:
        publisher.send({"m": 1.0})

    assert publisher.run == "from outside"
    assert rig.ingest.store.runs() == ["from outside"]
