"""Another host: a network namespace with a cable to this one, which a test cuts or makes slow.

Law: everything it makes goes with it; it touches no interface but its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from types import TracebackType

__all__ = ["FarHost"]


class FarHost:
    """A host at the other end of a cable.

    Attributes:
        near: This end's address, for a server to listen on.
        prefix: What to start a program through, so that it runs over there.
    """

    def __init__(self) -> None:
        number = os.getpid() % 10_000
        self._name, self._near, self._far = (f"sv{number}{end}" for end in ("", "n", "f"))
        # From the block that documents use for examples: nobody's real network.
        first = 4 * (os.getpid() % 60)
        self.near, self._address = (f"192.0.2.{first + offset}" for offset in (1, 2))
        self.prefix = ("ip", "netns", "exec", self._name)

    @staticmethod
    def why_not() -> str:
        """Return why there can be none here, ``""`` if there can."""
        if os.geteuid() != 0:
            return "needs root, for a network namespace"
        missing = [tool for tool in ("ip", "tc") if shutil.which(tool) is None]
        if missing:
            return f"needs {' and '.join(missing)} (iproute2)"
        name = f"sv{os.getpid() % 10_000}?".replace("?", "t")
        tried = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
        if tried.returncode != 0:
            return f"no network namespaces here: {tried.stderr.decode().strip()}"
        _run("ip", "netns", "delete", name)
        return ""

    def __enter__(self) -> FarHost:
        _run("ip", "netns", "add", self._name)
        try:
            _run("ip", "link", "add", self._near, "type", "veth", "peer", "name", self._far)
            _run("ip", "link", "set", self._far, "netns", self._name)
            _run("ip", "addr", "add", f"{self.near}/30", "dev", self._near)
            _run("ip", "link", "set", self._near, "up")
            _run(*self.prefix, "ip", "addr", "add", f"{self._address}/30", "dev", self._far)
            self.plug()
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
        # The cable goes with either of its ends.
        subprocess.run(["ip", "link", "delete", self._near], capture_output=True, check=False)
        _run("ip", "netns", "delete", self._name)

    def pull(self) -> None:
        """Pull the cable: nothing comes through, and nobody is told."""
        _run(*self.prefix, "ip", "link", "set", self._far, "down")

    def plug(self) -> None:
        """Plug it in."""
        _run(*self.prefix, "ip", "link", "set", self._far, "up")

    def narrow(self, rate: str) -> None:
        """Let no more through than a rate, such as ``1mbit``."""
        shape = ("root", "tbf", "rate", rate, "burst", "32kbit", "latency", "400ms")
        _run(*self.prefix, "tc", "qdisc", "add", "dev", self._far, *shape)

    def widen(self) -> None:
        """Let everything through again."""
        _run(*self.prefix, "tc", "qdisc", "delete", "dev", self._far, "root")


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
