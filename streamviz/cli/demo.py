"""``streamviz demo``: a server, and a training that it shows: a real one, or a simulated."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

from streamviz.cli.serve import need_server_extra, page_port, run_server
from streamviz.cli.simulation import add_arguments, check, passed_on, simulate, worth_a_look
from streamviz.config import environment
from streamviz.errors import MissingExtra

__all__ = ["add_parser"]

_MOST_RANKS = 256
_UNTIL_STOPPED_S = 7 * 86_400
_END_S = 5.0

_DESCRIPTION = """\
Start a server and a real distributed training that it shows: N processes of PyTorch's
DistributedDataParallel under torchrun, on the CPU, learning scikit-learn's handwritten digits.

With --simulate N: N simulated ranks instead, up to some thousands, which act out scripted faults.
With --endpoint too, no server: they send to one that runs (its page is at port 6166 by default).

It trains until you stop it with Ctrl-C; --seconds ends it by itself.
"""

_EXAMPLES = """\
examples:
  streamviz demo                                  four real ranks
  streamviz demo --simulate 1024                  a thousand that are not
  streamviz demo --simulate 1024 --fault stall:rank=417@step=200
  streamviz demo --simulate 64 --fault straggler:rank=5,phase=data,seconds=0.2@step=20
  streamviz demo --simulate 8 --endpoint tcp://127.0.0.1:6167 --steps 500

faults: stall:rank=R[,phase=P][,seconds=S]@step=N   dead:rank=R@step=N
  straggler:rank=R,phase=P,seconds=S[,steps=N]@step=N
  nan:rank=R,metric=M[,steps=N]@step=N   desync:rank=R,metric=param/norm@step=N
  spike:metric=M[,rank=R][,factor=F][,steps=N]@step=N     (R: 3 or 8-15)
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "demo",
        help="a server and a real training of N processes, or a simulated one",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ranks", type=_ranks, default=4, help="training processes (4)")
    parser.add_argument(
        "--seconds", type=_seconds, default=None, help="end the training after so long"
    )
    parser.add_argument("--port", type=page_port, default=6166, help="port of the page (6166)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    add_arguments(parser)
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    check(arguments)
    if arguments.endpoint is not None:
        return simulate(arguments)
    need_server_extra("demo")
    if arguments.simulate is not None:

        def command(endpoint: str) -> list[str]:
            return [sys.executable, "-m", "streamviz", *passed_on(arguments, endpoint)]

        return asyncio.run(_serve_and_train(arguments, command, worth_a_look(arguments)))
    for package, name in (("torch", "torch"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("streamviz demo trains a real model and", "examples", name)
    return asyncio.run(_serve_and_train(arguments, lambda _: _torchrun(arguments), _LOOK_AT_DIGITS))


_LOOK_AT_DIGITS = (
    "train/loss: one band for all ranks, and by name the rank that stands out",
    "phase/data, phase/backward: who is slow, and who waits for whom",
    "the Workers and Heatmap tabs: every rank, and every rank at every step",
)


def _torchrun(arguments: argparse.Namespace) -> list[str]:
    """Return the command that trains the example."""
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(arguments.ranks), str(_script())),
        *("--seconds", str(arguments.seconds or _UNTIL_STOPPED_S)),
    ]


async def _serve_and_train(
    arguments: argparse.Namespace, command: Callable[[str], list[str]], look: Sequence[str]
) -> int:
    from streamviz.server import Server, ServerConfig

    server = Server(ServerConfig(port=arguments.port, ingest="tcp://127.0.0.1:0"))
    stop = asyncio.Event()
    serving = asyncio.ensure_future(run_server(server, stop, open_page=arguments.open))
    await asyncio.sleep(0)
    simulated = arguments.simulate is not None
    ranks = f"{arguments.simulate} simulated" if simulated else str(arguments.ranks)
    print(f"training: {ranks} ranks, Ctrl-C ends it", flush=True)
    for line in look:
        print(f"look at: {line}", flush=True)
    training = await asyncio.create_subprocess_exec(
        *command(server.ingest),
        # torchrun says this itself for every rank, on four lines, if it is not set.
        env={**environment(), "STREAMVIZ_ENDPOINT": server.ingest, "OMP_NUM_THREADS": "1"},
    )
    ended = asyncio.ensure_future(training.wait())
    await asyncio.wait({ended, serving}, return_when=asyncio.FIRST_COMPLETED)
    if ended.done() and not serving.done():
        code = ended.result()
        word = "ended" if code == 0 else f"failed with exit code {code}"
        print(f"training: {word}; the page stays until Ctrl-C", flush=True)
    await serving
    if training.returncode is None:
        training.terminate()
        try:
            await asyncio.wait_for(training.wait(), _END_S)
        except asyncio.TimeoutError:
            training.kill()
            await training.wait()
    return 0


def _script() -> Path:
    """Return the example that the demo trains: from the installed package, or from a checkout."""
    package = Path(str(files("streamviz")))
    installed = package / "demo" / "ddp_digits.py"
    return installed if installed.exists() else package.parent / "examples" / "ddp_digits.py"


def _ranks(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_RANKS:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 to {_MOST_RANKS}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected seconds above 0")
    return seconds
