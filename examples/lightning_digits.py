"""Train on handwritten digits with Lightning, and see every rank, not only the first.

::

    pip install lightning
    streamviz serve --open
    python examples/lightning_digits.py

Lightning starts two processes of this script, on the CPU; the digits come with scikit-learn. Less
than a minute.

Look at ``rank/loss``, which the callback takes from every rank at every step, beside
``train/loss``, which Lightning hands to its loggers at every tenth. The Workers and the System tab
show the phases of a step, which the callback times. Checkpoints are diamonds on the charts.
"""

from __future__ import annotations

import argparse

import lightning
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from streamviz.integrations.lightning import StreamvizCallback, StreamvizLogger

BATCH = 32


class Digits(lightning.LightningModule):
    """A small convolutional network."""

    def __init__(self, lr: float = 2e-3, width: int = 32) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.model = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(2 * width * 4 * 4, 10),
        )

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Return the loss of this rank's batch."""
        images, labels = batch
        loss = nn.functional.cross_entropy(self.model(images), labels)
        # Each rank's own value. With sync_dist=True it would be the mean over ranks, on all alike.
        self.log("train/loss", loss)
        if batch_idx % 10 == 0 and self.trainer.is_global_zero:
            # One rank may log what others do not: nothing here waits for them.
            self.log("train/brightness", images.mean(), rank_zero_only=True)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:  # noqa: ARG002
        """Score this rank's share of the images that were held out."""
        images, labels = batch
        right = self.model(images).argmax(1) == labels
        self.log("validation/accuracy", right.float().mean(), batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the optimizer."""
        return torch.optim.AdamW(self.parameters(), lr=self.lr)


def main() -> None:
    """Train for some epochs."""
    parser = argparse.ArgumentParser(description="Train on scikit-learn's digits with Lightning.")
    parser.add_argument("--epochs", type=int, default=20, help="default: 20")
    parser.add_argument("--devices", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--save-dir", default="streamviz-logs", help="where checkpoints go")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the ranks share this machine's cores

    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    dataset = TensorDataset(images, torch.tensor(digits.target))
    seed = torch.Generator().manual_seed(0)
    train, held_out = random_split(dataset, [0.8, 0.2], generator=seed)

    trainer = lightning.Trainer(
        accelerator="cpu",
        devices=arguments.devices,
        strategy="ddp" if arguments.devices > 1 else "auto",
        max_epochs=arguments.epochs,
        log_every_n_steps=10,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=StreamvizLogger("lightning-digits", save_dir=arguments.save_dir, log_graph=True),
        callbacks=[
            StreamvizCallback(),
            ModelCheckpoint(monitor="validation/accuracy", mode="max", filename="best"),
        ],
    )
    trainer.fit(
        Digits(),
        DataLoader(train, BATCH, shuffle=True, drop_last=True),
        DataLoader(held_out, 128),
    )


if __name__ == "__main__":
    main()
