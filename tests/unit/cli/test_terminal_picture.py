"""A run as lines for a terminal."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamviz.cli.picture import Look, one_line, picture


def worker(rank: int, state: str = "live", step: int | None = 100, **more: Any) -> dict[str, Any]:
    """Return a worker as the API tells it."""
    told = {"rank": rank, "attempt": 0, "host": f"node-{rank // 8}", "state": state}
    return {**told, "last_step": step, "age_s": 0.1, "world_size": 16, **more}


def look(*workers: dict[str, Any], **more: Any) -> Look:
    """Return a look at a live run."""
    run = {"run": "a run", "state": "live", "facts": {"total_steps": 1000}, "workers": workers}
    return Look(server="http://x/", clock="12:00:00", **{"run": run, **more})


def texts(seen: Look, width: int = 100, height: int = 40) -> list[str]:
    """Return the lines' texts."""
    return [line.text for line in picture(seen, width, height)]


def test_the_worst_come_first() -> None:
    """Failed, lost, silent, then who has an alert, then who is behind; the rest by rank."""
    alerts = {"alerts": [{"rank": 5, "rule": "nan", "text": "t", "until": None, "time": 1.0}]}
    ranks = [worker(n) for n in (2, 3, 5)] + [
        *(worker(0, step=90), worker(7, "stale"), worker(9, "gone"), worker(1, "done")),
        worker(8, "failed"),
    ]
    table = texts(look(*ranks, alerts=alerts))
    start = next(n for n, line in enumerate(table) if line.lstrip().startswith("RANK"))

    assert [int(line.split()[0]) for line in table[start + 1 :]] == [8, 9, 7, 5, 0, 2, 3, 1]
    assert [line.split()[2] for line in table[start + 1 : start + 4]] == [
        "failed",
        "lost",
        "silent",
    ]
    assert table[start + 4].endswith("nan")
    assert table[start + 5].split()[3:5] == ["90", "10"]


def test_many_ranks_are_counted() -> None:
    """Those for which there is no line are told by how many are in which state."""
    ranks = [worker(n, "stale" if n < 30 else "live") for n in range(1024)]
    lines = texts(look(*ranks), height=20)

    assert len(lines) == 20
    shown = len(lines) - 1 - next(n for n, line in enumerate(lines) if "RANK" in line) - 1
    assert lines[-1] == f"and {1024 - shown:,} more: {30 - shown} silent, 994 live"


def test_the_head_says_how_it_goes() -> None:
    """Ranks, step, speed, time left, the median value, drops, and who is waited for."""
    seen = look(
        *(worker(0), worker(1, "stale")),
        metric="train/loss",
        values=[1.0, 2.0, 30.0, float("nan")],
        steps_per_s=2.0,
        alerts={"alerts": [], "situation": "rank 1 in `data` for 48 s"},
        status={"dropped": {"outbox full": 3}, "bytes_held": 2**20, "bytes_allowed": 2**30},
    )
    text = "\n".join(texts(seen))

    for part in ("ranks 1 of 16", "step 100 of 1,000", "2 steps/s", "ETA 7 min", "dropped 3"):
        assert part in text
    assert "train/loss 2 (not a number on 1)" in text
    assert "! rank 1 in `data` for 48 s" in text
    assert one_line(seen).count("\n") == 0
    assert "rank 1 in `data`" in one_line(seen)


def test_the_newest_attempt_of_a_rank_is_shown() -> None:
    """A rank that was started again is one line, and what it was before is not held against it."""
    lines = texts(look(worker(0, "failed", attempt=0), worker(0, step=3, attempt=1)))

    assert sum(line.split()[:1] == ["0"] for line in lines) == 1
    assert "failed" not in "\n".join(lines)


def test_without_a_run_it_says_where_to_send() -> None:
    """Nothing sent yet is no error; no connection is said."""
    assert "no run yet: http://x/ listens" in texts(look(run=None))
    assert "gone" in texts(look(run=None, trouble="gone"))


@given(
    st.text(max_size=60),
    st.text(max_size=60),
    st.integers(0, 120),
    st.integers(0, 30),
    st.integers(0, 12),
)
def test_no_text_escapes_its_line(
    host: str, said: str, width: int, height: int, ranks: int
) -> None:
    """Whatever names and sentences hold, no control character comes out, and every line fits."""
    workers = [worker(n, host=host) for n in range(ranks)]
    alert = {"rank": 0, "rule": said, "text": said, "until": None, "time": None}
    seen = look(
        *workers, alerts={"alerts": [alert] * 5, "situation": said}, metric=said, values=[1]
    )
    lines = [*texts(seen, width, height), *texts(seen, 10**6, 50), one_line(seen)]

    assert len(texts(seen, width, height)) <= height
    assert all(len(line) <= width for line in texts(seen, width, height))
    assert all(c.isprintable() or c == " " or ord(c) > 0x7F for line in lines for c in line)
    assert "\x9b" not in "".join(lines)
