"""The one door through which time comes in.

Law: nothing else in the package reads a clock; what needs the time is handed it, or imports it
from here.
"""

from __future__ import annotations

from time import monotonic as monotonic_time
from time import thread_time as worked_time
from time import time as wall_time

__all__ = ["monotonic_time", "wall_time", "worked_time"]
