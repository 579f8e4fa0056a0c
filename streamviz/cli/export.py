"""``streamviz export``: the rows of a run, at full resolution, for other programs.

Law: a row is written as it was sent; the memory taken does not grow with the run.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from streamviz.cli.serve import need_server_extra
from streamviz.errors import ConfigError, DiskError, MissingExtra

if TYPE_CHECKING:
    from streamviz.journal.history import History
    from streamviz.journal.scan import StoredRows
    from streamviz.views.ranks import RankSet

__all__ = ["add_parser"]

_DESCRIPTION = """\
Write the rows of a recorded run, one line per value:
run, rank, attempt, metric, step, time (seconds since the epoch), value.

The server may be running. What is not a finite number is NaN, Infinity or -Infinity, in JSON as
text. JSON lines tell the run's marks, alerts and the like too, unless metrics are named: run, rank,
attempt, kind, name, step, time, body. Full resolution that was deleted to save room is not there.

Event files have a directory for each rank, numbers of 32 bits, pictures, histograms and texts. The
page has every metric over its steps, thinned out with its extremes kept, and what else was sent.
"""

_EXAMPLES = """\
examples:
  streamviz export resnet50 --csv > resnet50.csv
  streamviz export resnet50 --jsonl --metric train/loss --rank 0,8-15
  streamviz export resnet50 --parquet -o resnet50.parquet
  streamviz export resnet50 --tfevents logs/resnet50    then: tensorboard --logdir logs
  streamviz export resnet50 --html resnet50.html        a page that needs no server
