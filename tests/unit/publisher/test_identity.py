"""Which process of which job this is, as each launcher says it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from streamviz.publisher.identity import find_identity, find_run
from streamviz.wire.names import name_fault

TORCHRUN = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "TORCHELASTIC_RESTART_COUNT": "2",
    "TORCHELASTIC_RUN_ID": "none",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
}
LAUNCHERS = {
    "torchrun": (TORCHRUN, (5, 8, 1)),
    "slurm": (
        {"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"},
        (5, 8, 1),
    ),
    "slurm, tasks of the job": ({"SLURM_PROCID": "5", "SLURM_NTASKS": "16"}, (5, 16, 0)),
    "open mpi": (
        {
            "OMPI_COMM_WORLD_RANK": "5",
            "OMPI_COMM_WORLD_SIZE": "8",
            "OMPI_COMM_WORLD_LOCAL_RANK": "1",
        },
        (5, 8, 1),
    ),
    "pmix": ({"PMIX_RANK": "5", "PMIX_SIZE": "8", "PMIX_LOCAL_RANK": "1"}, (5, 8, 1)),
    "pmi": ({"PMI_RANK": "5", "PMI_SIZE": "8", "MPI_LOCALRANKID": "1"}, (5, 8, 1)),
    "lsf": (
        {
            "JSM_NAMESPACE_RANK": "5",
            "JSM_NAMESPACE_SIZE": "8",
            "JSM_NAMESPACE_LOCAL_RANK": "1",
        },
        (5, 8, 1),
    ),
    "torchrun inside slurm": (
        {**TORCHRUN, "SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "0"},
        (5, 8, 1),
    ),
    "mpirun inside slurm, whose daemons srun started": (
        {
            "OMPI_COMM_WORLD_RANK": "5",
            "OMPI_COMM_WORLD_SIZE": "8",
            "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            "SLURM_PROCID": "1",
            "SLURM_STEP_NUM_TASKS": "2",
        },
        (5, 8, 1),
    ),
    "no launcher": ({}, (0, 1, 0)),
    "no number": ({"RANK": "five", "WORLD_SIZE": "many"}, (0, 1, 0)),
    "nothing": ({"RANK": ""}, (0, 1, 0)),
    "a rank past the size": ({"RANK": "5", "WORLD_SIZE": "2"}, (5, 6, 0)),
    "a rank of a thousand digits": ({"RANK": "9" * 5000}, (0, 1, 0)),
}


@pytest.fixture(autouse=True)
def _no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_each_launcher_is_understood(launcher: str) -> None:
    """Rank, world size and local rank are found where the launcher puts them."""
    environ, place = LAUNCHERS[launcher]

    found = find_identity(environ)

    assert (found.rank, found.world_size, found.local_rank) == place


def test_the_restart_count_is_the_attempt() -> None:
    """The restart count of torchrun tells attempts apart; without it this is the first."""
    assert find_identity(TORCHRUN).attempt == 2
    assert find_identity({}).attempt == 0


def test_the_host_is_slurm_s_name_or_the_system_s() -> None:
    """Slurm's name of the node is what its users know."""
    assert find_identity({"SLURMD_NODENAME": "gpu-17"}).host == "gpu-17"
    assert find_identity({}).host


class FakeDistributed:
    """``torch.distributed`` as far as it is asked."""

    def __init__(self, *, available: bool = True, initialized: bool = True) -> None:
        self._available = available
        self._initialized = initialized

    def is_available(self) -> bool:
        """Say so."""
        return self._available

    def is_initialized(self) -> bool:
        """Say so."""
        assert self._available
        return self._initialized

    def get_rank(self) -> int:
        """Return a rank."""
        return 3

    def get_world_size(self) -> int:
        """Return a size."""
        return 4


@pytest.mark.parametrize(
    ("distributed", "environ", "rank"),
    [
        (FakeDistributed(), {}, 3),
        (FakeDistributed(initialized=False), {}, 0),
        (FakeDistributed(available=False), {}, 0),
        (None, {}, 0),
        (FakeDistributed(), TORCHRUN, 5),
    ],
    ids=["initialised", "not yet", "not built in", "absent", "launcher first"],
)
def test_torch_is_asked_last(
    monkeypatch: pytest.MonkeyPatch,
    distributed: FakeDistributed | None,
    environ: Mapping[str, str],
    rank: int,
) -> None:
    """An initialised torch.distributed is asked if no launcher says more; torch is not imported."""
    fake = SimpleNamespace() if distributed is None else SimpleNamespace(distributed=distributed)
    monkeypatch.setitem(sys.modules, "torch", fake)

    found = find_identity(environ)

    assert found.rank == rank
    assert found.world_size == {0: 1, 3: 4, 5: 8}[rank]


