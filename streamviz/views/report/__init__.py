"""A whole run as one page in one file, for whoever has no server: charts, pictures, texts.

Law: the file asks nobody for anything; names and texts in it are text; it is bounded, and what was
thinned out or left off is said on it.
"""

from __future__ import annotations

from streamviz.views.report.page import Report, report_of

__all__ = ["Report", "report_of"]
