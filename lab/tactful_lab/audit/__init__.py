"""Audits of a rehearsed federation: canaries, planted faults and attacks."""
