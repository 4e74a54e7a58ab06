"""Accounting: mechanism events, their price in zCDP, conversion to epsilon, the device's filter and calibration.

Pure Python: a device computes its own figures without numpy or scipy.
"""