# -- the run's name ------------------------------------------------------------------------


def name(
    environ: Mapping[str, str], *, parent_pid: int = 100, now: float = 1e9, ranks: int = 1
) -> str:
    """Return the run's name as one rank finds it."""
    found = find_run(environ, parent_pid=parent_pid, now=now, ranks=ranks)
    assert name_fault(found) is None
    return found


def torchrun(rank: int, **others: str) -> dict[str, str]:
    """Return what torchrun gives a rank on one node of four."""
    return {**TORCHRUN, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "4", **others}


def test_ranks_of_one_node_agree() -> None:
    """Children of one launcher come to one name, whenever they start, and after restarts."""
    names = {name(torchrun(rank), parent_pid=77, now=1e9 + 100 * rank) for rank in range(4)} | {
        name(torchrun(0, TORCHELASTIC_RESTART_COUNT="3", MASTER_PORT="29777"), parent_pid=77)
    }

    assert len(names) == 1


def test_two_jobs_on_one_node_differ() -> None:
    """Another launcher is another job."""
    assert name(torchrun(0), parent_pid=77) != name(torchrun(0), parent_pid=78)


def test_ranks_of_several_nodes_agree() -> None:
    """Across nodes, where launchers' process ids differ, the rendezvous is what all know."""
    names = {
        name({**TORCHRUN, "RANK": str(rank)}, parent_pid=rank // 4, now=1e9 + rank)
        for rank in range(8)
    }

    assert len(names) == 1
    assert name({**TORCHRUN, "MASTER_PORT": "29501"}) not in names


def test_the_user_s_run_id_is_what_counts() -> None:
    """A rendezvous id of the user's names the job wherever its processes are."""
    first = name({**TORCHRUN, "TORCHELASTIC_RUN_ID": "job7"}, parent_pid=1)

    assert first == name({**TORCHRUN, "TORCHELASTIC_RUN_ID": "job7"}, parent_pid=2)
    assert first != name({**TORCHRUN, "TORCHELASTIC_RUN_ID": "job8"}, parent_pid=1)


@pytest.mark.parametrize("variable", ["SLURM_JOB_ID", "LSB_JOBID", "PBS_JOBID", "JOB_ID"])
def test_a_scheduler_s_job_id_names_the_run(variable: str) -> None:
    """With a scheduler all ranks and nodes agree on its id, torchrun or not."""
    names = {
        name({variable: "4711", **extra}, parent_pid=pid, now=now)
        for extra, pid, now in [({}, 1, 1e9), (TORCHRUN, 2, 1.1e9), ({"SLURM_PROCID": "3"}, 3, 0)]
    }

    assert len(names) == 1
    assert names.pop().endswith("-4711")


@pytest.mark.parametrize("variable", ["PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid"])
def test_ranks_of_mpi_agree(variable: str) -> None:
    """Under mpirun without a scheduler all ranks, on all nodes, come to one name."""
    names = {
        name(
            {"OMPI_COMM_WORLD_RANK": str(rank), variable: "2375614465"},
            parent_pid=rank,
            now=1e9 + rank,
            ranks=4,
        )
        for rank in range(4)
    }

    assert len(names) == 1
    assert name({variable: "2375614466"}, ranks=4) not in names


def test_spawned_ranks_agree() -> None:
    """Processes that a script spawned itself share their parent, whenever they start."""
    names = {name({}, parent_pid=55, now=1e9 + rank, ranks=4) for rank in range(4)}

    assert len(names) == 1


def test_a_lone_process_is_named_by_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any launcher each start is a run of its own, and its name says when."""
    monkeypatch.setattr(sys, "argv", ["/home/me/train.py", "--lr", "1"])

    assert name({}, now=1e9) != name({}, now=1e9 + 1)
    assert name({}, now=1e9).startswith("train-0909-")


@pytest.mark.parametrize(
    ("argv", "start"),
    [
        (["/a/b/train.py"], "train-"),
        (["train me!.py"], "train-me--"),
        (["-c"], "python-"),
        (["-m"], "python-"),
        ([""], "python-"),
        ([], "python-"),
        (["train\n\u202e.py"], "train---"),
        (["/x/" + "y" * 500 + ".py"], "y" * 80),
        (["训" * 300 + ".py"], "训" * 40),
        (["\U00020000" * 300 + ".py"], "\U00020000" * 30),
        (["\u1100\u1161\u11a8.py"], "\uac01-"),
        (["\udcff.py"], ""),
        (["e\u0301.py"], "e--"),
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_any_script_makes_a_legal_name(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], start: str
) -> None:
    """Whatever a script is called, its run's name is legal and as near to it as can be."""
    monkeypatch.setattr(sys, "argv", argv)

    assert name({}).startswith(start)
    assert name(TORCHRUN).startswith(start)
