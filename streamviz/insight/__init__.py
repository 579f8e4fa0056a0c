"""What many ranks say together: pure functions over the store's arrays.

Law: nothing here remembers anything or knows where its arrays come from.
"""

from __future__ import annotations

from streamviz.insight.bands import Band, band
from streamviz.insight.outliers import outliers

__all__ = ["Band", "band", "outliers"]
