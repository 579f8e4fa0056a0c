"""What a model is and does: its structure, and statistics of its tensors by hooks.

Law: torch is never imported, only looked up; nothing here waits for a device, takes part in a
collective, or leaves a trace in a model that is copied or saved.
"""

from streamviz.publisher.model.histograms import bins_of
from streamviz.publisher.model.structure import structure_of
from streamviz.publisher.model.timings import timings_of
from streamviz.publisher.model.watch import LOGS, ModelWatch

__all__ = ["LOGS", "ModelWatch", "bins_of", "structure_of", "timings_of"]
