"""The live view of distributed PyTorch training.

``Publisher`` is all that a training loop needs; ``init``, ``log`` and ``finish`` are the same for
hands used to wandb. The server is ``streamviz serve``, and ``show`` puts its page into a notebook.
"""

from __future__ import annotations

__version__ = "0.1.0"

from typing import TYPE_CHECKING

from streamviz.publisher import Publisher

if TYPE_CHECKING:
    from streamviz.integrations.media import Histogram, Image, Table
    from streamviz.integrations.run import Run
    from streamviz.integrations.session import alert, define_metric, finish, init, log, watch
    from streamviz.integrations.tensorboard import SummaryWriter
    from streamviz.notebook import show

    run: Run | None

__all__ = [
    "Histogram", "Image", "Publisher", "Run", "SummaryWriter", "Table", "__version__", "alert",
    "define_metric", "finish", "init", "log", "show", "watch",
]  # fmt: skip

_ELSEWHERE = {
    "show": "streamviz.notebook",
    "Histogram": "streamviz.integrations.media",
    "Image": "streamviz.integrations.media",
    "Table": "streamviz.integrations.media",
    "Run": "streamviz.integrations.run",
    "SummaryWriter": "streamviz.integrations.tensorboard",
    "alert": "streamviz.integrations.session",
    "define_metric": "streamviz.integrations.session",
    "finish": "streamviz.integrations.session",
    "init": "streamviz.integrations.session",
    "log": "streamviz.integrations.session",
    "watch": "streamviz.integrations.session",
}


def __getattr__(name: str) -> object:
    """Import what a training does not need when it is first asked for."""
    if name == "run":
        from streamviz.integrations.session import current

        return current()
    if name in _ELSEWHERE:
        from importlib import import_module

        return getattr(import_module(_ELSEWHERE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
