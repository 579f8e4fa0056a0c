"""The list of a run's alerts: folded, bounded, kept over a restart; and who is told of them."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from serving import wait_until

from streamviz.counters import Counters
from streamviz.errors import ConfigError
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.journal.directory import run_path
from streamviz.watch.actions import MOST_MESSAGES, Messenger, check_webhook
from streamviz.watch.alerts import (
    HOLD_S,
    MOST_ALERT_LETTERS,
    MOST_ALERTS,
    REPEAT_S,
    Alert,
    Alerts,
)
from streamviz.watch.keeping import MOST_ALERTS_BYTES, AlertFiles


def finding(rule: str = Rule.SPIKE, **others: object) -> Finding:
    """One of train/loss at step 5 and second 100, but for what is said."""
    facts: dict[str, object] = {"level": Level.WARNING, "text": "t", "time": 100.0, "step": 5}
    return Finding(rule=rule, **{"metric": "train/loss", **facts, **others})  # type: ignore[arg-type]


def bad(step: int, rank: int, **others: object) -> Finding:
    """A NaN."""
    return finding(Rule.NAN, step=step, rank=rank, earliest=True, **others)


def test_the_first_bad_rank_is_told_though_it_is_heard_last() -> None:
    """An earlier step takes the name over, a later one only counts; nobody is told twice."""
    alerts = Alerts()
    alerts.note(bad(40, rank=0, count=3), 0.0)
    alerts.note(bad(41, rank=1), 1.0)
    alerts.note(bad(39, rank=2), 2.0)

    [alert] = alerts.all()
    assert (alert.rank, alert.step, alert.count) == (2, 39, 5)
    assert [one.id for one in alerts.opened] == [1]


def test_a_moment_is_over_after_a_while_and_may_come_again() -> None:
    """It goes on while it is found, and is told again only after a pause."""
    alerts = Alerts()
    alerts.note(finding(), 0.0)
    alerts.settle(HOLD_S)
    assert alerts.all()[0].until is None
    alerts.settle(HOLD_S + 1)
    assert alerts.all()[0].until == 100.0
    alerts.note(finding(step=9, time=200.0), REPEAT_S + 2)

    [alert] = alerts.all()
    assert (alert.until, alert.step, alert.count) == (None, 9, 2)
    assert len(alerts.opened) == 2


def test_a_state_ends_when_its_rule_finds_it_no_more() -> None:
    """And only by a rule that was asked; an alert that grows worse is told at once."""
    alerts = Alerts()
    alerts.hold({Rule.SILENT}, [finding(Rule.SILENT, fold="3")], 1.0)
    alerts.hold({Rule.SILENT}, [finding(Rule.SILENT, fold="3", level=Level.ERROR)], 2.0)
    assert [one.level for one in alerts.opened] == [Level.WARNING, Level.ERROR]
    alerts.hold({Rule.STALL}, [], 3.0)
    assert alerts.all()[0].until is None
    alerts.hold({Rule.SILENT}, [], 4.0)

    [alert] = alerts.all()
    assert (alert.until, alert.count) == (4.0, 1)


def test_the_list_is_bounded_and_the_first_bad_value_stays() -> None:
    """The oldest that is over goes; while none is, the newest has no room; each is counted."""
    alerts = Alerts()
    alerts.note(bad(3, rank=0), 0.0)
    for index in range(MOST_ALERTS + 10):
        alerts.note(finding(fold=str(index)), 1.0)
    assert (len(alerts.all()), alerts.turned_away) == (MOST_ALERTS, 11)
    alerts.settle(HOLD_S + 10)
    for index in range(2 * MOST_ALERTS):
        alerts.note(finding(Rule.THRESHOLD, fold=str(index)), HOLD_S + 11)
        alerts.settle(2 * HOLD_S + 100 + index)

    assert len(alerts.all()) == MOST_ALERTS
    assert alerts.turned_away == 11 + 2 * MOST_ALERTS
    first = alerts.first_bad()
    assert first is not None
    assert first.step == 3


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)


@given(field=st.sampled_from(["id", "rule", "until", "rank", "metric", "time"]), value=JSON)
def test_what_is_no_alert_in_a_file_is_left_out(field: str, value: object) -> None:
    """Whatever somebody wrote there; the others come back, those that went on have ended."""
    alerts = Alerts()
    alerts.note(bad(3, rank=0), 0.0)
    row = alerts.all()[0].row()
    again = Alerts()
    again.restore([{**row, field: value}, row, {}], 500.0)

    assert again.all()[-1].text == "t"
    assert all(alert.until is not None for alert in again.all())
    json.dumps([alert.row() for alert in again.all()], allow_nan=False)


def test_a_long_sentence_is_cut() -> None:
    """And what UTF-8 cannot say is replaced."""
    alerts = Alerts()
    alerts.note(finding(text="\ud800" + "x" * 5000), 0.0)

    assert len(alerts.all()[0].text) == MOST_ALERT_LETTERS
    alerts.all()[0].text.encode()


def test_a_file_that_cannot_be_read_is_no_alerts(tmp_path: Path) -> None:
    """Broken, of another kind, too large: never an error; what was written comes back."""
    files = AlertFiles(tmp_path)
    assert files.read("r") is None
    assert not files.write("r", []), "a run that is not recorded"
    path = run_path(tmp_path, "r").with_name("alerts.json")
    path.parent.mkdir(parents=True)
    assert files.write("r", [{"a": 1}])
    assert files.read("r") == [{"a": 1}]
    for broken in (b"", b"\xff", b"[1]", b'{"version":2}', b"[" * 100_000):
        path.write_bytes(broken)
        assert files.read("r") is None
    path.write_bytes(b" " * (MOST_ALERTS_BYTES + 1))
    assert files.read("r") is None


def test_a_webhook_that_hangs_keeps_nobody_waiting() -> None:
    """What there is no room for is counted, and the end does not wait for it."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            release.wait(10)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    counters = Counters()
    messenger = Messenger(f"http://127.0.0.1:{server.server_port}/", (), counters)
    alerts = Alerts()
    alerts.note(finding(), 0.0)
    [alert] = alerts.all()
    try:
        messenger.tell("r", alert)  # not started: to nobody
        messenger.start()
        messenger.tell("r", alert)
        wait_until(lambda: messenger.waiting == 0, "the first is under way")
        for _ in range(MOST_MESSAGES + 7):
            messenger.tell("r", alert)
        assert counters.read()["alert_messages_total"] == {"line full": 7}
    finally:
        release.set()
        messenger.stop()
        server.shutdown()
        thread.join()
        server.server_close()


