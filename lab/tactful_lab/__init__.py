"""Rehearsal: shopping data, baselines, the slot task, and the demonstration."""
