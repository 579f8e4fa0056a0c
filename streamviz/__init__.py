"""The live view of distributed PyTorch training.

``Publisher`` is all that a training loop needs; the server is ``streamviz serve``, and ``show``
puts its page into a notebook.
"""

from __future__ import annotations

__version__ = "0.1.0"

from typing import TYPE_CHECKING

from streamviz.publisher import Publisher

if TYPE_CHECKING:
    from streamviz.integrations.tensorboard import SummaryWriter
    from streamviz.notebook import show

__all__ = ["Publisher", "SummaryWriter", "__version__", "show"]


def __getattr__(name: str) -> object:
    """Import what a training does not need when it is first asked for."""
    if name == "show":
        from streamviz.notebook import show

        return show
    if name == "SummaryWriter":
        from streamviz.integrations.tensorboard import SummaryWriter

        return SummaryWriter
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
