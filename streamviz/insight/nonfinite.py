"""NaN and infinities: which rank had the first, at which step, of which metric.

Law: a finding for each metric with a bad value among the rows, never one without.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamviz.insight.batch import Batch
from streamviz.insight.finding import Finding, Level, Rule
from streamviz.insight.wording import brief, named, whole

__all__ = ["nonfinite"]


def nonfinite(batch: Batch, hosts: Mapping[int, str]) -> list[Finding]:
    """Return the first bad value of each metric among some rows, with how many there are.

    Args:
        batch: The rows.
        hosts: By rank, where it runs.
    """
    bad = ~np.isfinite(batch.values)
    found = []
    for column in np.flatnonzero(bad.any(axis=0)):
        rows = np.flatnonzero(bad[:, column])
        # Arrival says little: ranks are heard in any order.
        first = rows[np.lexsort((batch.time[rows], batch.step[rows], batch.attempt[rows]))[0]]
        rank, step = int(batch.rank[first]), int(batch.step[first])
        value = brief(float(batch.values[first, column]))
        where = named(rank, hosts.get(rank, ""))
        found.append(
            Finding(
                rule=Rule.NAN,
                level=Level.ERROR,
                text=f"{value} in {batch.names[column]}: first on {where} at step {whole(step)}",
                time=float(batch.time[first]),
                rank=rank,
                attempt=int(batch.attempt[first]),
                host=hosts.get(rank, ""),
                metric=batch.names[column],
                step=step,
                count=int(rows.size),
                earliest=True,
            )
        )
    return found
