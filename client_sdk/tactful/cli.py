"""The command ``tactful``: finds each room's sub-commands by their entry points, and loads only the one that is called.

Exit codes: 0 done, 1 the thing checked does not hold, 2 wrong use or bad input, said in one line with the remedy.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any

GROUP = "tactful.commands"
_EXTRA_OF = {"audit": "audit", "demo": "lab", "device": "cli", "lab": "lab", "server": "server"}
_ABOUT = {
    "audit": "check the privacy claim: ledgers, epsilon, calibration",
    "demo": "the whole idea on real households, in minutes",
    "device": "show, export or erase what a vault holds of a person",
    "lab": "rehearse on real data",
    "server": "read a server's models, rounds and ledger",
}


def commands() -> dict[str, EntryPoint]:
    """Return the sub-commands that are installed, by name, without loading any."""
    return {entry.name: entry for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name)}


def usage() -> str:
    """Return what ``tactful --help`` prints."""
    lines = [f"  {name:<8} {_ABOUT.get(name, '')}".rstrip() for name in commands()]
    return "\n".join(["Usage: tactful COMMAND …", "", "Commands:", *lines, "", "tactful COMMAND --help says more."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; the script's entry."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        return _say(usage(), 0 if given else 2)
    if given[0] == "--version":
        return _say(f"tactful {version('tactful')}", 0)
    entry = commands().get(given[0])
    if entry is None:
        return _say(f"no command {given[0]!r}; use one of {', '.join(commands())}", 2)
    try:
        run = _runner(entry)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tactful"):
            raise
        extra = _EXTRA_OF.get(entry.name, "all")
        return _say(f"tactful {entry.name} needs {error.name}: pip install 'tactful[{extra}]'", 2)
    return run(given[1:])


def _runner(entry: EntryPoint) -> Callable[[list[str]], int]:
    import click
    import typer

    loaded: Any = entry.load()
    if not isinstance(loaded, typer.Typer):
        single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
        single.command()(loaded)
        loaded = single
    program = typer.main.get_command(loaded)

    def run(arguments: list[str]) -> int:
        try:
            code = program.main(arguments, prog_name=f"tactful {entry.name}", standalone_mode=False)
        except click.ClickException as error:
            said = error.format_message().rstrip(".")  # empty where click printed its help instead
            where = (
                error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else f"tactful {entry.name}"
            )
            return _say(f"{where}: {said}; see {where} --help", 2) if said else 2
        except click.Abort:
            return _say(f"tactful {entry.name}: stopped", 1)
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        return code if isinstance(code, int) else 0

    return run


def _say(text: str, code: int) -> int:
    stream = sys.stderr if code else sys.stdout
    stream.write(text + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
