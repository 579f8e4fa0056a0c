"""Run the benchmarks and print one Markdown table.

A benchmark is a function in a ``scripts/bench_*.py`` that yields rows::

    @benchmark(repeats=3)
    def send_flood(settings: Settings) -> Iterator[Row]:
        yield Row("send, 1 float, p50", 4e-7, "s", target=1e-6, peer="raw zmq", peer_reached=5e-6)

It is run ``repeats`` times; what is printed is the median of each row, and of the ratio to the
peer, which is always taken within the same run.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

__all__ = ["Row", "Settings", "Skipped", "benchmark", "main", "percentile", "said_by"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What this run was asked for."""

    quick: bool
    """Fewer rounds: to see that it works, not to quote."""
    peers: bool
    """Also measure peers that are not installed by default."""

    def rounds(self, count: int) -> int:
        """Return how often to do what is done ``count`` times in a full run."""
        return max(count // 10, 1) if self.quick else count


@dataclass(frozen=True)
class Row:
    """One line of the table; smaller is better, unless the target is a floor."""

    what: str
    reached: float
    unit: str
    """``s`` and ``B`` are printed with a fitting prefix, anything else as it is."""
    target: float | None = None
    at_least: bool = False
    """The target is a floor, not a ceiling."""
    peer: str = ""
    """What was measured beside it in the same run."""
    peer_reached: float | None = None
    peer_share: float | None = None
    """The target of the ratio to the peer, a ceiling."""


class Skipped(Exception):
    """This benchmark cannot run here; the text says why."""


Benchmark = Callable[[Settings], Iterable[Row]]
_BENCHMARKS: list[tuple[Benchmark, int]] = []


def benchmark(*, repeats: int = 3) -> Callable[[Benchmark], Benchmark]:
    """Make a function one of the benchmarks."""

    def register(function: Benchmark) -> Benchmark:
        _BENCHMARKS.append((function, repeats))
        return function

    return register


def percentile(values: list[float], percent: float) -> float:
    """Return the value below which ``percent`` of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]


def said_by(server: subprocess.Popen[str]) -> dict[str, str]:
    """Return what ``streamviz serve`` says of itself until it listens."""
    assert server.stdout is not None
    facts: dict[str, str] = {}
    for line in server.stdout:
        name, _, value = line.strip().partition(": ")
        facts[name] = value
        if name == "ingest":
            break
    return facts


def main() -> None:
    """Run what was asked for and print the table."""
    for path in sorted(Path(__file__).parent.glob("bench_*.py")):
        importlib.import_module(path.stem)
    names = [function.__name__ for function, _ in _BENCHMARKS]
    parser = argparse.ArgumentParser(prog="./scripts/bench", description="Measure streamviz.")
    parser.add_argument("--quick", action="store_true", help="few rounds, to see that it works")
    parser.add_argument("--peers", action="store_true", help="also measure TensorBoard")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(names)}")
    settings = Settings(quick=arguments.quick, peers=arguments.peers)

    print(machine(settings), end="\n\n", flush=True)
    print("| what | target | reached | ratio to peer in the same run |\n|---|---|---|---|")
    for function, repeats in _BENCHMARKS:
        if not arguments.names or function.__name__ in arguments.names:
            for line in measure(function, 1 if settings.quick else repeats, settings):
                print(line, flush=True)


def measure(function: Benchmark, repeats: int, settings: Settings) -> list[str]:
    """Return a benchmark's lines of the table."""
    runs: dict[str, list[Row]] = {}
    began = time.perf_counter()
    try:
        for repeat in range(repeats):
            print(f"bench: {function.__name__} {repeat + 1}/{repeats}", file=sys.stderr)
            for row in function(settings):
                runs.setdefault(row.what, []).append(row)
    except Skipped as reason:
        return [f"| {function.__name__} | | skipped: {reason} | |"]
    print(f"bench: took {time.perf_counter() - began:.0f} s", file=sys.stderr)
    return [line_of(rows) for rows in runs.values()]


def line_of(rows: list[Row]) -> str:
    """Return the median of a row's repeats as a line of the table."""
    row = rows[0]
    reached = median(each.reached for each in rows)
    target = missed = ratio = ""
    if row.target is not None:
        target = f"{'≥' if row.at_least else '≤'} {quantity(row.target, row.unit)}"
        missed = " **missed**" if (reached < row.target) == row.at_least else ""
        missed = "" if reached == row.target else missed
    pairs = [(each.reached, each.peer_reached) for each in rows if each.peer_reached]
    if pairs:
        ratios = median(mine / peer for mine, peer in pairs)
        peers = quantity(median(peer for _, peer in pairs), row.unit)
        ratio = f"{ratios:.3g} of {row.peer} ({peers})"
        if row.peer_share is not None:
            ratio += f", target {row.peer_share:.3g}" + " **missed**" * (ratios > row.peer_share)
    return f"| {row.what} | {target} | {quantity(reached, row.unit)}{missed} | {ratio} |"


def quantity(value: float, unit: str) -> str:
    """Return a number with three digits and its unit."""
    if unit == "s":
        for factor, name in ((1e9, "ns"), (1e6, "µs"), (1e3, "ms")):
            if abs(value) * factor < 1000:
                return f"{value * factor:.3g} {name}"
    if unit == "B":
        for factor, name in ((1, "B"), (1e3, "kB"), (1e6, "MB")):
            if abs(value) < 1000 * factor:
                return f"{value / factor:.3g} {name}"
        return f"{value / 1e9:.3g} GB"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{text} {unit}".rstrip()


def machine(settings: Settings) -> str:
    """Return one line that says what this was measured on."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        model = named[0] if named else model
    packages = []
    for name in ("streamviz", "pyzmq", "msgpack", "numpy", "torch", "bokeh", "tensorboard"):
        try:
            packages.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return (
        f"{model}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; "
        f"{platform.system()} {platform.release()}, Python {platform.python_version()}, "
        f"{', '.join(packages)}; {'a quick run, not to quote' if settings.quick else 'medians'}"
    )


if __name__ == "__main__":
    # The rows import this file by its name; run that copy, not this one.
    from benchmarks import main as run_main

    run_main()