def test_what_a_command_does_is_counted() -> None:
    """Run, failed, or one that does not read what it is told."""
    alerts = Alerts()
    alerts.note(finding(text="x" * 900), 0.0)
    [alert] = alerts.all()

    def outcome(*command: str) -> dict[str, int]:
        counters = Counters()
        messenger = Messenger(None, command, counters)
        messenger.start()
        messenger.tell("r", alert)
        wait_until(lambda: counters.read().get("alert_messages_total"), "it ended")
        messenger.stop()
        return dict(counters.read()["alert_messages_total"])

    assert outcome("true") == {"command run": 1}
    assert outcome("false") == {"command failed": 1}
    assert outcome("/nonexistent") == {"command failed": 1}


@pytest.mark.parametrize(
    "address", ["", "ftp://h/", "http://", "http://h:0/", "http://h/\r\nX: y", "http://h:x/", "h"]
)
def test_an_address_that_cannot_be_posted_to(address: str) -> None:
    """It is found before the server starts."""
    with pytest.raises(ConfigError, match="an address such as"):
        check_webhook(address)


def test_rows_are_what_json_can_say() -> None:
    """An alert says all its fields."""
    alerts = Alerts()
    alerts.note(bad(3, rank=0), 0.0)
    [alert] = alerts.all()
    assert Alert(**alert.row()) == alert  # type: ignore[arg-type]
