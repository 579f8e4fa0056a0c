"""Lightning's real Trainer in one process, and what a real server makes of what it sends."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from serving import ServerProcess, wait_until

lightning = pytest.importorskip("lightning.pytorch")
torch = pytest.importorskip("torch")

from streamviz.integrations import lightning as integration  # noqa: E402
from streamviz.integrations.lightning import StreamvizCallback, StreamvizLogger  # noqa: E402

pytestmark = [
    pytest.mark.torch,
    # Its advice on workers of data loaders and on how often to log.
    pytest.mark.filterwarnings("ignore::lightning.pytorch.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all tests here, each of which has a run of its own."""
    running = ServerProcess()
    yield running
    running.stop()


class Line(lightning.LightningModule):  # type: ignore[misc, name-defined]
    """A line through points, whose loss at each batch is known."""

    def __init__(self, fails_at: int | None = None, *, by_hand: bool = False) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.fails_at = fails_at
        self.automatic_optimization = not by_hand

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        """Return a loss that is the batch's number, whatever the weight."""
        if batch_idx == self.fails_at:
            raise RuntimeError("as it was told to")
        loss = batch_idx + 0 * self.weight.sum()
        if not self.automatic_optimization:
            self.manual_backward(loss)
            self.optimizers().step()
        self.log("train/loss", loss)
        return {"loss": loss, "more": None}

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Log a value."""
        self.log("val/loss", 3.0)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Log a value."""
        self.log("test/loss", 4.0)

    def configure_optimizers(self) -> Any:
        """Return an optimizer that does nothing."""
        return torch.optim.SGD(self.parameters(), lr=0.0)


def points() -> Any:
    """Return eight batches of one point."""
    return torch.utils.data.DataLoader(torch.zeros(8, 1))


def trainer(folder: Path, *callbacks: Any, logger: Any = False, **how: Any) -> Any:
    """Return a quiet trainer of one epoch on the CPU."""
    return lightning.Trainer(
        accelerator="cpu", max_epochs=1, log_every_n_steps=1, logger=logger,
        callbacks=list(callbacks), default_root_dir=folder, enable_progress_bar=False,
        enable_model_summary=False, enable_checkpointing=False, **how,
    )  # fmt: skip


def state(server: ServerProcess, run: str) -> list[tuple[int, str]]:
    """Return attempt and state of each worker of a run."""
    return [(one["attempt"], one["state"]) for one in server.workers(run)]


def entry(server: ServerProcess, run: str) -> dict[str, Any]:
    """Return what is told of a run."""
    [found] = [one for one in server.get("/api/v1/runs") if one["run"] == run]
    return dict(found)


def test_nothing_is_opened_before_it_is_needed(tmp_path: Path) -> None:
    """A logger can be pickled into other processes, open or not, and knows its directories."""
    logger = StreamvizLogger("named", save_dir=tmp_path, prefix="mine", mode="off")
    assert isinstance(logger, lightning.loggers.Logger)
    assert issubclass(StreamvizCallback, lightning.Callback)

    assert logger._lazy.current is None
    assert (logger.name, logger.version, logger.save_dir) == ("named", 0, str(tmp_path))
    assert logger.log_dir == str(tmp_path / "named" / "version_0")
    here = logger.experiment
    copy = pickle.loads(pickle.dumps(logger))
    assert copy._lazy.current is None
    assert copy.log_dir == logger.log_dir
    assert copy.experiment is not here
    logger.finalize("success")
    copy.finalize("failed")
    assert pickle.loads(pickle.dumps(StreamvizCallback("named")))._publisher is None


def test_both_names_of_the_package_are_served() -> None:
    """With pytorch_lightning imported too, the logger is one of its loggers as well."""
    alone = StreamvizLogger
    package = pytest.importorskip("pytorch_lightning")

    assert issubclass(integration.StreamvizLogger, package.loggers.Logger)
    assert issubclass(integration.StreamvizLogger, lightning.loggers.Logger)
    assert integration.StreamvizLogger is integration.StreamvizLogger
    assert issubclass(integration.StreamvizCallback, package.Callback)
    assert issubclass(alone, lightning.loggers.Logger)


