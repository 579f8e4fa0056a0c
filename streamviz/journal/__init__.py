"""What survives a restart: the files of runs, who writes them, and reading them.

Law: what a commit returned from is on the disk; what cannot be read is named, never guessed.
"""
