"""The commands of `tactful audit` that look at a device: what it has spent, and what leaves it."""

import typer


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to `tactful audit`."""
