"""Which commands and options there are, with their help; no command is imported before it is chosen."""

from __future__ import annotations

import argparse
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from app import __version__

DESCRIPTION = """\
Trunkline without its window: a SIP server for phones, SIP trunks and external lines with a dial plan."""

EPILOG = """\
examples:
  python -m app serve                                run the server with this user's data folder
  python -m app export > office.json                 write the configuration down, without passwords
  python -m app import office.json --data /srv/sip   take it over into another data folder
  python -m app simulate --source user:100 --called 135550
  python -m app calls --limit 20

A running server takes a changed configuration within two seconds, without dropping a call.
Several servers can share a PostgreSQL database: --database postgresql://user:password@host/name, or the
environment variable TRUNKLINE_DATABASE_URL, which keeps the password out of the list of processes."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options of the chosen command; `options.run(options)` runs it. Exits with 2 and words when they are wrong."""
    parser = argparse.ArgumentParser(
        prog="trunkline-server",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"Trunkline {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True, metavar="COMMAND")
    for add in (_serve, _import, _export, _simulate, _calls):
        add(commands)
    options = parser.parse_args(arguments)
    if options.data is None:
        options.data = default_data_folder()
    if options.database:
        # The one way in which every part, the server included, learns of it.
        os.environ["TRUNKLINE_DATABASE_URL"] = options.database
    return options


def default_data_folder() -> Path:
    """Where this platform keeps a program's data for this user."""
    import platformdirs

    return platformdirs.user_data_path("trunkline", appauthor=False)


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _command(commands: Commands, name: str, words: str, description: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=words, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the data folder (default: this platform's folder for the user's data)"
    )
    parser.add_argument("--database", metavar="URL", help="a PostgreSQL database in place of the folder's own file")
    parser.set_defaults(run=_later(name))
    return parser


def _later(name: str) -> Callable[[argparse.Namespace], int]:
    def run(options: argparse.Namespace) -> int:
        module = importlib.import_module(f"app.command_line.{name}_command")
        return int(module.run(options))

    return run


def _serve(commands: Commands) -> None:
    parser = _command(
        commands,
        "serve",
        "run the server",
        """\
Run the server without a window. Once it is ready it prints one line of JSON:
  {"event": "ready", "sip": ["udp:127.0.0.1:5070", "tcp:127.0.0.1:5070"], "data": "/srv/sip"}
The log goes to standard error. SIGTERM, SIGINT and Ctrl+C end the calls in order; the exit code is 0 then.""",
    )
    parser.add_argument(
        "--sip", metavar="ADDRESS:PORT", help="listen here for UDP and TCP, whatever the system record says"
    )
    parser.add_argument(
        "--log-level",
        choices=("debug", "info", "warning", "error"),
        default="info",
        help="how much goes to the log (default: info)",
    )
    parser.add_argument(
        "--start-fresh",
        action="store_true",
        help="when the database is damaged: keep it aside under another name and begin a new one",
    )


def _import(commands: Commands) -> None:
    parser = _command(
        commands,
        "import",
        "take over a configuration",
        """\
Add the records of a document to the configuration; a record that is there already (by its id, a local user by its
number) is changed. All or nothing: every mistake is named on standard error, and the exit code is 2 then.
  {"sip_trunks": [{"server_address": "192.0.2.8"}], "analyze_called_numbers": [{"prefix": "13", ...}]}""",
    )
    parser.add_argument("file", metavar="FILE", help="a JSON document as `export` writes it, or - for standard input")
    parser.add_argument("--replace", action="store_true", help="put the document in the place of everything there is")


def _export(commands: Commands) -> None:
    parser = _command(
        commands,
        "export",
        "write the configuration",
        "Write the whole configuration as a JSON document to standard output.",
    )
    parser.add_argument("--with-secrets", action="store_true", help="with the passwords")


def _simulate(commands: Commands) -> None:
    parser = _command(
        commands,
        "simulate",
        "say where a call would go",
        """\
Say where a call would go, and why: the decision, each step to it, the targets in order and the INVITE of each.
No call is made and no server is needed.""",
    )
    parser.add_argument(
        "--source",
        required=True,
        metavar="SOURCE",
        help="who calls: trunk:1, line:1, user:100 or address:192.0.2.1:5060",
    )
    parser.add_argument("--called", required=True, metavar="N", help="the number that is dialled")
    parser.add_argument("--caller", default="", metavar="N", help="the caller's number (default: a user's own number)")
    parser.add_argument(
        "--at",
        default="",
        metavar="TIME",
        help="the local time, for the business hours: '2026-11-23 22:00', 'Mon 22:00' or 22:00 (default: now)",
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def _calls(commands: Commands) -> None:
    parser = _command(
        commands,
        "calls",
        "list call records",
        "List the records of calls that have ended, newest first.",
    )
    parser.add_argument(
        "--json", action="store_true", help="as a JSON array with everything that is known of each call"
    )
    parser.add_argument("--limit", type=_limit, metavar="N", help="at most N calls (default: 100, all with --json)")


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10**9:
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)
