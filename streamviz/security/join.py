"""What a publisher needs to be let in: three keys in one line, and where the line is found.

Law: neither a message nor a ``repr`` ever holds a secret; what is found and cannot be used is an
error, never a reason to go on without keys.
"""

from __future__ import annotations

import binascii
import zlib
from dataclasses import dataclass
from pathlib import Path

from streamviz.config import environment
from streamviz.errors import BadKey, ConfigError
from streamviz.security.private import home, read_private

__all__ = [
    "JOIN_FILE",
    "KEY_BYTES",
    "Join",
    "find_join",
    "fingerprint",
    "from_letters",
    "pack_keys",
    "parse_join",
    "to_letters",
    "unpack_keys",
]

KEY_BYTES = 32
JOIN_FILE = "join.key"
_JOIN_TAG = "streamviz-join-1"
_WITHOUT = "none"


@dataclass(frozen=True, slots=True)
class Join:
    """The keys of one connection, each of :data:`KEY_BYTES` bytes.

    Attributes:
        server: Public key of the server: proves that it is the right one.
        public: Public key of this publisher: what the server allows.
        secret: Secret key of this publisher.
        source: Where they were found: a variable or a file.
    """

    server: bytes
    public: bytes
    secret: bytes
    source: str = ""

    def __repr__(self) -> str:
        return f"Join(source={self.source!r})"

    def line(self) -> str:
        """Return the keys as one line: a secret, for one publisher's environment."""
        return pack_keys(_JOIN_TAG, self.server, self.public, self.secret)


def to_letters(data: bytes) -> str:
    """Return bytes as letters, digits, ``-`` and ``_``, which nothing has to escape."""
    text = binascii.b2a_base64(data, newline=False).decode().rstrip("=")
    return text.replace("+", "-").replace("/", "_")


def from_letters(letters: str) -> bytes:
    """Return the bytes that :func:`to_letters` was given.

    Raises:
        ValueError: It did not write this.
    """
    padding = "=" * (-len(letters) % 4)
    data = binascii.a2b_base64(letters.replace("-", "+").replace("_", "/") + padding)
    if to_letters(data) != letters:
        raise ValueError("not as it is written")
    return data


def pack_keys(tag: str, *keys: bytes) -> str:
    """Return keys as one line of letters, digits, ``-``, ``_`` and ``.``, with a checksum."""
    data = b"".join(keys)
    sealed = data + zlib.crc32(data).to_bytes(4, "little")
    return f"{tag}.{to_letters(sealed)}"


def unpack_keys(tag: str, line: str, count: int) -> list[bytes]:
    """Return the keys of a line that :func:`pack_keys` made.

    Raises:
        BadKey: It is not such a line; the words do not quote it.
    """
    found, _, letters = line.strip().partition(".")
    if found != tag:
        raise BadKey(f"expected a line that begins with {tag}.")
    try:
        sealed = from_letters(letters)
    except ValueError:  # binascii.Error is one
        sealed = b""
    data, checksum = sealed[:-4], sealed[-4:]
    if len(data) != count * KEY_BYTES or zlib.crc32(data).to_bytes(4, "little") != checksum:
        raise BadKey(f"the line after {tag}. was cut or changed: {len(letters)} characters")
    return [data[start : start + KEY_BYTES] for start in range(0, len(data), KEY_BYTES)]


def fingerprint(public: bytes) -> str:
    """Return the first characters of a public key, to tell keys apart by eye."""
    return to_letters(public)[:16]


def parse_join(line: str, source: str) -> Join:
    """Return the keys of a join line.

    Args:
        line: As :meth:`Join.line` writes it.
        source: Where it was found, for messages.

    Raises:
        BadKey: It is none.
    """
    server, public, secret = unpack_keys(_JOIN_TAG, line, 3)
    return Join(server, public, secret, source)


def find_join() -> Join | None:
    """Return this process's keys, ``None`` if there are none.

    ``STREAMVIZ_JOIN`` holds the line itself, or ``none`` to go without keys;
    ``STREAMVIZ_JOIN_FILE`` names a file that holds it; else ``join.key`` lies in the folder of
    this user's keys, where a server of the same user has put it.

    Raises:
        ConfigError: A variable is set to what cannot be used.
        BadKey: The file that was found cannot be used.
    """
    variables = environment()
    line = variables.get("STREAMVIZ_JOIN", "").strip()
    if line == _WITHOUT:
        return None
    if line:
        try:
            return parse_join(line, "STREAMVIZ_JOIN")
        except BadKey as error:
            # Not the value: it may be a secret that lacks its last letter.
            raise ConfigError("STREAMVIZ_JOIN", f"{len(line)} characters", str(error)) from None
    named = variables.get("STREAMVIZ_JOIN_FILE", "")
    if named:
        try:
            return _read(Path(named))
        except (BadKey, FileNotFoundError) as error:
            raise ConfigError(
                "STREAMVIZ_JOIN_FILE", named, f"a join line in it ({error})"
            ) from None
    try:
        return _read(home() / JOIN_FILE)
    except FileNotFoundError:
        return None


def _read(path: Path) -> Join:
    text = read_private(path)
    try:
        return parse_join(text, str(path))
    except BadKey as error:
        raise BadKey(f"{path}: {error}") from None
