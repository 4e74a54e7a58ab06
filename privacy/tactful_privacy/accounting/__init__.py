"""Accounting: mechanism events, four accountants, the device's filter, and calibration in every direction.

What a device needs is pure Python: zCDP, filter, calibration, exact Gaussians, conversions. `rdp` and `pld` load
dp_accounting when they meet a sampled event, through `dp_library` alone.
"""
