"""``streamviz demo``: a server, and a real training that it shows."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
from importlib.resources import files
from pathlib import Path

from streamviz.cli.serve import need_server_extra, page_port, run_server
from streamviz.config import environment
from streamviz.errors import MissingExtra

__all__ = ["add_parser"]

_MOST_RANKS = 256
_UNTIL_STOPPED_S = 7 * 86_400
_END_S = 5.0

_DESCRIPTION = """\
Start a server and a real distributed training that it shows: N processes of PyTorch's
DistributedDataParallel under torchrun, on the CPU, learning scikit-learn's handwritten digits.

It trains until you stop it with Ctrl-C; --seconds ends it by itself.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "demo",
        help="a server and a real training of N processes",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--ranks", type=_ranks, default=4, help="training processes (4)")
    parser.add_argument(
        "--seconds", type=_seconds, default=None, help="end the training after so long"
    )
    parser.add_argument("--port", type=page_port, default=6166, help="port of the page (6166)")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    need_server_extra("demo")
    for package, name in (("torch", "torch"), ("sklearn", "scikit-learn")):
        if importlib.util.find_spec(package) is None:
            raise MissingExtra("streamviz demo trains a real model and", "examples", name)
    return asyncio.run(_serve_and_train(arguments))


async def _serve_and_train(arguments: argparse.Namespace) -> int:
    from streamviz.server import Server, ServerConfig

    server = Server(ServerConfig(port=arguments.port, ingest="tcp://127.0.0.1:0"))
    stop = asyncio.Event()
    serving = asyncio.ensure_future(run_server(server, stop, open_page=arguments.open))
    await asyncio.sleep(0)
    print(f"training: {arguments.ranks} ranks, Ctrl-C ends it", flush=True)
    training = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *("--nproc-per-node", str(arguments.ranks), str(_script())),
        *("--seconds", str(arguments.seconds or _UNTIL_STOPPED_S)),
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
