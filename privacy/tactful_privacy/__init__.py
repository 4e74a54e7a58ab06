"""Mechanisms, secure aggregation, accounting and audit: what the privacy claim rests on."""
