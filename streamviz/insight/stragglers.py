"""Which rank the others wait for, from how long each rank spends in each phase of a step.

In synchronous training all ranks take equally long for a step, as the fast ones wait in the phase
that holds the barrier. So neither a step's time nor that phase's names anybody. What does: a rank
that is longer in a phase before the barrier *and* shorter in the one that holds it, step after
step; or, where waiting is a phase of its own, the rank that waits least.

Law: a rank is named on both sides of that evidence, or nobody is and the reason is said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from streamviz.insight.batch import FloatArray, IntArray
from streamviz.insight.wording import named, seconds, whole

__all__ = ["STEPS_MIN", "STEPS_SEEN", "Abstention", "Verdict", "kind_of", "straggler"]

STEPS_SEEN = 32
"""Steps looked at."""
STEPS_MIN = 12
"""With fewer there is no telling a slow rank from a slow step."""
SHARE_OF_STEP = 0.1
"""Part of a step that a rank must cost the others before it is worth a word."""
LEAST_S = 0.005
"""And at least so long: what an operating system does to a process now and then."""
OFTEN = 0.7
"""Part of the steps that must show it."""
ANSWERED = 0.5
"""Part of the excess that must be missing from its waiting, and by which it leads the next rank."""
FEW_RANKS = 8
"""Up to here a rank is compared with the others only; in a crowd its own part is nothing."""

BARRIER, BACKWARD, LOCAL, COMPUTE, OTHER = "barrier", "backward", "local", "compute", "other"
_KINDS = (
    (BARRIER, r"comm|wait|barrier|reduce|gather|scatter|broadcast|sync|nccl|gloo|all2all|a2a"),
    (BACKWARD, r"backward|\bbwd|_bwd|\bback\b"),
    (LOCAL, r"data|load|fetch|batch|h2d|d2h|copy|augment|preproc|tokeni|collat|read|decode|log"),
    (COMPUTE, r"forward|fwd|optim|\bopt\b|step|update|loss"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The rank that the others wait for."""

    rank: int
    phase: str
    """Where it spends longer than the others; with ``arrives_last`` where it waits least."""
    excess_s: float
    """How much longer a step it takes there, seconds; with ``arrives_last`` how much less it
    waits."""
    waited_in: str
    """The phase in which the others wait for it."""
    confidence: str
    """``high`` when the phase has no part in any exchange between ranks, else ``likely``."""
    arrives_last: bool = False

    def sentence(self, host: str = "") -> str:
        """Say it."""
        who = named(self.rank, host)
        span = seconds(self.excess_s)
        if self.arrives_last:
            return f"{who} arrives last at `{self.phase}`: it waits {span} less than the others"
        likely = "" if self.confidence == "high" else "likely "
        return (
            f"{who} {likely}holds the others up: {span} a step longer in `{self.phase}`, "
            f"for which they wait in `{self.waited_in}`"
        )


@dataclass(frozen=True, slots=True)
class Abstention:
    """Why nobody is named."""

    reason: str


def kind_of(phase: str) -> str:
    """Return what a phase does, by its name."""
    for kind, pattern in _KINDS:
        if re.search(pattern, phase, re.IGNORECASE):
            return kind
    return OTHER


