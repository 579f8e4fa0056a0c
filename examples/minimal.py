"""The smallest program that streamviz shows: one process, two metrics, no framework.

Start a server in one terminal and this in another::

    streamviz serve --open
    python examples/minimal.py

Look at how soon a point is drawn after it was sent. Then start it again without the server: it
takes just as long, and says once that nobody listens.
"""

from __future__ import annotations

import argparse
import math
import random
import time

import streamviz

STEPS_PER_S = 50


def main() -> None:
    """Pretend to train, and send what a training would."""
    parser = argparse.ArgumentParser(description="Send a made-up loss and learning rate.")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long (default: 20)")
    steps = max(int(parser.parse_args().seconds * STEPS_PER_S), 1)

    # Where to send comes from STREAMVIZ_ENDPOINT, or is this machine. Building a publisher does
    # not wait for the server; one that starts later gets what was held for it until then.
    publisher = streamviz.Publisher(run="minimal")

    for step in range(steps):
        progress = step / steps
        lr = 3e-4 * 0.5 * (1 + math.cos(math.pi * progress))
        loss = 0.3 + 2 * math.exp(-6 * progress) + random.gauss(0, 0.05)
        time.sleep(1 / STEPS_PER_S)  # the work of a real step

        # One call per step with all of its metrics. It takes about a microsecond, never raises
        # and never waits. A slash in a name puts metrics into groups.
        publisher.send({"train/loss": loss, "train/lr": lr}, step=step)

    # Waits for the last values to arrive, for 2 s at most. The end of the process does the same,
    # so a script that forgets this line loses nothing.
    publisher.close()


if __name__ == "__main__":
    main()
