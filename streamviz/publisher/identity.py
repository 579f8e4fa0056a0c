"""Which process of which job this is, read from what its launcher left in the environment.

Law: a pure function of the environment it is handed and of the process's own names.
"""

from __future__ import annotations

import socket
import sys
import unicodedata
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from streamviz.wire.names import name_fault

__all__ = ["Identity", "find_identity", "find_run"]

# (rank, world size, local rank) as each launcher names them. torchrun's are from its
# documentation; the Slurm and MPI ones from their manuals. The MPI launchers come before Slurm: in
# an allocation they start their daemons with srun, whose task number all ranks of a node inherit.
_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("PMIX_RANK", "PMIX_SIZE", "PMIX_LOCAL_RANK"),
    ("PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID"),
    ("JSM_NAMESPACE_RANK", "JSM_NAMESPACE_SIZE", "JSM_NAMESPACE_LOCAL_RANK"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
)

_JOB_IDS = ("SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID")
_MPI_JOBS = ("PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid")
"""What an MPI launcher calls the job, on every node alike."""

_SCRIPT_BYTES = 120
"""Bytes of a run's name that the script's may take."""


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

    Looked for in this order: torchrun, Open MPI, PMIx, PMI, LSF, Slurm, an initialised
    ``torch.distributed``; else this is rank 0 of 1.
    """
    rank, world_size, local_rank = _place(environ)
    return Identity(
        rank=rank,
        world_size=max(world_size, rank + 1),
        local_rank=local_rank,
        host=_host(environ),
        attempt=_number(environ.get("TORCHELASTIC_RESTART_COUNT")) or 0,
    )


def _host(environ: Mapping[str, str]) -> str:
    host = environ.get("SLURMD_NODENAME") or socket.gethostname()
    return host if name_fault(host) is None else "unknown"


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
    # Past seven digits it is no rank, whatever it is.
    return int(text) if text is not None and text.isdecimal() and len(text) <= 7 else None


def find_run(environ: Mapping[str, str], *, parent_pid: int, now: float, ranks: int = 1) -> str:
    """Return a name for the run that every process of one job comes to by itself.

    A scheduler's job id is such a name. Without one, it is the script's name and either a digest
    of what the launcher gave to all ranks alike, or, for a lone process, the time of its start.

    Args:
        environ: The process's environment.
        parent_pid: The parent's process id: the launcher, on a single node.
        now: Seconds since the epoch.
        ranks: Processes of the job, as far as is known.
    """
    script = _script()
    for name in _JOB_IDS:
        if environ.get(name):
            return f"{script}-{environ[name]}"
    if "RANK" not in environ and ranks == 1:
        return f"{script}-{datetime.fromtimestamp(now).strftime('%m%d-%H%M%S')}"
    return f"{script}-{zlib.crc32(_job(environ, parent_pid).encode('utf-8', 'replace')):08x}"


def _script() -> str:
    """Return the name of what is run, as part of a legal name."""
    path = sys.argv[0] if sys.argv else ""
    file = path.rpartition("/")[2]
    stem = file.removesuffix(".py") if path not in ("", "-c", "-m") else "python"
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in stem)
    cut = kept.encode("utf-8", "replace")[:_SCRIPT_BYTES].decode("utf-8", "ignore")
    return unicodedata.normalize("NFC", cut) or "python"


def _job(environ: Mapping[str, str], parent_pid: int) -> str:
    """Return what all ranks of a job without a scheduler have in common."""
    run_id = environ.get("TORCHELASTIC_RUN_ID", "none")
    if run_id != "none":
        return run_id
    for name in _MPI_JOBS:
        if environ.get(name):
            return environ[name]
    # torchrun's default id is the same for every job. On one node the launcher's process tells
    # jobs apart and outlives restarts; across nodes only the rendezvous is known to all.
    if environ.get("LOCAL_WORLD_SIZE") == environ.get("WORLD_SIZE"):
        return f"{socket.gethostname()}:{parent_pid}"
    return f"{environ.get('MASTER_ADDR')}:{environ.get('MASTER_PORT')}"
