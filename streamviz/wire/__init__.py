"""What the two sides agree on: names, frames, their bytes, and how delivery is kept.

Law: nothing here reads a clock, a socket or a setting; the two sides meet in this room only.
"""
