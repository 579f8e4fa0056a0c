"""Hugging Face's Trainer and Accelerate in one process, and what a real server makes of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import ServerProcess, wait_until

import streamviz

transformers = pytest.importorskip("transformers")
accelerate = pytest.importorskip("accelerate")
torch = pytest.importorskip("torch")

from streamviz.integrations.accelerate import StreamvizTracker  # noqa: E402
from streamviz.integrations.transformers import StreamvizCallback  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    """One server for all tests here, each of which has a run of its own."""
    running = ServerProcess()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is fetched, and the state that Accelerate shares is forgotten."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    yield
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)


def model() -> Any:
    """Return a tiny GPT-2, built from its configuration."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=1, bos_token_id=0, eos_token_id=0,
        loss_type="ForCausalLM",
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config)


def data(samples: int = 64) -> list[dict[str, Any]]:
    """Return samples of eight tokens."""
    tokens = torch.randint(16, (samples, 8), generator=torch.Generator().manual_seed(0))
    return [{"input_ids": row, "labels": row} for row in tokens]


def train(folder: Path, *callbacks: Any, network: Any = None, **how: Any) -> Any:
    """Train for eight steps, or as told, and return the trainer."""
    options = {"max_steps": 8, "logging_steps": 1, "per_device_train_batch_size": 2, **how}
    trainer = transformers.Trainer(
        model=model() if network is None else network,
        args=transformers.TrainingArguments(
            output_dir=str(folder), use_cpu=True, report_to="none", disable_tqdm=True,
            save_strategy="no", dataloader_pin_memory=False, **options,
        ),
        train_dataset=data(),
        eval_dataset=data(4),
        callbacks=list(callbacks),
    )  # fmt: skip
    trainer.train()
    return trainer


def workers(server: ServerProcess, run: str) -> list[tuple[int, str]]:
    """Return attempt and state of each worker of a run."""
    return [(one["attempt"], one["state"]) for one in server.workers(run)]


def entry(server: ServerProcess, run: str) -> dict[str, Any]:
    """Return what is told of a run."""
    [found] = [one for one in server.get("/api/v1/runs") if one["run"] == run]
    return dict(found)


def test_the_own_loss_is_what_the_trainer_logs(server: ServerProcess, tmp_path: Path) -> None:
    """On one rank both agree, over batches that a step is accumulated from."""
    callback = StreamvizCallback("whole", endpoint=server.ingest)

    train(tmp_path, callback, gradient_accumulation_steps=3)

    wait_until(lambda: workers(server, "whole") == [(0, "done")], "it is done")
    [own] = server.series("whole", "rank/loss")
    [logged] = server.series("whole", "train/loss")
    assert own["step"] == logged["step"] == list(range(1, 9))
    assert own["value"] == pytest.approx(logged["value"], rel=1e-4)
    found = entry(server, "whole")
    assert found["facts"] == {"total_steps": 8, "samples_per_step": 6.0}
    assert {"train/learning_rate", "train/grad_norm", "phase/data"} <= set(found["metrics"])
    [item] = server.get("/api/v1/payloads", run="whole")["payloads"]
    assert item["kind"] == "hparams"


def test_a_second_training_is_another_attempt(server: ServerProcess, tmp_path: Path) -> None:
    """An evaluation after a training is on its line; the next training is drawn apart."""
    callback = StreamvizCallback("twice", endpoint=server.ingest)

    trainer = train(tmp_path, callback)
    trainer.evaluate()
    wait_until(lambda: server.series("twice", "eval/loss"), "the evaluation is there")
    assert workers(server, "twice") == [(0, "done")]
    trainer.train()

    wait_until(lambda: workers(server, "twice") == [(0, "done"), (1, "done")], "both are done")
    assert [len(one["step"]) for one in server.series("twice", "rank/loss")] == [8, 8]


def test_a_given_publisher_stays_open(
    server: ServerProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who handed it in closes it; that the model computes no loss is said once."""
    publisher = streamviz.Publisher(server.ingest, run="given")

    with caplog.at_level(logging.WARNING, "streamviz.integrations"):
        train(tmp_path, StreamvizCallback(publisher=publisher), label_smoothing_factor=0.1)

    publisher.send({"after": 1.0})
    assert publisher.flush()
    assert server.series("given", "after")
    assert server.series("given", "train/loss")
    assert not server.series("given", "rank/loss")
    assert caplog.text.count("have no loss") == 1
    publisher.close()


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # dynamo's own, where it looks at a loss
def test_a_compiled_model_stays_one_graph() -> None:
    """The hook is traced along with a model that must not be broken into several graphs."""

    class Sum(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.full((1,), 2.0))

        def forward(self, inputs: Any) -> dict[str, Any]:
            return {"loss": (self.weight * inputs).mean()}

    sums, callback = Sum(), StreamvizCallback(mode="off")
    sums.register_forward_hook(callback._after_forward, with_kwargs=True)
    compiled = torch.compile(sums, backend="eager", fullgraph=True)
    for place in range(3):
        callback._own = type(callback._own)()
        compiled(torch.full((2,), float(place)))
        assert float(callback._own.of_step(1)) == 2.0 * place


def test_accelerate_finds_the_tracker_by_name(server: ServerProcess) -> None:
    """By the name ``streamviz``: values, texts, images and tables; done at the end."""
    accelerator = accelerate.Accelerator(log_with="streamviz", cpu=True)
    accelerator.init_trackers(
        "tracked", config={"lr": 0.1}, init_kwargs={"streamviz": {"endpoint": server.ingest}}
    )
    for step in range(3):
        accelerator.log({"loss": 1.0 / (1 + step), "val": {"acc": step}}, step=step)
    tracker = accelerator.get_tracker("streamviz")
    tracker.log({"note": "a text"}, step=2)
    tracker.log_images({"sample": [np.zeros((4, 4, 3), np.uint8)] * 2}, step=2)
    tracker.log_table("rows", columns=["a"], data=[[1], [2]], step=2)
    accelerator.end_training()

    wait_until(lambda: workers(server, "tracked") == [(0, "done")], "it is done")
    assert [one["value"] for one in server.series("tracked", "val/acc")] == [[0, 1, 2]]
    payloads = server.get("/api/v1/payloads", run="tracked")["payloads"]
    assert {(one["kind"], one["name"]) for one in payloads} >= {
        ("text", "note"), ("image", "sample/0"), ("image", "sample/1"), ("table", "rows"),
    }  # fmt: skip


def test_accelerate_shares_the_run_that_is_open(server: ServerProcess) -> None:
    """A tracker sends through the run of ``streamviz.init``, and leaves it open."""
    with streamviz.init(name="shared", endpoint=server.ingest) as run:
        accelerator = accelerate.Accelerator(log_with=StreamvizTracker("ignored"), cpu=True)
        accelerator.init_trackers("ignored")
        accelerator.log({"a": 1.0}, step=0)
        assert accelerator.get_tracker("streamviz", unwrap=True) is run.publisher
        accelerator.end_training()
        streamviz.log({"b": 2.0})

    wait_until(lambda: workers(server, "shared") == [(0, "done")], "it is done")
    assert "ignored" not in [one["run"] for one in server.get("/api/v1/runs")]
    assert server.series("shared", "b")
