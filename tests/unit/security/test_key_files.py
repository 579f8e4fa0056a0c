"""Keys on disk: made without ceremony, for their owner alone, and told apart by name."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import BadKey, ConfigError
from streamviz.security.curve import library_fault, make_pair
from streamviz.security.join import Join, find_join, pack_keys, parse_join, unpack_keys
from streamviz.security.keys import OWN_NAME, AllowedKeys, add_key, open_keys, revoke_key
from streamviz.security.private import home, read_private, write_private

KEYS = st.binary(min_size=32, max_size=32)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is not there yet, and no keys from elsewhere."""
    monkeypatch.setenv("STREAMVIZ_HOME", str(tmp_path / "a" / "home"))
    return home()


def test_this_machine_has_what_keys_need() -> None:
    """A libzmq with CURVE and without known holes; each pair is another."""
    assert library_fault() is None
    public, secret = make_pair()
    assert len(public) == len(secret) == 32
    assert make_pair() != (public, secret)


def test_the_first_server_makes_keys_that_its_user_finds(folder: Path) -> None:
    """For their owner alone, whatever the umask; the second server finds the same."""
    before = os.umask(0)
    try:
        keys = open_keys(folder)
    finally:
        os.umask(before)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes.pop("allowed") == 0o700 == stat.S_IMODE(folder.stat().st_mode)
    assert set(modes) == {"server.key", "join.key", OWN_NAME, ".lock"}
    assert set(modes.values()) == {0o600}
    join = find_join()
    assert join is not None
    assert join.server == keys.public
    assert keys.allowed.names == {join.public: OWN_NAME}
    again = open_keys(folder)
    assert (again.public, again.secret) == (keys.public, keys.secret)
    assert find_join() == join


def test_servers_that_start_at_once_have_the_same_keys(folder: Path) -> None:
    """Whoever comes second reads what the first has made."""
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(open_keys(folder).public)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    join = find_join()
    assert join is not None
    assert set(found) == {join.server}
    assert len(found) == 8
    assert open_keys(folder).allowed.names == {join.public: OWN_NAME}


def test_a_server_with_a_new_key_tells_its_publishers(folder: Path) -> None:
    """Its key was removed: join.key names the new one, with the publishers' own as before."""
    open_keys(folder)
    former = find_join()
    (folder / "server.key").unlink()
    keys = open_keys(folder)
    join = find_join()

    assert former is not None
    assert join is not None
    assert join.server == keys.public != former.server
    assert (join.public, join.secret) == (former.public, former.secret)


def test_names_are_added_listed_and_taken_back(folder: Path) -> None:
    """One key a name; a change is seen by whoever has the list open, once."""
    allowed = open_keys(folder).allowed
    assert not allowed.renew()
    ann, bob = add_key(folder, "ann"), add_key(folder, "bob")
    assert ann.server == bob.server
    assert ann.public != bob.public
    assert allowed.renew()
    assert not allowed.renew()
    assert {allowed.names[ann.public], allowed.names[bob.public]} == {"ann", "bob"}
    with pytest.raises(BadKey, match=r"there is a key of the name 'ann'.*keys revoke ann"):
        add_key(folder, "ann")
    revoke_key(folder, "ann")
    assert allowed.renew()
    assert ann.public not in allowed.names
    assert add_key(folder, "ann").public != ann.public, "a key that was taken back stays back"
    with pytest.raises(BadKey, match="no key has the name 'nobody'"):
        revoke_key(folder, "nobody")