"""

_COLUMNS = ("run", "rank", "attempt", "metric", "step", "time", "value")
_TEXT: dict[str, Any] = {"encoding": "utf-8", "newline": ""}
_GROUP_ROWS = 1 << 18
"""Values of a row group of Parquet: tens of MiB, of which readers decode one at a time."""
_Write = Callable[["Iterator[StoredRows]", str, "IO[Any]"], None]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "export",
        help="write a recorded run as CSV, JSON lines, Parquet, TensorBoard's files or one page",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_name", metavar="RUN", help="name of the run")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path("streamviz-data"),
        metavar="DIR",
        help="where the server records (./streamviz-data)",
    )
    kinds = parser.add_mutually_exclusive_group(required=True)
    for kind, what in (
        ("csv", "comma-separated values"),
        ("jsonl", "a JSON object a line"),
        ("parquet", "Parquet; needs pyarrow, and -o"),
    ):
        kinds.add_argument(f"--{kind}", dest="kind", action="store_const", const=kind, help=what)
    kinds.add_argument(
        "--tfevents", type=Path, metavar="DIR", help="TensorBoard's event files; needs tensorboard"
    )
    kinds.add_argument(
        "--html", type=Path, metavar="FILE", help="one page with charts, for any browser"
    )
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to (stdout)")
    parser.add_argument(
        "--metric",
        action="append",
        metavar="NAME",
        help="only this metric; may be given several times",
    )
    parser.add_argument("--rank", metavar="RANKS", help="only these ranks, as 0,8-15")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.kind == "parquet":
        if importlib.util.find_spec("pyarrow") is None:
            raise MissingExtra("streamviz export --parquet", "parquet", "pyarrow")
        if arguments.output is None:
            raise ConfigError("--parquet", "no file", "-o FILE: Parquet is not for a terminal")
    need_server_extra("export")
    from streamviz.journal.history import History
    from streamviz.views.ranks import parse_ranks

    history = History(arguments.data_dir)
    run = arguments.run_name
    if history.head(run) is None:
        names = ", ".join(repr(held.run) for held in history.runs()[:10]) or "none at all"
        raise ConfigError("RUN", run, f"a run recorded in {arguments.data_dir}; there are {names}")
    ranks = None if arguments.rank is None else parse_ranks(arguments.rank, setting="--rank")
    rows = _chosen(history, run, arguments.metric, ranks)
    if arguments.kind is None:
        return _for_others(arguments, history, rows, ranks)
    write = _WRITERS[arguments.kind]
    if arguments.kind == "jsonl" and arguments.metric is None:
        write = _with_items(history, ranks)
    try:
        if arguments.output is None:
            _to_stdout(write, rows, run)
        else:
            _to_file(write, rows, run, arguments.output)
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        raise DiskError("failing", f"cannot write: {error}; see to it and try again") from None
    for sentence in history.losses(run):
        print(f"streamviz: {sentence}", file=sys.stderr)
    return 0


def _for_others(
    arguments: argparse.Namespace,
    history: History,
    rows: Iterator[StoredRows],
    ranks: RankSet | None,
) -> int:
    """Write what is no stream of lines: a log directory, or a page."""
    from streamviz.cli.export_files import write_log_directory, write_page

    run = arguments.run_name
    if arguments.output is not None:
        flag = "--html FILE" if arguments.tfevents is None else "--tfevents DIR"
        raise ConfigError("-o", str(arguments.output), f"no file: {flag} says where to")
    try:
        if arguments.tfevents is not None:
            items = arguments.metric is None
            said = write_log_directory(history, run, rows, ranks, arguments.tfevents, items=items)
        else:
            said = write_page(history, run, arguments.metric, ranks, arguments.html)
    except OSError as error:
        if isinstance(error, DiskError):
            raise
        raise DiskError("failing", f"cannot write: {error}; see to it and try again") from None
    for sentence in (*said, *history.losses(run)):
        print(f"streamviz: {sentence}", file=sys.stderr)
    return 0


def _chosen(
    history: History, run: str, metrics: Sequence[str] | None, ranks: RankSet | None
) -> Iterator[StoredRows]:
    """Yield the rows of the ranks and metrics that were asked for."""
    from streamviz.journal.scan import choose

    for rows in history.rows(run):
        if ranks is None or rows.rank in ranks:
            kept = rows if metrics is None else choose(rows, metrics)
            if kept.names:
                yield kept


def _to_stdout(write: _Write, rows: Iterator[StoredRows], run: str) -> None:
    try:
        write(rows, run, sys.stdout)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough, as `head` has; Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _to_file(write: _Write, rows: Iterator[StoredRows], run: str, path: Path) -> None:
    """Write a file that is there as a whole or not at all."""
    draft = path.with_name(path.name + ".part")
    binary = write is _write_parquet
    try:
        with draft.open("wb" if binary else "w", **({} if binary else _TEXT)) as file:
            write(rows, run, file)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _write_csv(rows: Iterator[StoredRows], run: str, file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for some in rows:
        for name, values in zip(some.names, some.values.T.tolist(), strict=True):
            writer.writerows(
                (run, some.rank, some.attempt, name, step, repr(time), _number(value))
                for step, time, value in zip(
                    some.steps.tolist(), some.times.tolist(), values, strict=True
                )
            )


def _write_jsonl(rows: Iterator[StoredRows], run: str, file: IO[str]) -> None:
    for some in rows:
        for name, values in zip(some.names, some.values.T.tolist(), strict=True):
            whole = {"run": run, "rank": some.rank, "attempt": some.attempt, "metric": name}
            start = json.dumps(whole)[:-1]
            file.writelines(
                f'{start}, "step": {step}, "time": {time!r}, "value": {_json_number(value)}}}\n'
                for step, time, value in zip(
                    some.steps.tolist(), some.times.tolist(), values, strict=True
                )
            )


def _with_items(history: History, ranks: RankSet | None) -> _Write:
    """Return what writes JSON lines of rows, and then of items."""
    from streamviz.journal.items import DISK_ITEMS_BYTES
    from streamviz.wire.bodies import json_body

    def write(rows: Iterator[StoredRows], run: str, file: IO[str]) -> None:
        _write_jsonl(rows, run, file)
        for item in history.items(run, 2 * DISK_ITEMS_BYTES) or ():
            if ranks is None or item.rank in ranks:
                about = {"run": run, "rank": item.rank, "attempt": item.attempt, "kind": item.kind}
                place = {"name": item.name, "step": item.step, "time": item.time}
                file.write(json.dumps({**about, **place, "body": json_body(item.body)}) + "\n")

    return write


def _write_parquet(rows: Iterator[StoredRows], run: str, file: IO[bytes]) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    kinds = (pa.string(), pa.int32(), pa.int32(), pa.string(), pa.int64(), pa.float64())
    schema = pa.schema(list(zip(_COLUMNS, (*kinds, pa.float64()), strict=True)))
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        waiting, size = [], 0
        for some in rows:
            count = some.steps.size
            for name, values in zip(some.names, some.values.T, strict=True):
                columns = [
                    pa.repeat(pa.scalar(run), count),
                    pa.repeat(pa.scalar(some.rank, pa.int32()), count),
                    pa.repeat(pa.scalar(some.attempt, pa.int32()), count),
                    pa.repeat(pa.scalar(name), count),
                    pa.array(some.steps),
                    pa.array(some.times),
                    pa.array(values),
                ]
                waiting.append(pa.Table.from_arrays(columns, schema=schema))
                size += count
                if size >= _GROUP_ROWS:
                    writer.write_table(pa.concat_tables(waiting), _GROUP_ROWS)
                    waiting, size = [], 0
        if waiting:
            writer.write_table(pa.concat_tables(waiting), _GROUP_ROWS)


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _json_number(value: float) -> str:
    return repr(value) if math.isfinite(value) else f'"{_number(value)}"'


_WRITERS: dict[str, _Write] = {
    "csv": _write_csv,
    "jsonl": _write_jsonl,
    "parquet": _write_parquet,
}
