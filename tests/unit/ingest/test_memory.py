"""What a process may take, as its system says."""

from __future__ import annotations

from pathlib import Path

import pytest

from streamviz.ingest.memory import Memory, allowed_by_system


def test_a_share_is_of_the_limit() -> None:
    """Half the limit is twice the share."""
    small, large = Memory(1 << 30), Memory(1 << 31)

    assert 0 < large.share() < small.share() < 1
    assert small.share() == pytest.approx(2 * large.share(), rel=0.05)


@pytest.mark.parametrize(
    ("groups", "files", "limit"),
    [
        ("0::/job/step\n", {"job/memory.max": "1000", "job/step/memory.max": "max"}, 1000),
        ("0::/of/the/host\n", {"memory.max": "2000"}, 2000),
        ("4:cpu,memory:/a\n0::/\n", {"memory/a/memory.limit_in_bytes": "3000"}, 3000),
        ("4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("0::/\n", {}, None),
        ("4:cpu:/a\nnonsense\n", {"memory.max": "x"}, None),
    ],
)
def test_the_least_limit_of_the_control_groups_counts(
    tmp_path: Path, groups: str, files: dict[str, str], limit: int | None
) -> None:
    """Of a group and those it lies in the smallest; both kinds of group are read."""
    table = tmp_path / "cgroup"
    table.write_text(groups)
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    assert allowed_by_system(table, tmp_path / "mount") == limit


def test_without_control_groups_there_is_no_limit(tmp_path: Path) -> None:
    """Other systems have no such table."""
    assert allowed_by_system(tmp_path / "nothing", tmp_path) is None
