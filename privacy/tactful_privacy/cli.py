"""`tactful audit`: four questions about a deployment, a command each.

What leaves a device (``wire``), what it has cost each device (``budget``, ``epsilon``), whether an attack gets more
than the theory allows (``run``, ``bound``, ``faults``, ``attacks``), and whether the history changed (``ledger``).
Commands that look at a device come from the room which holds devices, by entry point, since this package imports no
other room.
"""

from importlib.metadata import entry_points

import typer

from tactful_privacy.commands import bound, calibrate, epsilon, faults, ledger, report, run

app = typer.Typer(
    pretty_exceptions_show_locals=False,
    no_args_is_help=True,
    help="Check the privacy claim: what leaves, what it costs, what an attack gets, whether the history changed.",
)
app.command()(ledger.ledger)
app.command()(epsilon.epsilon)
app.command()(calibrate.calibrate)
app.command()(bound.bound)
app.command()(run.run)
app.command()(faults.faults)
app.command()(report.report)


def _add_commands_of_other_rooms() -> None:
    for entry in entry_points(group="tactful.audit_commands"):
        entry.load()(app)


_add_commands_of_other_rooms()
