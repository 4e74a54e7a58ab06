"""Mechanisms: clipping, the integer grid, and exact discrete Gaussian noise from the operating system's entropy.

Import the modules themselves (``from tactful_privacy.mechanisms import grid``); this file stays free of numpy so that a
caller which only prices a round does not pay for it.
"""
