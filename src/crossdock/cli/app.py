"""The `crossdock` program: which commands there are, and how it ends.

A command is imported when it is called, so that `crossdock --help` stays fast.
Data goes to standard output, talk to standard error. Exit codes: 0 ok, 1 failure, 2 usage, 3 not found,
4 not allowed, 5 conflict, 6 partly done. Errors follow the error contract; a trace is shown only with `--debug`.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from crossdock import __version__
from crossdock.error_codes import as_problem
from crossdock.errors import AccessDenied, Conflict, CrossdockError, NotFound

EXIT_FAILURE = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_NOT_ALLOWED = 4
EXIT_CONFLICT = 5
EXIT_PARTLY = 6


class CommandEntry(NamedTuple):
    """Where a command lives. The module offers `app` when it is a group, else a function `command`."""

    module: str
    help: str
    panel: str
    group: bool = False


_RUN, _ASK, _MAKE, _CHECK = "Run", "Look", "Build", "Check"
COMMANDS: dict[str, CommandEntry] = {
    "demo": CommandEntry(
        "crossdock.cli.demo", "Play the Northgate day: a distributor's day of orders, with faults.", _RUN
    ),
    "up": CommandEntry("crossdock.cli.up", "Start the hub: doors, console, portal and workers.", _RUN),
    "find": CommandEntry("crossdock.cli.find", "Find anything by any identifier.", _ASK),
    "trace": CommandEntry("crossdock.cli.trace", "Show the whole story of an order or message.", _ASK),
    "replay": CommandEntry("crossdock.cli.replay", "Run a message, or all of an issue, again.", _ASK),
    "outage": CommandEntry("crossdock.cli.outage", "Declare, end and list outages of partners.", _RUN, group=True),
    "issues": CommandEntry("crossdock.cli.issues", "List, show, assign and give back issues.", _ASK, group=True),
    "cases": CommandEntry(
        "crossdock.cli.cases", "List cases at the desk; try rules for them on history.", _ASK, group=True
    ),
    "contracts": CommandEntry(
        "crossdock.cli.contracts", "What partners owe and by when; proposals from history.", _ASK, group=True
    ),
    "impact": CommandEntry("crossdock.cli.impact", "Show what hangs on a partner, map or certificate.", _ASK),
    "shapes": CommandEntry(
        "crossdock.cli.shapes", "Show which partner changed its documents; approve or refuse.", _ASK, group=True
    ),
    "dead": CommandEntry(
        "crossdock.cli.dead", "List, show, amend, requeue and discard dead letters.", _ASK, group=True
    ),
    "replays": CommandEntry(
        "crossdock.cli.replays", "Plan, start and steer a replay of many messages.", _ASK, group=True
    ),
    "route": CommandEntry(
        "crossdock.cli.route", "Try sourcing rules on one order, or on the orders of the past.", _MAKE, group=True
    ),
    "reconcile": CommandEntry(
        "crossdock.cli.reconcile",
        "Compare the record with partners' books; sign off; verify reports.",
        _ASK,
        group=True,
    ),
    "explain": CommandEntry("crossdock.cli.explain", "Explain an error code: what, why, how to fix.", _ASK),
    "map": CommandEntry("crossdock.cli.map", "Test, lint and explain maps.", _MAKE, group=True),
    "edi": CommandEntry("crossdock.cli.edi", "Read, check and acknowledge EDI files.", _MAKE, group=True),
    "plan": CommandEntry("crossdock.cli.plan", "Show what applying a pack would change.", _MAKE),
    "apply": CommandEntry("crossdock.cli.apply", "Apply a pack as a new release.", _MAKE),
    "key": CommandEntry("crossdock.cli.key", "Make, list and revoke API keys.", _RUN, group=True),
    "secret": CommandEntry("crossdock.cli.secret", "Store, list and remove secrets.", _RUN, group=True),
    "backup": CommandEntry("crossdock.cli.backup", "Copy the record while the hub runs, and check the copy.", _RUN),
    "restore": CommandEntry("crossdock.cli.restore", "Restore a backup; say what to ask of partners again.", _RUN),
    "reconcile-restore": CommandEntry(
        "crossdock.cli.reconcile_restore", "List what to ask of partners after a restore.", _RUN
    ),
    "retention": CommandEntry("crossdock.cli.retention", "Remove what the packs no longer keep.", _RUN, group=True),
    "doctor": CommandEntry("crossdock.cli.doctor", "Check this installation; each line is ok or says the fix.", _CHECK),
    "bench": CommandEntry("crossdock.cli.bench", "Measure this machine's limits and the hub's share of them.", _CHECK),
    "version": CommandEntry("crossdock.cli.version", "Print the version.", _CHECK),
}


class LazyGroup(TyperGroup):
    """The group of all commands: it lists them from the table and imports the one that is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            if importlib.util.find_spec(entry.module) is not None:
                self.add_command(TyperCommand(name, help=entry.help, rich_help_panel=entry.panel), name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the real command behind the name; a misspelled one is answered with the nearest."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and load_command(str(name)), rest


def load_command(name: str) -> Any:
    """Import the module of a command and return the command it offers."""
    entry = COMMANDS[name]
    module = importlib.import_module(entry.module)
    command: Any
    if entry.group:
        command = typer.main.get_group(module.app)
    else:
        single = typer.Typer(add_completion=False)
        single.command(name, help=module.command.__doc__ or entry.help)(module.command)
        command = typer.main.get_command(single)
    command.name = name
    return command


app = typer.Typer(
    cls=LazyGroup,
    name="crossdock",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(wanted: bool) -> None:
    """Print the bare version and end, when asked for."""
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    config: Annotated[
        Path | None, typer.Option("--config", help="Settings file; otherwise CROSSDOCK_CONFIG or ./crossdock.toml.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the trace of an internal fault.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """The hub between ERP, warehouses, carriers, shops, portals and service desks."""
    if config is not None:
        os.environ["CROSSDOCK_CONFIG"] = str(config)
    sys.excepthook = show_trace if debug else report_internal_fault


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program and end the process with the right exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.excepthook = report_internal_fault
    try:
        typer.main.get_command(app).main(words, prog_name="crossdock")
    except CrossdockError as error:
        show_error(error, as_json="--json" in words)
        raise SystemExit(exit_code(error)) from None


def exit_code(error: CrossdockError) -> int:
    """Return the exit code that goes with an error."""
    if isinstance(error, NotFound):
        return EXIT_NOT_FOUND
    if isinstance(error, AccessDenied):
        return EXIT_NOT_ALLOWED
    return EXIT_CONFLICT if isinstance(error, Conflict) else EXIT_FAILURE


def show_error(error: CrossdockError, *, as_json: bool = False) -> None:
    """Show an error by the error contract: on standard error for people, on standard output for programs."""
    problem = as_problem(error)
    if as_json:
        typer.echo(json.dumps(problem, ensure_ascii=False, indent=2))
        return
    typer.echo(f"{problem['code']}  {problem['title']}", err=True)
    lines = [("What", problem["detail"])]
    lines += [
        ("", finding["message"]) for finding in problem.get("findings", [])[:20] if finding["message"] != str(error)
    ]
    lines += [("Where", problem["pointer"])] if "pointer" in problem else []
    lines += [("Why", problem["why"])]
    lines += [("Fix" if number == 1 else "", f"{number} {step}") for number, step in enumerate(problem["hint"], 1)]
    lines += [("Docs", f"crossdock explain {problem['code']}")]
    for label, text in lines:
        typer.echo(f"{label:<6} {text}", err=True)


def report_internal_fault(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell about a defect of ours without a trace; where it happened goes along, so that a report is of use."""
    if issubclass(kind, KeyboardInterrupt):
        return
    frames = traceback.extract_tb(trace)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    fault = CrossdockError(
        f"{kind.__name__}: {error}"[:500],
        pointer=place,
        hint="Run the same command with --debug before the command's name to see the trace",
    )
    show_error(fault, as_json="--json" in sys.argv)


def show_trace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Show a defect of ours with its trace."""
    traceback.print_exception(kind, error, trace)
