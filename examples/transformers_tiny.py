"""Train a tiny GPT-2 on the descriptions of scikit-learn's data sets, with Hugging Face's Trainer.

::

    pip install transformers accelerate
    streamviz serve --open
    torchrun --nproc-per-node 2 examples/transformers_tiny.py

The model is built from its configuration and the text comes with scikit-learn, so nothing is
downloaded. Less than a minute on two processors; also runs as one process.

Look at ``rank/loss``, the loss of each rank at each step, beside ``train/loss``, the mean over
ranks and ten steps that the trainer logs. Add ``--spoil-rank 1``: that rank's loss is NaN now and
then. The trainer leaves it out of what it logs; ``rank/loss`` shows it, and an alert names the
rank.
"""

from __future__ import annotations

import argparse
import itertools
import os
from pathlib import Path

import torch
from sklearn import datasets
from torch import nn
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments
from transformers.modeling_outputs import CausalLMOutputWithCrossAttentions

from streamviz.integrations.transformers import StreamvizCallback

LENGTH = 64
"""Characters of a sample."""
NAMES = ("breast_cancer", "diabetes", "digits", "iris", "linnerud", "wine")


class Descriptions(Dataset[dict[str, torch.Tensor]]):
    """What scikit-learn says of its data sets, as characters."""

    def __init__(self, start: float, stop: float) -> None:
        text = "".join(getattr(datasets, f"load_{name}")().DESCR for name in NAMES)
        codes = text.encode("ascii", "replace")
        self._codes = torch.tensor(list(codes[int(start * len(codes)) : int(stop * len(codes))]))

    def __len__(self) -> int:
        return len(self._codes) // LENGTH

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        part = self._codes[index * LENGTH : (index + 1) * LENGTH]
        return {"input_ids": part, "labels": part}


def spoil(model: nn.Module) -> None:
    """Let a model's loss be NaN at every twentieth step, as in a training that goes wrong."""
    steps = itertools.count(1)

    def spoiled(module: nn.Module, _: object, outputs: CausalLMOutputWithCrossAttentions) -> None:
        if module.training and next(steps) % 20 == 0 and outputs.loss is not None:
            # Zero times the loss keeps the gradients finite, so that the training goes on.
            outputs["loss"] = outputs.loss * 0 + torch.nan

    model.register_forward_hook(spoiled)


def main() -> None:
    """Train for some steps."""
    parser = argparse.ArgumentParser(description="Train a tiny GPT-2 on characters.")
    parser.add_argument("--steps", type=int, default=200, help="default: 200")
    parser.add_argument("--spoil-rank", type=int, help="a rank whose loss is NaN now and then")
    parser.add_argument("--output-dir", default="streamviz-logs/transformers-tiny")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the ranks share this machine's cores
    torch.manual_seed(0)

    config = GPT2Config(
        vocab_size=128, n_positions=LENGTH, n_embd=64, n_layer=2, n_head=2,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    if os.environ.get("RANK", "0") == str(arguments.spoil_rank):
        spoil(model)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(Path(arguments.output_dir)),
            run_name="transformers-tiny",
            max_steps=arguments.steps,
            per_device_train_batch_size=8,
            learning_rate=3e-3,
            logging_steps=10,
            eval_strategy="steps",
            eval_steps=max(arguments.steps // 4, 1),
            save_steps=max(arguments.steps // 2, 1),
            save_total_limit=1,
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
        ),
        train_dataset=Descriptions(0.0, 0.9),
        eval_dataset=Descriptions(0.9, 1.0),
        callbacks=[StreamvizCallback()],
    )
    trainer.train()
    trainer.evaluate()


if __name__ == "__main__":
    main()
