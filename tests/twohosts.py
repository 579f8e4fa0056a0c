"""Two hosts: network namespaces with a cable between them, which a test cuts or makes slow.

Law: everything it makes goes with it; no interface of this machine is made or changed, so that a
browser beside it has no reason to think that its network is another one.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

__all__ = ["TwoHosts"]

_NAMESPACES = Path("/var/run/netns")
_CLONE_NEWNET = 0x4000_0000
"""What ``setns`` is to move a thread between: see setns(2)."""


class TwoHosts:
    """A host for a server, and one at the other end of a cable.

    Attributes:
        address: The server's host, for it to listen on.
        near, far: What to start a program through, so that it runs on the server's host or on the
            other one.
    """

    def __init__(self) -> None:
        number = os.getpid() % 10_000
        self._near, self._far = f"sv{number}n", f"sv{number}f"
        self._hosts = self._near, self._far
        self.near, self.far = (("ip", "netns", "exec", host) for host in self._hosts)
        # From the block that documents use for examples: nobody's real network.
        self.address, self._over_there = "192.0.2.1", "192.0.2.2"

    @staticmethod
    def why_not() -> str:
        """Return why there can be none here, ``""`` if there can."""
        if os.geteuid() != 0:
            return "needs root, for a network namespace"
        missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
        if missing:
            return f"needs {' and '.join(missing)} (iproute2)"
        name = f"sv{os.getpid() % 10_000}t"
        tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        if tried.returncode != 0:
            return f"no network namespaces here: {tried.stderr.decode().strip()}"
        _run("ip", "netns", "delete", name)
        return ""

    def __enter__(self) -> TwoHosts:
        for host in self._hosts:
            _run("ip", "netns", "add", host)
        try:
            veth = ("link", "add", "cable", "type", "veth", "peer", "name", "cable")
            _run("ip", "-n", self._near, *veth, "netns", self._far)
            for host, address in zip(self._hosts, (self.address, self._over_there), strict=True):
                _run("ip", "-n", host, "addr", "add", f"{address}/30", "dev", "cable")
                _run("ip", "-n", host, "link", "set", "lo", "up")
                _run("ip", "-n", host, "link", "set", "cable", "up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The cable goes with its hosts.
        for host in self._hosts:
            _run("ip", "netns", "delete", host)

    def connect(self, address: tuple[str, int], timeout: float) -> socket.socket:
        """Open a connection from the server's host, such as to its loopback."""

        def there() -> socket.socket:
            with (_NAMESPACES / self._near).open() as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            return socket.create_connection(address, timeout)

        # A socket stays where it was made; the thread that went there ends.
        with ThreadPoolExecutor(1) as traveller:
            return traveller.submit(there).result()

    def pull(self) -> None:
        """Pull the cable: nothing comes through, and nobody is told."""
        _run("ip", "-n", self._far, "link", "set", "cable", "down")

    def plug(self) -> None:
        """Plug it in."""
        _run("ip", "-n", self._far, "link", "set", "cable", "up")

    def narrow(self, rate: str) -> None:
        """Let no more through than a rate, such as ``1mbit``."""
        shape = ("root", "tbf", "rate", rate, "burst", "32kbit", "latency", "400ms")
        _run(*self.far, "tc", "qdisc", "add", "dev", "cable", *shape)

    def widen(self) -> None:
        """Let everything through again."""
        _run(*self.far, "tc", "qdisc", "delete", "dev", "cable", "root")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
