"""Measured figures: each suite writes ``results/<suite>.json``, and the pages are filled from these files alone."""
