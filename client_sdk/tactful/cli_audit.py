"""The commands of `tactful audit` that look at a device: what it has spent, and what leaves it."""

import typer

from tactful._audit_budget import budget
from tactful._audit_wire import wire


def add_commands(app: typer.Typer) -> None:
    """Add this room's commands to `tactful audit`."""
    app.command()(budget)
    app.command()(wire)
