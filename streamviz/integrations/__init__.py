"""One file a framework: whose hooks tell what, and what of it goes to the publisher.

Law: each file imports its framework and the publisher, nothing else; none of them is imported
unless a training asks for it, and none takes part in a collective.
"""
