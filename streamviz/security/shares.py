"""Links that let somebody read for a while: signed by the server's secret, kept nowhere.

Law: a share reads and never does more; it names its own end, and with a new secret all end at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from streamviz.errors import BadKey, ConfigError
from streamviz.security.join import KEY_BYTES, from_letters, pack_keys, to_letters, unpack_keys
from streamviz.security.private import locked, read_private, write_private

__all__ = ["MOST_HOURS", "Share", "Shares", "share_for"]

MOST_HOURS = 31 * 24.0
"""The longest a link may live: what nobody looks after should end by itself."""

_FILE = "share.key"
_TAG = "streamviz-share-1"
_SIGNED = b"streamviz share 1\0"
"""Signed along, so that the secret signs nothing else."""
_TOKEN = re.compile(r"share\.([A-Za-z0-9_-]{1,1024})\.([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Share:
    """What a link allows.

    Attributes:
        until: Wall time of its end, seconds since the epoch.
        run: The one run that may be read; ``None`` for all.
    """

    until: float
    run: str | None = None


class Shares:
    """Makes links and knows its own.

    Args:
        folder: Where the server's keys lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._secret: bytes | None = None

    def make(self, share: Share) -> str:
        """Return the token of a share; it goes into the page's address as any token does.

        Raises:
            BadKey: The secret cannot be read or made.
        """
        with locked(self._folder):
            secret = self._read()
            if secret is None:
                secret = self._renew()
        text = json.dumps([share.until, share.run], separators=(",", ":"))
        payload = to_letters(text.encode())
        return f"share.{payload}.{_sign(secret, payload)}"

    def check(self, token: str | None, now: float) -> Share | None:
        """Return what a token allows, ``None`` if it is not ours or has ended.

        Args:
            token: What was offered.
            now: Wall time, seconds since the epoch.
        """
        match = _TOKEN.fullmatch(token or "")
        secret = self._current() if match else None
        if match is None or secret is None:
            return None
        if not hmac.compare_digest(_sign(secret, match[1]), match[2]):
            return None
        # Ours: what it says was said by us.
        until, run = json.loads(from_letters(match[1]))
        return Share(until, run) if now < until else None

    def revoke_all(self) -> None:
        """End every share that was ever made.

        Raises:
            BadKey: The new secret cannot be written.
        """
        with locked(self._folder):
            self._renew()

    def _renew(self) -> bytes:
        secret = os.urandom(KEY_BYTES)
        write_private(self._folder / _FILE, pack_keys(_TAG, secret) + "\n")
        return secret

    def _read(self) -> bytes | None:
        try:
            [secret] = unpack_keys(_TAG, read_private(self._folder / _FILE), 1)
        except FileNotFoundError:
            return None
        return secret

    def _current(self) -> bytes | None:
        """Return the secret as it is on disk now; ``None`` when it cannot be trusted."""
        try:
            found = (self._folder / _FILE).stat()
            seen = (found.st_ino, found.st_mtime_ns)
            if seen != self._seen:
                self._secret, self._seen = self._read(), seen
        except (OSError, BadKey):
            # Nobody is let in by a secret that is gone, or that others could read.
            self._secret = self._seen = None
        return self._secret


def share_for(hours: float, run: str | None, now: float) -> Share:
    """Return a share that ends so many hours from now.

    Raises:
        ConfigError: That is not more than nothing, or too long.
    """
    if not (math.isfinite(hours) and 0 < hours <= MOST_HOURS):
        raise ConfigError("--hours", hours, f"more than 0 and at most {MOST_HOURS:g}")
    return Share(math.ceil(now + hours * 3600), run)


def _sign(secret: bytes, payload: str) -> str:
    return to_letters(hmac.new(secret, _SIGNED + payload.encode(), hashlib.sha256).digest())
