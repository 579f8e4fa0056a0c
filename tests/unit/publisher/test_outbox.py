"""The bounded queue between the training threads and the sender."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from streamviz.clock import monotonic_time
from streamviz.publisher.outbox import Bell, Lost, Outbox
from streamviz.wire.frames import Span


def put(outbox: Outbox, step: int) -> None:
    """Put a row in, as ``send`` does when the queue has grown."""
    outbox.rows.append((step, float(step), {"m": 1.0}, None))
    outbox.crowded()


def test_rows_come_out_in_order() -> None:
    """Below the limit nothing is lost, and the sender is called."""
    outbox = Outbox(10)
    for step in range(10):
        put(outbox, step)

    assert [row[0] for row in outbox.rows] == list(range(10))
    assert outbox.take_lost() is None
    assert not outbox.bell._silent.locked()


def test_the_oldest_rows_go_and_are_counted() -> None:
    """Past the limit the oldest go; how many, and where they lay, is told once."""
    outbox = Outbox(16)
    for step in range(17):
        put(outbox, step)

    assert [row[0] for row in outbox.rows] == list(range(3, 17))
    assert outbox.take_lost() == Lost(3, Span(0, 2, 0.0, 2.0))
    assert outbox.take_lost() is None
    assert outbox.lost_rows == 3


def test_losses_in_any_order_of_steps_have_one_span() -> None:
    """Steps may run backwards; the span covers them all."""
    outbox = Outbox(1)
    for step in (5, 2, 9, 4):
        put(outbox, step)

    lost = outbox.take_lost()
    assert lost is not None
    assert lost.rows + len(outbox.rows) == 4
    assert (lost.span.first_step, lost.span.last_step) == (2, 9)


@given(
    limit=st.integers(1, 5),
    actions=st.lists(st.sampled_from(["put", "take", "ask"]), max_size=60),
)
def test_no_row_vanishes(limit: int, actions: list[str]) -> None:
    """What was put in came out, is inside, or was told to be lost."""
    outbox = Outbox(limit)
    came = told = put_in = 0
    for action in actions:
        if action == "put":
            put(outbox, put_in)
            put_in += 1
        elif action == "take" and outbox.rows:
            outbox.rows.popleft()
            came += 1
        elif (lost := outbox.take_lost()) is not None:
            told += lost.rows
        assert len(outbox.rows) <= limit
    last = outbox.take_lost()
    told += last.rows if last else 0

    assert came + told + len(outbox.rows) == put_in
    assert told == outbox.lost_rows


def test_no_row_vanishes_between_threads() -> None:
    """So with several threads that put in while one takes out."""
    outbox = Outbox(50)

    def fill() -> None:
        for step in range(3000):
            put(outbox, step)

    threads = [threading.Thread(target=fill) for _ in range(3)]
    done = threading.Event()
    came = told = 0

    def take() -> None:
        nonlocal came, told
        while not done.is_set() or outbox.rows:
            try:
                outbox.rows.popleft()
                came += 1
            except IndexError:
                continue
            lost = outbox.take_lost()
            told += lost.rows if lost else 0

    taker = threading.Thread(target=take)
    taker.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    taker.join()
    last = outbox.take_lost()
    told += last.rows if last else 0

    assert came + told == 9000
    assert told == outbox.lost_rows


def test_a_bell_is_heard_once() -> None:
    """However often it rang, the next wait returns at once, and the one after waits its time."""
    bell = Bell()
    bell.ring()
    bell.ring()
    bell.wait(60.0)
    before = monotonic_time()
    bell.wait(0.02)

    assert monotonic_time() - before >= 0.019


def test_a_bell_wakes_a_waiting_thread() -> None:
    """Who waits is woken, by whichever of several threads that ring at once."""
    bell = Bell()
    heard = threading.Event()

    def listen() -> None:
        for _ in range(20):
            bell.wait(60.0)
        heard.set()

    listener = threading.Thread(target=listen)
    ringers = [threading.Thread(target=lambda: ring_until(heard, bell)) for _ in range(2)]
    for thread in (listener, *ringers):
        thread.start()
    for thread in (listener, *ringers):
        thread.join()

    assert heard.is_set()


def ring_until(heard: threading.Event, bell: Bell) -> None:
    """Ring until it was heard."""
    while not heard.is_set():
        bell.ring()
