"""A laboratory that asks the running kernel which way packets take through a ruleset.

It makes a host of the interfaces, addresses and routes that a case names, loads the case's rules, sends packets and reads
from the kernel's own trace which rules they met and from the wire what became of them. It needs root.
"""


class LabError(Exception):
    """The laboratory could not put its question; that says nothing about the rules."""
