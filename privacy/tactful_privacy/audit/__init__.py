"""The audit: does an attack get more than the theory allows, and what leaves a device at all."""
