"""One script of a training, written against whatever writer it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

__all__ = ["CURVE", "VALUES", "write"]

_random = np.random.default_rng(7)
VALUES: dict[str, Any] = {
    "normal": _random.normal(size=2000),
    "far": np.array([-1e25, -3.0, 0.0, 0.0, 1e-13, 2.0, 1e22]),
    "one": np.full(10, 3.0),
    "tensor": torch.linspace(-1, 1, 500).reshape(5, 100),
    "bfloat16": torch.linspace(-1, 1, 64, dtype=torch.bfloat16),
    "int": np.arange(50),
}
IMAGES: dict[str, tuple[Any, str]] = {
    "chw": (torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(1)), "CHW"),
    "hwc8": (_random.integers(0, 256, (16, 24, 3), dtype=np.uint8), "HWC"),
    "hw": (_random.random((9, 7)), "HW"),
    "grey": (_random.random((1, 9, 7), dtype=np.float32) * 2 - 0.5, "CHW"),
}
BATCH = torch.rand(11, 3, 6, 5, generator=torch.Generator().manual_seed(2))
CURVE = (_random.integers(0, 2, 300), _random.random(300))


def write(writer: Any) -> None:
    """Write one of everything that both have."""
    for step in range(20):
        writer.add_scalar("train/loss", 1 / (step + 1), step)
        writer.add_scalar("train/tensor", torch.tensor([step / 3]), torch.tensor(step))
        writer.add_scalar("train/array", np.float32(step), np.int64(step), walltime=1e9 + step)
    writer.add_scalar("nan", float("nan"), 3)
    writer.add_scalars("both", {"a": 1.0, "b": 2.0}, 5)
    for name, values in VALUES.items():
        writer.add_histogram(f"values/{name}", values, 2)
    for bins in ("auto", "fd", 10):
        writer.add_histogram(f"bins/{bins}", VALUES["normal"], 4, bins=bins)
    counts, limits = np.histogram(VALUES["normal"], bins=25)
    writer.add_histogram_raw(
        "raw",
        min=VALUES["normal"].min(),
        max=VALUES["normal"].max(),
        num=len(VALUES["normal"]),
        sum=VALUES["normal"].sum(),
        sum_squares=VALUES["normal"].dot(VALUES["normal"]),
        bucket_limits=limits[1:].tolist(),
        bucket_counts=counts.tolist(),
        global_step=6,
    )
    for name, (image, layout) in IMAGES.items():
        writer.add_image(f"image/{name}", image, 1, dataformats=layout)
    writer.add_images("images", BATCH, 1)
    writer.add_text("note", "**lr** was halved", 8)
    writer.add_pr_curve("curve", *CURVE, 9)
    writer.add_pr_curve("weighted", *CURVE, 9, num_thresholds=20, weights=CURVE[1])
    writer.add_hparams({"lr": 0.1, "bsize": 4, "opt": "sgd", "amp": True}, {"hparam/acc": 0.5})
    writer.flush()
    writer.close()
