"""The walk through what outsiders rely on, line by line: on one process, and on a cluster of real parts.

The files are walked in the order of their names on one world after the other: the first ones count what is there, and
the last one shuts the door. A package, so that a world ends with it.
"""
