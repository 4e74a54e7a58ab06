"""Faults that can be planted in a rehearsed federation, each in the product's own code path."""

from tactful_lab.audit.faults.catalogue import planted_faults

__all__ = ["planted_faults"]
