"""``streamviz demo --simulate``: what it can be told, and the process that acts it out."""

from __future__ import annotations

import argparse
import math
import resource
import signal
import sys
from types import FrameType

from streamviz.config import parse_endpoint
from streamviz.demo.faults import Fault, parse_fault
from streamviz.demo.job import MAX_METRICS, Job
from streamviz.errors import ConfigError
from streamviz.wire.names import name_fault

__all__ = ["add_arguments", "check", "passed_on", "simulate", "worth_a_look"]

MOST_SIMULATED = 16_384
"""Ranks of one simulation: past it one thread cannot even greet for all of them."""
MOST_RATE = 1000
"""Steps a second: past it a step is shorter than a turn of the loop."""
MOST_FAULTS = 64
"""Faults of one simulation: each is looked at in every step."""

_DESCRIPTORS_A_RANK, _DESCRIPTORS_OF_OURS = 4, 64
"""A connection, and the three sockets' mailboxes behind it; everything else."""
_SHOWN_FAULTS = 5
_TOTAL_STEPS = 20_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what only a simulation can be told."""
    group = parser.add_argument_group("simulated ranks")
    group.add_argument(
        "--simulate",
        type=_simulated,
        default=None,
        metavar="N",
        help="N ranks that are no real ones",
    )
    group.add_argument(
        "--endpoint",
        type=_endpoint,
        default=None,
        help="the ingest address of a server that runs; else one is started",
    )
    group.add_argument("--metrics", type=_metrics, default=8, metavar="M", help="of each rank (8)")
    group.add_argument(
        "--rate", type=_rate, default=10.0, metavar="HZ", help="steps a second at most (10)"
    )
    group.add_argument("--steps", type=_steps, default=None, metavar="S", help="end after so many")
    group.add_argument(
        "--fault",
        action="append",
        type=_fault,
        default=[],
        metavar="SPEC",
        help="something that goes wrong, see below; may be repeated",
    )
    group.add_argument(
        "--hosts", type=_simulated, default=None, metavar="H", help="hosts (one for 8 ranks)"
    )
    group.add_argument("--seed", type=_seed, default=0, help="of all that is random (0)")
    group.add_argument(
        "--run",
        dest="run_name",
        type=_name,
        default="simulated",
        help="name of the run (simulated)",
    )


def check(arguments: argparse.Namespace) -> None:
    """Refuse what does not go together.

    Raises:
        ConfigError: Something for a simulation is given without one, or its faults do not fit.
    """
    if arguments.simulate is None:
        for name, standard in _STANDARD.items():
            if getattr(arguments, name) != standard:
                flag = "--run" if name == "run_name" else f"--{name}"
                raise ConfigError(flag, getattr(arguments, name), "--simulate N beside it")
        return
    if len(arguments.fault) > MOST_FAULTS:
        raise ConfigError("--fault", f"{len(arguments.fault)} of them", f"at most {MOST_FAULTS}")
    _job(arguments)
    if arguments.endpoint is not None:
        _make_room(arguments.simulate)


_STANDARD: dict[str, object] = {
    "endpoint": None,
    "metrics": 8,
    "rate": 10.0,
    "steps": None,
    "fault": [],
    "hosts": None,
    "seed": 0,
    "run_name": "simulated",
}


def passed_on(arguments: argparse.Namespace, endpoint: str) -> list[str]:
    """Return the arguments of a process that only simulates.

    Args:
        arguments: Of this one.
        endpoint: Where it is to send.
    """
    given = {
        "--simulate": arguments.simulate,
        "--endpoint": endpoint,
        "--metrics": arguments.metrics,
        "--rate": arguments.rate,
        "--steps": arguments.steps,
        "--hosts": arguments.hosts,
        "--seed": arguments.seed,
        "--run": arguments.run_name,
        "--seconds": arguments.seconds,
    }
    words = [f"{flag}={value}" for flag, value in given.items() if value is not None]
    return ["demo", *words, *(f"--fault={text}" for text, _ in arguments.fault)]


def worth_a_look(arguments: argparse.Namespace) -> list[str]:
    """Return a sentence for each thing that is to be seen."""
    told = [_told(fault) for _, fault in arguments.fault]
    return told or [
        "train/loss: one band for all ranks, and by name the ranks that stand out",
        "the Workers and Heatmap tabs: every rank, and every rank at every step",
        "--fault stall:rank=3@step=100, for something to find",
    ]


def _told(fault: Fault) -> str:
    first, last = fault.ranks or (0, 0)
    who = f"rank {first}" if first == last else f"ranks {first} to {last}"
    who = "all ranks" if fault.ranks is None else who
    many = fault.ranks is None or first != last
    for_s = "" if fault.seconds == math.inf else f" for {fault.seconds:g} s"
    told = {
        "stall": f"{who} hang{'s' * (not many)} in {fault.phase}{for_s}: the line above the "
        "charts, and the Workers tab",
        "dead": f"{who} {'die' if many else 'dies'} without a word: the Workers tab, silent first",
        "straggler": f"{who} take{'s' * (not many)} {fault.seconds:g} s longer in {fault.phase}: "
        "phase/… and who waits in phase/backward",
        "nan": f"{fault.metric} of {who} is not a number: the red mark on its axis",
        "spike": f"{fault.metric} of {who} jumps: the chart, by name",
        "desync": f"{fault.metric} of {who} drifts away from the others: alerts",
    }
    return f"step {fault.step}, {told[fault.kind]}"


def simulate(arguments: argparse.Namespace) -> int:
    """Act it out, to a server that runs; return the exit code."""
    # Late, as it brings ZeroMQ, for which `--help` should not wait.
    from streamviz.demo.simulate import Simulation
    from streamviz.publisher.transport import NoTransport, Sockets, ZmqTransport

    ranks = arguments.simulate
    try:
        sockets = Sockets(ranks)
        simulation = Simulation(
            _job(arguments),
            run=arguments.run_name,
            ranks=ranks,
            hosts=_hosts(arguments),
            total_steps=arguments.steps or _TOTAL_STEPS,
            connect=lambda: ZmqTransport(arguments.endpoint, sockets=sockets),
            warn=lambda _, sentence: print(f"streamviz: {sentence}", file=sys.stderr, flush=True),
        )
    except NoTransport as error:
        print(f"streamviz: {error}", file=sys.stderr)
        return 1

    def stop(number: int, _: FrameType | None) -> None:
        simulation.stop()
        signal.signal(number, signal.SIG_DFL)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    totals = simulation.run(arguments.steps or math.inf, arguments.seconds or math.inf)
    sockets.close()
    late = f", {totals.behind_s:.1f} s behind" if totals.behind_s else ""
    print(
        f"simulated: {totals.steps:,} steps of {ranks:,} ranks, {totals.rows:,} rows sent, "
        f"{totals.acknowledged:,} acknowledged{late}",
        flush=True,
    )
    for fault in simulation.faults[:_SHOWN_FAULTS]:
        print(f"streamviz: {fault}", file=sys.stderr)
    return 1 if simulation.faults else 0


def _job(arguments: argparse.Namespace) -> Job:
    return Job(
        arguments.simulate,
        metrics=arguments.metrics,
        rate=arguments.rate,
        total_steps=arguments.steps or _TOTAL_STEPS,
        seed=arguments.seed,
        faults=[fault for _, fault in arguments.fault],
    )


def _hosts(arguments: argparse.Namespace) -> int:
    hosts: int = arguments.hosts or math.ceil(arguments.simulate / 8)
    return min(hosts, int(arguments.simulate))


def _make_room(ranks: int) -> None:
    """Raise the limit on descriptors to what so many connections need.

    Raises:
        ConfigError: They are too many.
    """
    needed = _DESCRIPTORS_A_RANK * ranks + _DESCRIPTORS_OF_OURS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard not in (resource.RLIM_INFINITY, -1) and needed > hard:
        most = (hard - _DESCRIPTORS_OF_OURS) // _DESCRIPTORS_A_RANK
        expected = f"at most {most}, as the limit is {hard} descriptors (ulimit -Hn)"
        raise ConfigError("--simulate", ranks, expected)
    if soft != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# -- arguments -----------------------------------------------------------------------------


def _simulated(text: str) -> int:
    return _whole(text, MOST_SIMULATED)


def _metrics(text: str) -> int:
    return _whole(text, MAX_METRICS)


def _steps(text: str) -> int:
    return _whole(text, 2**53)


def _seed(text: str) -> int:
    return _whole(text, 2**31, least=0)


def _whole(text: str, most: int, least: int = 1) -> int:
    if not (text.isdecimal() and len(text) < 19 and least <= int(text) <= most):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {least} to {most}")
    return int(text)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= MOST_RATE:
        expected = f"a number above 0, at most {MOST_RATE:g}"
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {expected}")
    return rate


def _fault(text: str) -> tuple[str, Fault]:
    try:
        return text, parse_fault(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(
            f"found {error.value!r}, expected {error.expected}"
        ) from None


def _name(text: str) -> str:
    fault = name_fault(text)
    if fault is not None:
        raise argparse.ArgumentTypeError(f"found {text[:80]!r}, expected a legal name ({fault})")
    return text


def _endpoint(text: str) -> str:
    try:
        return parse_endpoint(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected {error.expected}") from None
