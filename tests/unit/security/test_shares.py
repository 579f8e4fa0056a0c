"""Links that end: signed, limited, and worth nothing once changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamviz.errors import ConfigError
from streamviz.security.shares import MOST_HOURS, Share, Shares, share_for


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the secret lies."""
    return tmp_path_factory.mktemp("shares") / "home"


@given(run=st.none() | st.text(max_size=64), until=st.integers(1, 2**33))
def test_a_share_says_what_was_put_into_it(folder: Path, run: str | None, until: int) -> None:
    """Until its end, and not a moment longer; in letters that an address carries as is."""
    shares = Shares(folder)
    token = shares.make(Share(until, run))
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert shares.check(token, until - 0.5) == Share(until, run)
    assert shares.check(token, until) is None


@given(at=st.integers(0, 200), to=st.sampled_from("AZaz09-_. é"))
def test_a_changed_token_is_worth_nothing(folder: Path, at: int, to: str) -> None:
    """Not its end, nor its run, nor its signature can be written anew."""
    shares = Shares(folder)
    token = shares.make(Share(100, "run"))
    changed = token[:at] + to + token[at + 1 :]
    if changed != token:
        assert shares.check(changed, 1.0) is None
    assert shares.check(token[:at], 1.0) in (None, Share(100, "run"))
    assert (shares.check(token[:at], 1.0) is None) == (at < len(token))


@pytest.mark.parametrize("token", [None, "", "share", "share..", "share.e30.", "x" * 10_000])
def test_what_is_no_share_is_none(folder: Path, token: str | None) -> None:
    """Without a look at the secret."""
    assert Shares(folder).check(token, 1.0) is None


def test_all_end_at_once_in_a_running_server(tmp_path: Path) -> None:
    """The server that knows them reads the new secret by itself, or finds it gone."""
    serving, asking = Shares(tmp_path), Shares(tmp_path)
    token = asking.make(Share(100))
    assert serving.check(token, 1.0)
    asking.revoke_all()
    assert serving.check(token, 1.0) is None
    again = asking.make(Share(100))
    assert serving.check(again, 1.0)
    (tmp_path / "share.key").chmod(0o644)
    assert Shares(tmp_path).check(again, 1.0) is None, "others could have signed it"
    (tmp_path / "share.key").unlink()
    assert serving.check(again, 1.0) is None


def test_the_secret_of_one_server_is_not_that_of_another(tmp_path: Path) -> None:
    """A share is for the server that it was made at."""
    token = Shares(tmp_path / "one").make(Share(100))
    Shares(tmp_path / "two").make(Share(100))
    assert Shares(tmp_path / "two").check(token, 1.0) is None


@pytest.mark.parametrize("hours", [0, -1, float("nan"), float("inf"), MOST_HOURS + 1])
def test_a_share_has_an_end_in_sight(hours: float) -> None:
    """Neither for ever nor for no time at all."""
    with pytest.raises(ConfigError, match="--hours"):
        share_for(hours, None, 0.0)
    assert share_for(MOST_HOURS, "r", 10.0) == Share(10 + MOST_HOURS * 3600, "r")
