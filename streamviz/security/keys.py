"""The keys of a server and of those it lets in, as files in one folder.

Law: made by the first server without being asked; a name stands for one key, and removing its
file takes the key back.

::

    server.key        the server's key pair
    join.key          what publishers of the same user find: the key of "this-user"
    allowed/NAME      the public key of each publisher that is let in
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamviz.errors import BadKey, ConfigError
from streamviz.security.curve import make_pair
from streamviz.security.join import JOIN_FILE, Join, pack_keys, parse_join, unpack_keys
from streamviz.security.private import locked, make_folder, read_private, write_private

__all__ = ["OWN_NAME", "AllowedKeys", "ServerKeys", "add_key", "open_keys", "revoke_key"]

_log = logging.getLogger("streamviz.security")

OWN_NAME = "this-user"
"""Whom the key in ``join.key`` stands for."""

MOST_KEYS = 4096
"""Names that may be allowed: one for each person or job, not for each rank."""

_SERVER_FILE, _ALLOWED = "server.key", "allowed"
_SERVER_TAG, _CLIENT_TAG = "streamviz-server-1", "streamviz-client-1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class AllowedKeys:
    """The public keys that are let in, as they are on disk now.

    Owner: one thread.

    Attributes:
        names: Each allowed public key with its name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: object = None
        self.names: Mapping[bytes, str] = {}
        self.renew()

    def renew(self) -> bool:
        """Read again what changed; say whether anything did."""
        try:
            with os.scandir(self._folder) as entries:
                # A file is replaced by moving another in its place, which has another inode.
                found = {
                    entry.name: (entry.inode(), entry.stat().st_mtime_ns)
                    for entry in entries
                    if _NAME.fullmatch(entry.name)
                }
        except FileNotFoundError:
            found = {}
        except OSError as error:
            # A file system that is away for a moment takes nobody's key back.
            _log.warning("the allowed keys cannot be read: %s", error)
            return False
        if found == self._seen:
            return False
        self._seen = found
        self.names = dict(self._read(sorted(found)[:MOST_KEYS]))
        return True

    def _read(self, names: list[str]) -> Iterator[tuple[bytes, str]]:
        for name in names:
            try:
                [public] = unpack_keys(_CLIENT_TAG, read_private(self._folder / name), 1)
            except FileNotFoundError:
                continue  # revoked in between
            except BadKey as error:
                _log.warning("the key %r is not let in: %s", name, error)
                continue
            yield public, name


@dataclass(frozen=True, slots=True, repr=False)
class ServerKeys:
    """A server's own key pair, and whom it lets in.

    Attributes:
        public: Public key, 32 bytes.
        secret: Secret key, 32 bytes.
        allowed: Whom it lets in.
    """

    public: bytes
    secret: bytes
    allowed: AllowedKeys


def open_keys(folder: Path) -> ServerKeys:
    """Return the keys in a folder, made if there are none yet.

    Raises:
        BadKey: They cannot be read or made, or others can read them.
    """
    with _changing(folder):
        public, secret = _server_pair(folder)
        _provide_join(folder, public)
    return ServerKeys(public, secret, AllowedKeys(folder / _ALLOWED))


def add_key(folder: Path, name: str) -> Join:
    """Allow a new key under a name; return what its publisher needs, which is kept nowhere.

    Raises:
        BadKey: The name is taken, there are too many, or the files cannot be used.
        ConfigError: The name cannot be a file's.
    """
    _check_name(name)
    with _changing(folder):
        server, _ = _server_pair(folder)
        _provide_join(folder, server)
        if (folder / _ALLOWED / name).exists():
            raise BadKey(
                f"there is a key of the name {name!r}; take it back first with: "
                f"streamviz keys revoke {name}"
            )
        if len(list((folder / _ALLOWED).iterdir())) >= MOST_KEYS:
            raise BadKey(f"{MOST_KEYS} names are allowed, which is the most; revoke some first")
        return _allow_new(folder, name, server)


def revoke_key(folder: Path, name: str) -> None:
    """Take a key back: running servers cut whoever came in with it.

    Raises:
        BadKey: There is none of that name, or its file cannot be removed.
        ConfigError: The name cannot be a file's.
    """
    _check_name(name)
    with _changing(folder):
        try:
            (folder / _ALLOWED / name).unlink()
            if name == OWN_NAME:
                # The next server makes a new one.
                (folder / JOIN_FILE).unlink(missing_ok=True)
        except FileNotFoundError:
            raise BadKey(f"no key has the name {name!r}; see: streamviz keys list") from None
        except OSError as error:
            raise BadKey(f"the key {name!r} cannot be removed: {error.strerror}") from None


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        expected = "1 to 64 of the characters A-Z a-z 0-9 . _ -, the first a letter or digit"
        raise ConfigError("NAME", name, expected)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    with locked(folder):
        make_folder(folder / _ALLOWED)
        yield


def _server_pair(folder: Path) -> tuple[bytes, bytes]:
    path = folder / _SERVER_FILE
    try:
        public, secret = unpack_keys(_SERVER_TAG, read_private(path), 2)
    except FileNotFoundError:
        public, secret = make_pair()
        write_private(path, pack_keys(_SERVER_TAG, public, secret) + "\n")
    except BadKey as error:
        raise _naming(path, error) from None
    return public, secret


def _provide_join(folder: Path, server: bytes) -> None:
    """See to it that publishers of the same user find their key."""
    path = folder / JOIN_FILE
    try:
        join = parse_join(read_private(path), str(path))
    except FileNotFoundError:
        write_private(path, _allow_new(folder, OWN_NAME, server).line() + "\n")
        return
    except BadKey as error:
        raise _naming(path, error) from None
    if join.server != server:
        # Somebody let the server have a new key; the publishers' own is as good as before.
        write_private(path, Join(server, join.public, join.secret).line() + "\n")


def _allow_new(folder: Path, name: str, server: bytes) -> Join:
    public, secret = make_pair()
    write_private(folder / _ALLOWED / name, pack_keys(_CLIENT_TAG, public) + "\n")
    return Join(server, public, secret)


def _naming(path: Path, error: BadKey) -> BadKey:
    words = str(error)
    return error if str(path) in words else BadKey(f"{path}: {words}; move it away to get new keys")
