"""A page's connection as bare bytes: it says what it likes and reads nothing unless told to."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from types import TracebackType

from serving import ServerProcess

__all__ = ["RawViewer"]


class RawViewer:
    """One websocket to a server's live channel.

    Raises:
        AssertionError: The server did not let it in.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        # As little as the kernel gives: what is not read soon waits in the server.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            "GET /live HTTP/1.1",
            f"Host: 127.0.0.1:{server.port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {key}",
            "Sec-WebSocket-Version: 13",
            f"Authorization: Bearer {server.token}",
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.head = b""
        while b"\r\n\r\n" not in self.head:
            some = self.socket.recv(1)
            assert some, f"the server closed: {self.head!r}"
            self.head += some
        assert b" 101 " in self.head.splitlines()[0], self.head

    def say(self, **message: object) -> None:
        """Send a text message."""
        text = json.dumps(message).encode()
        assert len(text) < 65_536
        size = (
            bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + struct.pack(">H", len(text))
        )
        # Masked with zeros, which is a mask as good as another.
        self.socket.sendall(b"\x81" + size + bytes(4) + text)

    def __enter__(self) -> RawViewer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.socket.close()