def test_what_comes_before_and_after_a_fit_is_on_its_line(
    server: ServerProcess, tmp_path: Path
) -> None:
    """A validation before and a test after belong to the same attempt, which is done at its end."""
    logger = StreamvizLogger("around", endpoint=server.ingest, prefix="p")
    model, one = Line(), trainer(tmp_path, StreamvizCallback(), logger=logger)
    logger.log_hyperparams({"lr": 0.1, "model": {"depth": 2}})

    one.validate(model, points(), verbose=False)
    wait_until(lambda: server.series("around", "p/val/loss"), "the validation is there")
    assert state(server, "around") == [(0, "live")]
    one.fit(model, points())
    wait_until(lambda: state(server, "around") == [(0, "done")], "it is done")
    one.test(model, points(), verbose=False)

    [tested] = wait_until(lambda: server.series("around", "p/test/loss"), "the test is there")
    assert (tested["step"], tested["value"]) == ([8], [4.0])
    wait_until(lambda: state(server, "around") == [(0, "done")], "it is done again")
    [own] = server.series("around", "rank/loss")
    assert own["value"] == list(range(8))
    [logged] = server.series("around", "p/train/loss")
    assert (logged["step"], logged["value"]) == (own["step"], own["value"])
    [item] = server.get("/api/v1/payloads", run="around")["payloads"]
    assert item["kind"] == "hparams"


def test_a_failed_fit_is_shown_as_failed(server: ServerProcess, tmp_path: Path) -> None:
    """What was sent before the exception is there; the next fit is another attempt."""
    logger = StreamvizLogger("fails", endpoint=server.ingest)

    with pytest.raises(RuntimeError, match="as it was told to"):
        trainer(tmp_path, StreamvizCallback(), logger=logger).fit(Line(fails_at=3), points())
    wait_until(lambda: state(server, "fails") == [(0, "failed")], "it has failed")
    trainer(tmp_path, StreamvizCallback(), logger=logger).fit(Line(), points())

    wait_until(lambda: state(server, "fails") == [(0, "failed"), (1, "done")], "both are there")
    assert [len(one["step"]) for one in server.series("fails", "rank/loss")] == [3, 8]


def test_the_callback_needs_no_logger(server: ServerProcess, tmp_path: Path) -> None:
    """By itself it opens a publisher; a loss that Lightning has divided is whole again."""
    callback = StreamvizCallback("alone", endpoint=server.ingest, loss="mine")

    trainer(tmp_path, callback, accumulate_grad_batches=2).fit(Line(), points())

    wait_until(lambda: state(server, "alone") == [(0, "done")], "it is done")
    [own] = server.series("alone", "mine")
    assert (own["step"], own["value"]) == ([0, 0, 1, 1, 2, 2, 3, 3], list(range(8)))
    found = entry(server, "alone")
    assert found["facts"] == {"total_steps": 4}
    assert {f"phase/{one}" for one in ("data", "forward", "backward", "optimizer")} <= set(
        found["metrics"]
    )


def test_steps_by_hand_are_one_phase(server: ServerProcess, tmp_path: Path) -> None:
    """Where hooks do not tell the parts of a step apart, nobody claims to know them."""
    callback = StreamvizCallback("by-hand", endpoint=server.ingest)

    trainer(tmp_path, callback).fit(Line(by_hand=True), points())

    wait_until(lambda: state(server, "by-hand") == [(0, "done")], "it is done")
    found = entry(server, "by-hand")
    assert {one for one in found["metrics"] if one.startswith("phase/")} == {
        "phase/data", "phase/step",
    }  # fmt: skip


def test_a_trial_leaves_no_trace(tmp_path: Path) -> None:
    """With fast_dev_run Lightning takes loggers away, and the callback opens nothing."""
    callback = StreamvizCallback("trial")

    trainer(tmp_path, callback, fast_dev_run=True).fit(Line(), points())

    assert callback._lazy.current is None
    assert callback._lazy._closed is None
