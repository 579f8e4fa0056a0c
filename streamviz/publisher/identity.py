"""Which process of which job this is, read from what its launcher left in the environment.

Law: a pure function of the environment it is handed and of the process's own names.
"""

from __future__ import annotations

import hashlib
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

__all__ = ["Identity", "find_identity", "find_run"]

# (rank, world size, local rank) as each launcher names them, most specific launcher first.
# torchrun's are from its documentation; the Slurm and MPI ones from their manuals.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMIX_RANK", "PMIX_SIZE", "PMIX_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK"),
)

_JOB_IDS = ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID")


@dataclass(frozen=True, slots=True)
class Identity:
    """A process's place in its job."""

    rank: int
    world_size: int
    local_rank: int
    host: str
    attempt: int
    """How often the launcher has restarted the job."""


def find_identity(environ: Mapping[str, str]) -> Identity:
    """Return rank, world size, local rank, host and attempt.

    Looked for in this order: torchrun, Slurm, Open MPI, PMIx, PMI, LSF, an initialised
    ``torch.distributed``; else this is rank 0 of 1.
    """
    rank, world_size, local_rank = _place(environ)
    return Identity(
        rank=rank,
        world_size=max(world_size, rank + 1),
        local_rank=local_rank,
        host=environ.get("SLURMD_NODENAME") or socket.gethostname(),
        attempt=_number(environ.get("TORCHELASTIC_RESTART_COUNT")) or 0,
    )


def _place(environ: Mapping[str, str]) -> tuple[int, int, int]:
    for rank_name, size_name, local_name in _LAUNCHERS:
        rank = _number(environ.get(rank_name))
        if rank is not None:
            size = _number(environ.get(size_name)) or _number(environ.get("SLURM_NTASKS")) or 1
            return rank, size, _number(environ.get(local_name)) or 0
    torch = sys.modules.get("torch")
    distributed = getattr(torch, "distributed", None)
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank()), int(distributed.get_world_size()), 0
    return 0, 1, 0


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def find_run(environ: Mapping[str, str], *, parent_pid: int, now: float) -> str:
    """Return a name for the run that every process of one job comes to by itself.

    A scheduler's job id is such a name. Without one, it is the script's name and either a digest
    of what the launcher gave to all ranks alike, or, for a lone process, the time of its start.

    Args:
        environ: The process's environment.
        parent_pid: The parent's process id: the launcher, on a single node.
        now: Seconds since the epoch.
    """
    script = (
        Path(sys.argv[0]).stem if sys.argv and sys.argv[0] not in ("", "-c", "-m") else "python"
    )
    script = "".join(c if c.isalnum() or c in "._-" else "-" for c in script)[:80]
    for name in _JOB_IDS:
        if environ.get(name):
            return f"{script}-{environ[name]}"
    if "RANK" not in environ:
        return f"{script}-{datetime.fromtimestamp(now).strftime('%m%d-%H%M%S')}"
    run_id = environ.get("TORCHELASTIC_RUN_ID", "none")
    if run_id == "none":
        # torchrun's default id, the same for every job. On one node the launcher's process tells
        # jobs apart and outlives restarts; across nodes only the rendezvous is known to all.
        if environ.get("LOCAL_WORLD_SIZE") == environ.get("WORLD_SIZE"):
            run_id = f"{socket.gethostname()}:{parent_pid}"
        else:
            run_id = f"{environ.get('MASTER_ADDR')}:{environ.get('MASTER_PORT')}"
    return f"{script}-{hashlib.sha256(run_id.encode()).hexdigest()[:6]}"
