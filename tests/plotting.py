"""``streamviz plot`` as a process that serves a page."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def served(*arguments: object, folder: Path) -> Iterator[str]:
    """Run the command, and give the address that it prints; end it as a user does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "streamviz", "plot", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("page: http://127.0.0.1:"), line
        yield line.removeprefix("page: ").strip()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        assert process.stdout is not None
        process.stdout.close()