def straggler(
    spent: FloatArray, ranks: Sequence[int] | IntArray, phases: Sequence[str]
) -> Verdict | Abstention:
    """Name the rank that the others wait for.

    Args:
        spent: ``float64[S, N, P]``, seconds of each rank in each phase of the last steps.
        ranks: The N ranks, distinct.
        phases: The P phases' names.
    """
    count, width = spent.shape[1:]
    if count < 2:
        return Abstention("one rank waits for nobody")
    if width < 2:
        return Abstention("a single phase is timed, in which slow and waiting look the same")
    spent = spent[np.isfinite(spent).all(axis=(1, 2))]
    if spent.shape[0] < STEPS_MIN:
        return Abstention(f"{spent.shape[0]} steps are known, {STEPS_MIN} are needed")
    excess = _excess(spent)
    typical: FloatArray = np.median(excess, axis=0)
    step_s = float(np.median(spent.sum(axis=2)))
    floor = max(LEAST_S, SHARE_OF_STEP * step_s)
    kinds = [kind_of(phase) for phase in phases]
    found: list[Verdict] = []
    crowded = False
    for p in range(width):
        if kinds[p] in (BARRIER, BACKWARD):
            continue
        n = int(typical[:, p].argmax())
        by = float(typical[n, p])
        if by < floor or np.mean(excess[:, n, p] > by / 2) < OFTEN:
            continue
        if count > 2 and np.partition(typical[:, p], -2)[-2] > ANSWERED * by:
            crowded = True
            continue
        q = _waited(excess[:, n], typical[n], p, kinds, by, pair=count == 2)
        if q is not None:
            found.append(
                Verdict(
                    rank=int(ranks[n]),
                    phase=phases[p],
                    excess_s=by,
                    waited_in=phases[q],
                    confidence="high" if kinds[p] == LOCAL else "likely",
                )
            )
    if found:
        return _agreed(found)
    last = _last_to_arrive(excess, typical, ranks, phases, kinds, floor)
    if last is not None:
        return last
    if crowded:
        return Abstention("several ranks are slow in the same phase")
    return Abstention("no rank is longer before a barrier and shorter at it")


def _agreed(found: list[Verdict]) -> Verdict | Abstention:
    """Return the largest of several, unless they name different ranks."""
    best = max(found, key=lambda verdict: verdict.excess_s)
    rivals = [one for one in found if one.rank != best.rank]
    if any(one.excess_s > ANSWERED * best.excess_s for one in rivals):
        who = " and ".join(whole(rank) for rank in sorted({one.rank for one in found}))
        return Abstention(f"ranks {who} are each slow in a phase of their own")
    return best


def _excess(spent: FloatArray) -> FloatArray:
    """Return by how much each rank is longer in each phase than the median of the others."""
    count = spent.shape[1]
    if count > FEW_RANKS:
        crowd: FloatArray = spent - np.median(spent, axis=1, keepdims=True)
        return crowd
    others = np.stack(
        [np.median(np.delete(spent, n, axis=1), axis=1) for n in range(count)], axis=1
    )
    result: FloatArray = spent - others
    return result


def _waited(
    excess: FloatArray, typical: FloatArray, p: int, kinds: list[str], by: float, *, pair: bool
) -> int | None:
    """Return the phase in which a rank waits less by as much as it takes longer in another.

    Args:
        excess: ``float64[S, P]`` of this rank.
        typical: ``float64[P]``, its median.
        p: The phase in which it takes longer.
        kinds: What each phase does.
        by: How much longer.
        pair: Whether there are two ranks: then "slow here" and "the other is slow there" are the
            same numbers, and only names tell which of the phases holds the barrier.
    """
    holds: tuple[str, ...] = (BARRIER, BACKWARD)
    if not pair and kinds[p] == LOCAL:
        holds = (BARRIER, BACKWARD, COMPUTE, OTHER)
    best: int | None = None
    for q, kind in enumerate(kinds):
        if q == p or kind not in holds or typical[q] > -ANSWERED * by:
            continue
        often = np.mean(excess[:, q] < -ANSWERED * by / 2) >= OFTEN
        if often and (best is None or typical[q] < typical[best]):
            best = q
    if best is not None and kinds[p] == OTHER and kinds[best] != BARRIER:
        return None  # who knows what a phase of that name waits for
    return best


def _last_to_arrive(
    excess: FloatArray,
    typical: FloatArray,
    ranks: Sequence[int] | IntArray,
    phases: Sequence[str],
    kinds: list[str],
    floor: float,
) -> Verdict | None:
    """Return the rank with the shortest wait, where waiting is a phase of its own."""
    best: Verdict | None = None
    for q, kind in enumerate(kinds):
        if kind != BARRIER:
            continue
        n = int(typical[:, q].argmin())
        less = -float(typical[n, q])
        if less < floor or np.mean(excess[:, n, q] < -less / 2) < OFTEN:
            continue
        if typical.shape[0] > 2 and -np.partition(typical[:, q], 1)[1] > ANSWERED * less:
            continue
        if best is None or less > best.excess_s:
            best = Verdict(
                rank=int(ranks[n]),
                phase=phases[q],
                excess_s=less,
                waited_in=phases[q],
                confidence="likely",
                arrives_last=True,
            )
    return best
