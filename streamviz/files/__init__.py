"""Runs in the files of other programs: what reads them into rows and items, and what writes them.

Law: nothing here knows sockets or servers; what a file holds that cannot be used is counted by
reason, with the place where it was first found, and the rest is read.
"""
