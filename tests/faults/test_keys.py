"""★ Who has no key gets nothing in, and is told once why; who gets one is let in soon after."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq
from rawsocket import dealer
from serving import ServerProcess, wait_until

import streamviz
from streamviz.publisher import transport
from streamviz.security.join import Join, find_join
from streamviz.security.keys import OWN_NAME, add_key, open_keys, revoke_key

ROWS = 50
Told = Callable[[], list[str]]


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One server with keys of its own; its counters are compared with what they were."""
    folder = tmp_path_factory.mktemp("home") / "keys"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMVIZ_HOME", str(folder))
        running = ServerProcess()
        running.home = folder  # type: ignore[attr-defined]
    yield running
    running.stop()


@pytest.fixture
def home(guarded: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of that server's keys, which publishers of the same user look into."""
    folder: Path = guarded.home  # type: ignore[attr-defined]
    monkeypatch.setenv("STREAMVIZ_HOME", str(folder))
    return folder


@pytest.fixture
def new_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without keys, for a server of the test's own."""
    folder = tmp_path / "keys"
    monkeypatch.setenv("STREAMVIZ_HOME", str(folder))
    return folder


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than 10 s between two tries."""
    monkeypatch.setattr(transport, "RETRY_S", 0.5)


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    """What publishers have warned of so far."""
    caplog.set_level(logging.WARNING, "streamviz.publisher")
    return lambda: [record.getMessage() for record in caplog.records]


def refused(server: ServerProcess) -> dict[str, int]:
    """Return how many connections came to nothing, by reason."""
    counted: dict[str, int] = server.get("/api/v1/status")["counters"]["connections_refused_total"]
    return counted


def send_all(publisher: streamviz.Publisher) -> None:
    """Send rows that carry their own number."""
    for step in range(ROWS):
        publisher.send({"m": float(step)}, step=step)


def has_all(server: ServerProcess, run: str) -> bool:
    """Say whether a server has each of the rows, once and in order."""
    series = server.series(run, "m")
    return [one["step"] for one in series] == [list(range(ROWS))]


class Case:
    """Keys that do not fit, and how they are made to fit."""

    def __init__(self, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self.elsewhere = tmp_path / "publisher-home"
        self._patch = monkeypatch

    def use(self, join: Join | str) -> None:
        """Let publishers that start now find these keys and no others."""
        line = join if isinstance(join, str) else join.line()
        self.elsewhere.mkdir(exist_ok=True)
        file = self.elsewhere / "join.key"
        file.touch(0o600)
        file.chmod(0o600)
        file.write_text(line)
        self._patch.setenv("STREAMVIZ_HOME", str(self.elsewhere))

    def no_key(self) -> str:
        """There is no file where it is looked for."""
        self._patch.setenv("STREAMVIZ_HOME", str(self.elsewhere))
        return "neither STREAMVIZ_JOIN, STREAMVIZ_JOIN_FILE nor a join.key"

    def told_to_go_without(self) -> str:
        """There is one, but the environment says to go without."""
        self._patch.setenv("STREAMVIZ_JOIN", "none")
        return "takes nobody without a key"

    def unknown_key(self) -> str:
        """The right server's key, and one of our own that nobody allowed."""
        stranger = open_keys(self.elsewhere / "made")
        mine = add_key(self.elsewhere / "made", "me")
        assert stranger.public == mine.server
        self.use(Join(open_keys(self.home).public, mine.public, mine.secret))
        return "does not know the key in"

    def revoked_key(self) -> str:
        """A key that was good a moment ago."""
        self.use(add_key(self.home, "leaver"))
        revoke_key(self.home, "leaver")
        return "it was taken back, or never added"

    def other_server(self) -> str:
        """Everything right, but for another server."""
        self.use(add_key(self.elsewhere / "other", "me"))
        return "cannot prove that it is the server of the keys"

    def readable_by_others(self) -> str:
        """The right keys, in a file that others can read."""
        self.use(add_key(self.home, "careless"))
        (self.elsewhere / "join.key").chmod(0o644)
        return "has mode 0644: others can read this secret"

    def cut_short(self) -> str:
        """The right keys, less a letter."""
        self.use(add_key(self.home, "hasty").line()[:-1])
        return "was cut or changed"


CASES = [name for name in vars(Case) if not name.startswith("_") and name != "use"]


@pytest.mark.parametrize("name", CASES)
def test_without_the_right_key_not_one_byte_gets_in(
    name: str,
    guarded: ServerProcess,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: Told,
    outcome: Callable[[int, str], None],
) -> None:
    """The cause is told once, nothing reaches the decoder, and with the key everything arrives."""
    case = Case(home, tmp_path, monkeypatch)
    words = getattr(case, name)()
    before = guarded.count("frames_received_total")
    with streamviz.Publisher(guarded.ingest, run=name) as publisher:
        send_all(publisher)
        wait_until(told, "the cause is named")
        # Another try at least, so that it could be said twice.
        assert not publisher.flush(1.2)
        assert guarded.count("frames_received_total") == before
        [sentence] = told()
        assert words in sentence
        assert publisher.totals().held == ROWS

        # Now it gets a key, and needs no restart for it.
        monkeypatch.delenv("STREAMVIZ_JOIN", raising=False)
        case.use(add_key(home, f"welcome-{name}"))
        assert publisher.flush(20), "it was not let in"

    assert has_all(guarded, name)
    assert len(told()) == 1
    if name == CASES[-1]:
        outcome(18, f"{len(CASES)} cases: 0 frames decoded, the cause named once, let in after")


def test_a_stranger_with_a_bare_socket_reaches_nothing(
    guarded: ServerProcess, home: Path, tmp_path: Path
) -> None:
    """Plaintext, an unknown key, another server's: each connection is counted, no frame is."""
    mine = add_key(tmp_path / "other", "me")
    before, frames = refused(guarded), guarded.count("frames_received_total")

    def more(*reasons: str) -> bool:
        now = refused(guarded)
        return any(now.get(reason, 0) > before.get(reason, 0) for reason in reasons)

    for join, reasons in (
        (None, ("other keys", "broken off")),
        (Join(open_keys(home).public, mine.public, mine.secret), ("unknown key",)),
        (mine, ("other keys",)),
    ):
        before = refused(guarded)
        with dealer(guarded.ingest, join, plain=join is None) as raw:
            raw.setsockopt(zmq.LINGER, 0)
            raw.send(b"let me in")
            wait_until(lambda wanted=reasons: more(*wanted), str(reasons))  # type: ignore[misc]

    assert guarded.count("frames_received_total") == frames


def test_keys_are_never_given_up_for_a_plaintext_server(
    new_home: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """A publisher with keys sends nothing to ``serve --insecure``, and says what to do."""
    plain = ServerProcess("--insecure")
    assert not new_home.exists(), "plaintext needs no keys"
    open_keys(new_home)
    publisher = streamviz.Publisher(plain.ingest, run="r")
    try:
        send_all(publisher)
        [sentence] = wait_until(told, "it is said")
        assert "takes plaintext only (serve --insecure)" in sentence
        assert "STREAMVIZ_JOIN=none" in sentence
        assert not publisher.flush(1.2)
        assert plain.count("frames_received_total") == 0
        # Plaintext is for those who say so.
        monkeypatch.setenv("STREAMVIZ_JOIN", "none")
        with streamviz.Publisher(plain.ingest, run="open") as careless:
            send_all(careless)
            assert careless.flush(20)
        assert has_all(plain, "open")
        monkeypatch.delenv("STREAMVIZ_JOIN")
        plain.stop()
        guarded = ServerProcess(ingest=plain.ingest)
        try:
            assert publisher.flush(20)
            assert has_all(guarded, "r")
        finally:
            guarded.stop()
    finally:
        publisher.close()
        plain.process.kill()
    assert len(told()) == 1


def test_a_publisher_may_be_there_before_the_first_server_of_all(
    told: Told, new_home: Path
) -> None:
    """It finds the keys that the server makes; all it may say is that nobody answered yet."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        endpoint = f"tcp://127.0.0.1:{reserved.getsockname()[1]}"
    with streamviz.Publisher(endpoint, run="r") as publisher:
        send_all(publisher)
        assert not publisher.flush(0.3)
        assert not new_home.exists()
        later = ServerProcess(ingest=endpoint)
        try:
            assert publisher.flush(20)
            assert has_all(later, "r")
        finally:
            later.stop()
    assert [said for said in told() if "no streamviz server" not in said] == []


def test_a_key_that_is_taken_back_is_cut_at_once(
    guarded: ServerProcess, home: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """Its live connection ends; a publisher beside it, with another key, loses nothing."""
    member = streamviz.Publisher(guarded.ingest, run="member")
    monkeypatch.setenv("STREAMVIZ_JOIN", add_key(home, "guest").line())
    guest = streamviz.Publisher(guarded.ingest, run="guest")
    ended = threading.Event()

    def work() -> None:
        for step in range(ROWS):
            member.send({"m": float(step)}, step=step)
            ended.wait(0.04)

    worker = threading.Thread(target=work)
    try:
        send_all(guest)
        assert guest.flush(10)
        worker.start()
        revoke_key(home, "guest")
        [sentence] = wait_until(told, "the guest is told")
        assert "it was taken back" in sentence
        guest.send({"m": -1.0}, step=ROWS)
        worker.join()
        assert member.flush(10)
        assert not guest.flush(0.5)
        assert has_all(guarded, "member")
        assert has_all(guarded, "guest"), "what came before it was taken back stays"
    finally:
        ended.set()
        guest.close(0.1)
        member.close()


def test_the_own_key_can_be_renewed(guarded: ServerProcess, home: Path) -> None:
    """``revoke this-user``: the next server makes another, which running publishers find."""
    former, before = find_join(), refused(guarded).get("unknown key", 0)
    with streamviz.Publisher(guarded.ingest, run="renewed") as publisher:
        send_all(publisher)
        assert publisher.flush(10)
        revoke_key(home, OWN_NAME)
        publisher.send({"m": 0.0}, step=ROWS)
        wait_until(
            lambda: refused(guarded).get("unknown key", 0) > before, "the old key is refused"
        )
        open_keys(home)  # as the next `serve` does
        assert publisher.flush(20)
    latter = find_join()
    assert former is not None
    assert latter is not None
    assert former.public != latter.public


def test_no_secret_is_said(
    guarded: ServerProcess, home: Path, monkeypatch: pytest.MonkeyPatch, told: Told
) -> None:
    """Neither what the server prints, nor its command line, nor a warning holds a key."""
    monkeypatch.setenv("STREAMVIZ_JOIN", add_key(home, "said").line())
    revoke_key(home, "said")
    with streamviz.Publisher(guarded.ingest, run="said") as publisher:
        publisher.send({"m": 1.0}, step=0)
        wait_until(told, "it is refused")
    join = find_join()
    assert join is not None
    secrets = [(home / "server.key").read_text().strip(), join.line()]
    said = [*guarded.lines, *told(), repr(join), *map(str, guarded.process.args)]  # type: ignore[arg-type]
    for secret in secrets:
        letters = secret.partition(".")[2]
        for start in range(0, len(letters) - 20, 10):
            assert not any(letters[start : start + 20] in text for text in said)