def test_there_are_not_more_names_than_can_be_looked_through(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is read again when one changes, so there is an end to them."""
    monkeypatch.setattr("streamviz.security.keys.MOST_KEYS", 3)
    for name in ("one", "two"):
        add_key(folder, name)
    with pytest.raises(BadKey, match="3 names are allowed, which is the most"):
        add_key(folder, "three")
    revoke_key(folder, "one")
    add_key(folder, "three")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", ".hidden", "a b", "é", "a" * 65])
def test_a_name_is_a_file_of_the_folder_and_no_other(folder: Path, name: str) -> None:
    """What could lead out of it, or hide in it, is refused."""
    for act in (add_key, revoke_key):
        with pytest.raises(ConfigError, match="1 to 64 of the characters"):
            act(folder, name)


def test_what_is_damaged_or_open_is_not_let_in(folder: Path) -> None:
    """One bad file among the allowed ones costs that name alone."""
    good = add_key(folder, "good")
    for name, text, mode in (("torn", "streamviz-client-1.abc", 0o600), ("open", "", 0o644)):
        add_key(folder, name)
        path = folder / "allowed" / name
        path.write_text(text or path.read_text())
        path.chmod(mode)

    assert set(AllowedKeys(folder / "allowed").names.values()) == {"good", OWN_NAME}
    assert AllowedKeys(folder / "nowhere").names == {}
    assert good.public in AllowedKeys(folder / "allowed").names


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644])
def test_a_secret_that_others_can_read_is_refused(folder: Path, mode: int) -> None:
    """With the words that mend it, for the server's key and for the publishers'."""
    open_keys(folder)
    for name in ("server.key", "join.key"):
        (folder / name).chmod(mode)
        with pytest.raises(BadKey, match=rf"{name} has mode {mode:04o}: .* chmod 600"):
            open_keys(folder)
        (folder / name).chmod(0o600)
    (folder / "join.key").chmod(mode)
    with pytest.raises(BadKey, match="others can read"):
        find_join()
    folder.chmod(0o777)
    with pytest.raises(BadKey, match="mode 0777: others could replace"):
        open_keys(folder)


def test_a_damaged_key_is_named_and_not_quoted(folder: Path) -> None:
    """The words name the file and what to do; its letters stay out of them."""
    open_keys(folder)
    for name in ("server.key", "join.key"):
        path = folder / name
        text = path.read_text()
        path.write_text(text[:-8])
        with pytest.raises(BadKey) as caught:
            open_keys(folder)
        assert str(path) in str(caught.value)
        assert text[30:50] not in str(caught.value)
        path.write_text(text)


@given(server=KEYS, public=KEYS, secret=KEYS)
def test_a_join_line_is_read_back_and_needs_no_quotes(
    server: bytes, public: bytes, secret: bytes
) -> None:
    """One word for any shell, the same keys again, and no secret in what is shown of them."""
    join = Join(server, public, secret, "here")
    line = join.line()
    assert parse_join(f" {line}\n", "here") == join
    assert set(line) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert repr(join) == "Join(source='here')"


@given(at=st.integers(0, 153), to=st.sampled_from("Aa0-_.x="))
def test_a_changed_line_is_refused(at: int, to: str) -> None:
    """A letter mistyped, lost or added is noticed."""
    line = Join(bytes(32), bytes(range(32)), bytes(range(32, 64))).line()
    changed = line[:at] + to + line[at + 1 :]
    for other in (changed, line[:at], f"{line[:at]}{to}{line[at:]}"):
        if other != line:
            with pytest.raises(BadKey):
                parse_join(other, "here")


def test_lines_of_different_kinds_are_not_mixed_up() -> None:
    """A server's secret is no join line, nor the other way round."""
    line = pack_keys("streamviz-server-1", bytes(32), bytes(32))
    with pytest.raises(BadKey, match=r"begins with streamviz-join-1\."):
        parse_join(line, "here")
    with pytest.raises(BadKey, match="was cut or changed"):
        unpack_keys("streamviz-server-1", line, 3)


def test_where_a_publisher_looks(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line, else the file, else the folder; what is named and not usable is an error."""
    assert find_join() is None
    one, two = add_key(folder, "one"), add_key(folder, "two")
    found = find_join()
    assert found is not None
    assert found.source == str(folder / "join.key")
    file = tmp_path / "line"
    write_private(file, two.line())
    monkeypatch.setenv("STREAMVIZ_JOIN_FILE", str(file))
    found = find_join()
    assert found is not None
    assert (found.public, found.source) == (two.public, str(file))
    monkeypatch.setenv("STREAMVIZ_JOIN", one.line())
    found = find_join()
    assert found is not None
    assert (found.public, found.source) == (one.public, "STREAMVIZ_JOIN")
    monkeypatch.setenv("STREAMVIZ_JOIN", "none")
    assert find_join() is None
    monkeypatch.setenv("STREAMVIZ_JOIN", one.line()[:-3])
    with pytest.raises(ConfigError, match=r"^STREAMVIZ_JOIN: found '\d+ characters'") as caught:
        find_join()
    assert one.line()[20:60] not in str(caught.value)
    monkeypatch.delenv("STREAMVIZ_JOIN")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match=r"STREAMVIZ_JOIN_FILE.*others can read"):
        find_join()
    file.unlink()
    with pytest.raises(ConfigError, match="STREAMVIZ_JOIN_FILE"):
        find_join()


def test_the_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """STREAMVIZ_HOME, else XDG_CONFIG_HOME, else the home directory."""
    monkeypatch.setenv("HOME", "/h")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/x")
    monkeypatch.setenv("STREAMVIZ_HOME", "/s")
    assert home() == Path("/s")
    monkeypatch.delenv("STREAMVIZ_HOME")
    assert home() == Path("/x/streamviz")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert home() == Path("/h/.config/streamviz")


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    """Whoever reads meanwhile finds the old or the new one, and never half of either."""
    path = tmp_path / "file"
    write_private(path, "old" * 1000)
    ended = threading.Event()
    seen: set[str] = set()

    def read() -> None:
        while not ended.is_set():
            seen.add(read_private(path))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(50):
        write_private(path, f"new{number}" * 1000)
    ended.set()
    reader.join()

    assert seen <= {"old" * 1000} | {f"new{number}" * 1000 for number in range(50)}
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
