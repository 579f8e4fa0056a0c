"""The live view of distributed PyTorch training.

``Publisher`` is all that a training loop needs; the server is ``streamviz serve``.
"""

from __future__ import annotations

__version__ = "0.1.0"

from streamviz.publisher import Publisher

__all__ = ["Publisher", "__version__"]
