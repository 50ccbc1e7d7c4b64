"""The command line as other programs drive it: documents, exit codes, words on standard error."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.call_records import T0, call_record
from support.ports import LoopbackNetwork

from app import __version__
from app.__main__ import main
from app.command_line.arguments import default_data_folder
from app.command_line.output import table
from app.command_line.serve_command import keep_damaged_database_aside, read_sip_address, stop_signals
from app.errors import RecordErrors
from app.events import Attempt
from app.logging_setup import LineFormatter
from app.storage.database import FILE_NAME, Database

ROOT = Path(__file__).resolve().parents[2]


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def no_database_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_DATABASE_URL", "")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`run("import", "-", stdin=...)` in this process, with `--data`."""

    def run_it(*arguments: str, stdin: object = None) -> Result:
        if stdin is not None:
            content = stdin if isinstance(stdin, bytes) else json.dumps(stdin).encode()
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        code = main([*arguments, "--data", str(data)])
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run_it


Run = Callable[..., Result]
TRUNK = {"server_address": "192.0.2.8"}
# Windows has no signal that asks one program to end, but Ctrl+C and Ctrl+Break for all of a group, and the first of
# them only for the group of the console: each server gets a group of its own and is asked by the second.
if sys.platform == "win32":
    ENDINGS, GROUP = [signal.CTRL_BREAK_EVENT], subprocess.CREATE_NEW_PROCESS_GROUP
else:
    ENDINGS, GROUP = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], 0
DIALPLAN = {
    "sip_trunks": [TRUNK],
    "analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 1}],
}


# --- import and export ------------------------------------------------------------------------------------------------


def test_an_export_of_a_new_folder_is_the_first_configuration(run: Run) -> None:
    result = run("export")
    assert result.code == 0
    assert [user["number"] for user in result.json["local_users"]] == ["100", "101", "102"]
    assert "password" not in result.json["local_users"][0]
    assert "a new one was made" in result.err
    again = run("export", "--with-secrets")
    assert again.err == ""
    assert all(user["password"] for user in again.json["local_users"])


def test_an_import_into_a_new_folder_makes_the_database(run: Run, data: Path) -> None:
    result = run("import", "-", stdin=DIALPLAN)
    assert result.code == 0
    assert "2 added" in result.out
    assert (data / FILE_NAME).exists()
    document = run("export").json
    assert document["sip_trunks"][0]["server_address"] == "192.0.2.8"
    assert document["sip_trunks"][0]["id"] == 1
    assert len(document["local_users"]) == 3, "what the document does not name stays"


def test_an_export_goes_in_again_and_changes_nothing(run: Run, tmp_path: Path) -> None:
    run("import", "-", stdin=DIALPLAN)
    secrets = run("export", "--with-secrets").out
    for options in ((), ("--with-secrets",)):
        file = tmp_path / "document.json"
        file.write_text(run("export", *options).out, encoding="utf-8")
        for replace in ((), ("--replace",)):
            result = run("import", str(file), *replace)
            assert result.code == 0
            assert "Nothing differs. The configuration is now version 2." in result.out
            assert run("export", "--with-secrets").out == secrets


def test_replace_puts_the_document_in_the_place_of_everything(run: Run) -> None:
    run("import", "-", stdin=DIALPLAN)
    result = run("import", "-", "--replace", stdin={"local_users": [{"number": "7", "password": "x"}]})
    assert result.code == 0
    document = run("export").json
    assert [user["number"] for user in document["local_users"]] == ["7"]
    assert document["sip_trunks"] == []


def test_every_mistake_is_named_and_nothing_is_taken(run: Run) -> None:
    before = run("export", "--with-secrets").out
    result = run(
        "import",
        "-",
        stdin={
            "sip_trunks": [{"server_address": "192.0.2.8", "server_port": 0}, {"server_adress": "x"}],
            "local_users": [{"number": "200"}, {"number": "200"}],
            "sip_trunk": [],
        },
    )
    assert result.code == 2
    assert result.out == ""
    assert result.err.splitlines() == [
        "sip_trunk: unknown table (did you mean sip_trunks?)",
        "sip_trunks[0].server_port: must be 1 to 65535",
        "sip_trunks[1].server_address: is required",
        "sip_trunks[1].server_adress: unknown field (did you mean server_address?)",
        "local_users[1].number: 200 is already local user 4",
    ]
    assert run("export", "--with-secrets").out == before


def test_what_cannot_work_but_is_taken_is_no_error(run: Run) -> None:
    """A target that does not exist (yet) and a circle of next trunks: an export must always be readable again."""
    circle = [{"id": 1, **TRUNK, "next_trunk_id": 2}, {"id": 2, "server_address": "192.0.2.9", "next_trunk_id": 1}]
    route = {"prefix": "13", "route_type": "sip_trunk", "target_id": 9}
    result = run("import", "-", stdin={"sip_trunks": circle, "analyze_called_numbers": [route]})
    assert result.code == 0
    lines = result.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("warning: ") for line in lines), lines


def test_a_mistake_is_one_line_whatever_the_document_holds(run: Run) -> None:
    result = run(
        "import",
        "-",
        stdin={
            "sip_trunks": [{**TRUNK, "unified_caller_number": "1\r\n2"}],
            "a\nb": [],
            "local_users": [{"\x1b[2J": 1}],
        },
    )
    assert result.code == 2
    assert result.err.splitlines() == [
        "a?b: unknown table",
        "local_users[0].number: is required",
        "local_users[0].?[2J: unknown field",
        "sip_trunks[0].unified_caller_number: '1??2' may hold only digits, letters and + * # . _ -",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"sip_trunks": [\n  {"id": 1,}]}', "standard input, line 2, column 12: "),
        (b"", "standard input is empty"),
        (b"  \n", "standard input is empty"),
        (b"[]", "the document must be one JSON object"),
        (b'{"system": {}, "system": {}}', 'standard input: "system" is given twice in one object'),
        (b'{"sip_trunks": [{"id": NaN}]}', "NaN is not a number"),
        (b'{"description": "\xff\xfe\xfd"}', "is not a text in UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"sip_trunks": [{"id": ' + b"9" * 5000 + b"}]}", "standard input: "),
        (b'{"sip_trunks": [{"server_address": "a", "id": 99999999999}]}', "sip_trunks[0].id: must be 1 to 2147483647"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(run: Run, content: bytes, words: str) -> None:
    result = run("import", "-", stdin=content)
    assert result.code == 2
    assert words in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_document_may_come_from_windows_tools(run: Run, encoding: str) -> None:
    text = '{"local_users": [{"number": "100", "display_name": "Süd"}]}'
    assert run("import", "-", stdin=text.encode(encoding)).code == 0
    assert run("export").json["local_users"][0]["display_name"] == "Süd"


def test_a_file_that_is_not_there_is_named(run: Run, data: Path) -> None:
    result = run("import", "missing.json")
    assert result.code == 2
    assert result.err == "missing.json cannot be read: No such file or directory\n"
    assert not data.exists(), "and nothing was made for it"


def test_what_cannot_work_is_a_warning(run: Run) -> None:
    result = run(
        "import", "-", stdin={"analyze_called_numbers": [{"prefix": "13", "route_type": "sip_trunk", "target_id": 5}]}
    )
    assert result.code == 0
    assert "analyze_called_numbers 1, target_id: " in result.err


def test_thousands_of_warnings_are_cut_short(run: Run) -> None:
    records = [{"prefix": f"1{number}", "route_type": "sip_trunk", "target_id": 5} for number in range(80)]
    result = run("import", "-", stdin={"analyze_called_numbers": records})
    assert result.code == 0
    assert len(result.err.splitlines()) == 51
    assert re.search(r"and \d\d more of this kind", result.err)


# --- simulate ---------------------------------------------------------------------------------------------------------


def test_the_classic_example(run: Run) -> None:
    """Prefix 13 leads to trunk 1: 135550 goes out as it was dialled."""
    run("import", "-", stdin=DIALPLAN)
    result = run("simulate", "--source", "user:100", "--called", "135550", "--json")
    assert result.code == 0
    value = result.json
    assert value["decision"] == "dial"
    assert [target["name"] for target in value["targets"]] == ["trunk:1"]
    assert value["targets"][0]["caller_number"] == "100", "a user's own number"
    assert value["targets"][0]["called_number"] == "135550"
    assert value["targets"][0]["invite"].startswith("INVITE sip:135550@192.0.2.8:5060 SIP/2.0\r\n")
    assert any("13" in step for step in value["trail"])
    words = run("simulate", "--source", "user:100", "--called", "135550", "--caller", "4930").out
    assert words.startswith("Decision: dial trunk:1\n")
    assert "  INVITE sip:135550@192.0.2.8:5060 SIP/2.0\n" in words


def test_the_time_of_a_call_may_be_another_one(run: Run) -> None:
    record = {**DIALPLAN["analyze_called_numbers"][0], "call_level_outside_hours": 9}
    hours = {"business_hours": "Mon-Fri 08:00-18:00"}
    run("import", "-", stdin={**DIALPLAN, "analyze_called_numbers": [record], "system": hours})
    asked = ("simulate", "--source", "user:100", "--called", "135550")
    assert run(*asked, "--at", "2026-11-23 10:00").out.startswith("Decision: dial trunk:1\n")
    refused = run(*asked, "--at", "2026-11-23 22:00").out
    assert refused.startswith("Decision: reject with 403 Forbidden: user:100 may not call numbers of call level 9\n")
    assert "it is Mon 22:00, outside the business hours (Mon-Fri 08:00-18:00)" in refused
    wrong = run(*asked, "--at", "soon")
    assert (wrong.code, wrong.err) == (
        2,
        "--at: 'soon' is not a time: write 2026-11-23 22:00, Mon 22:00 or 22:00\n",
    )


def test_a_refusal_is_an_answer_and_no_error(run: Run) -> None:
    result = run("simulate", "--source", "address:192.0.2.99:5060", "--called", "100", "--json")
    assert result.code == 0
    assert result.json["decision"] == "reject"
    assert result.json["status"] == 403
    assert result.json["targets"] == []
    words = run("simulate", "--source", "address:192.0.2.99:5060", "--called", "100").out
    assert words.startswith("Decision: reject with 403 ")


@pytest.mark.parametrize("source", ["trunk", "trunk:x", "nobody:1", ""])
def test_a_source_that_is_none_is_refused(run: Run, source: str) -> None:
    result = run("simulate", "--source", source, "--called", "1")
    assert result.code == 2
    assert result.err.startswith("--source: ")
    assert "trunk:1" in result.err


# --- calls ------------------------------------------------------------------------------------------------------------


def _write_calls(data: Path, count: int = 3, **values: Any) -> None:
    database = Database.open(data)
    database.write_calls(
        [],
        [
            call_record(
                T0 + number,
                **{
                    "id": f"{number:04}",
                    "answered": 0.0 if number % 2 else T0 + number + 2,
                    "ended": T0 + number + 70,
                    "status": 486 if number % 2 else 200,
                    "end_cause": "busy" if number % 2 else "normal",
                    "ended_by": "called",
                    "talk_seconds": 0.0 if number % 2 else 68.0,
                    "trail": ("called number: 13",),
                    "attempts": (Attempt("trunk:1", "135550", T0, 200, "200 OK"),),
                    **values,
                },
            )
            for number in range(count)
        ],
    )
    database.close()


def test_calls_as_json_are_newest_first(run: Run, data: Path) -> None:
    _write_calls(data)
    value = run("calls", "--json").json
    assert [each["id"] for each in value] == ["0002", "0001", "0000"]
    assert value[1]["answered"] is None
    assert value[0] == {
        "id": "0002",
        "node": "n",
        "started": "2023-11-14T22:13:22.000Z",
        "answered": "2023-11-14T22:13:24.000Z",
        "ended": "2023-11-14T22:14:32.000Z",
        "caller_number": "100",
        "called_number": "135550",
        "sent_number": "135550",
        "source": "user:100",
        "target": "trunk:1",
        "status": 200,
        "end_cause": "normal",
        "ended_by": "called",
        "talk_seconds": 68.0,
        "trail": ["called number: 13"],
        "attempts": [
            {
                "target": "trunk:1",
                "sent_number": "135550",
                "at": "2023-11-14T22:13:20.000Z",
                "status": 200,
                "reason": "200 OK",
            }
        ],
        "media": [],
    }
    assert [each["id"] for each in run("calls", "--json", "--limit", "2").json] == ["0002", "0001"]


def test_no_calls_are_an_empty_list(run: Run) -> None:
    assert run("calls", "--json").json == []
    assert run("calls").out == "No call has ended yet.\n"


def test_calls_as_a_table(run: Run, data: Path) -> None:
    _write_calls(data, 120)
    result = run("calls")
    lines = result.out.splitlines()
    assert len(lines) == 101
    assert "The newest 100 of 120 calls" in result.err
    assert " ".join(lines[0].split()) == "Started (UTC) From To Sent Source Target Status End By Talk"
    assert " ".join(lines[1].split()) == "2023-11-14 22:15:19 100 135550 135550 user:100 trunk:1 486 busy called"
    assert lines[2].endswith("normal  called  1:08")
    assert len(run("calls", "--limit", "110").out.splitlines()) == 111


def test_a_strangers_number_cannot_drive_the_terminal(run: Run, data: Path) -> None:
    _write_calls(data, 1, called_number="\x1b[2J\x9b31m\n1")
    out = run("calls").out
    assert "?[2J?31m?1" in out
    assert len(out.splitlines()) == 2
    assert "\x9b" not in run("calls", "--json").out


def test_json_of_many_calls_is_whole(run: Run, data: Path) -> None:
    _write_calls(data, 2500)
    assert [each["id"] for each in run("calls", "--json").json] == [f"{number:04}" for number in reversed(range(2500))]


# --- errors, help, streams --------------------------------------------------------------------------------------------


def test_a_damaged_database_is_refused_in_words(run: Run, data: Path) -> None:
    run("export")
    path = data / FILE_NAME
    path.write_bytes(b"\x00" * 5000)
    for command in (("export",), ("calls",), ("import", "-")):
        result = run(*command, stdin={})
        assert result.code == 1
        assert "is damaged" in result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("nonsense",),
        ("simulate", "--called", "1"),
        ("calls", "--limit", "0"),
        ("calls", "--limit", "x"),
        ("import",),
    ],
)
def test_wrong_options_end_with_2(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: trunkline-server" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["serve", "import", "export", "simulate", "calls"])
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "-h"])
    assert caught.value.code == 0
    assert "--data DIR" in capsys.readouterr().out


def test_the_help_shows_examples_and_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("-h", "--version"):
        with pytest.raises(SystemExit) as caught:
            main([option])
        assert caught.value.code == 0
    out = capsys.readouterr().out
    assert "python -m app simulate --source user:100 --called 135550" in out
    assert f"Trunkline {__version__}" in out


def test_the_default_folder_is_this_users() -> None:
    assert default_data_folder().name == "trunkline"
    assert default_data_folder().is_absolute()


def _app(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "app", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        **options,
    )


def test_the_module_runs_and_the_output_is_utf_8_everywhere(run: Run, data: Path) -> None:
    run("import", "-", stdin={"local_users": [{"number": "100", "display_name": "Süd ☎"}]})
    done = _app("export", "--data", str(data), env={**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["local_users"][0]["display_name"] == "Süd ☎"
    assert done.stderr == ""


def test_a_reader_that_has_seen_enough_is_no_error(run: Run, data: Path) -> None:
    _write_calls(data, 5000)
    process = subprocess.Popen(
        [sys.executable, "-m", "app", "calls", "--json", "--data", str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline() == "[\n"
    process.stdout.close()
    assert process.wait(30) == 1
    assert process.stderr.read() == ""
    process.stderr.close()


def test_commands_that_need_no_server_do_not_load_it(data: Path) -> None:
    """Start-up time matters to a program that calls us for every question."""
    script = (
        "import sys; from app.__main__ import main; main(['export', '--data', sys.argv[1]]);"
        "print([name for name in sys.modules if name.startswith(('app.engine', 'app.sip', 'app.calls', 'app.media', "
        "'app.dialplan', 'uvloop', 'alembic', 'psycopg', 'dns', 'cryptography'))], file=sys.stderr)"
    )
    Database.open(data).close()
    done = subprocess.run(
        [sys.executable, "-c", script, str(data)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr.splitlines()[-1] == "[]"


# --- serve ------------------------------------------------------------------------------------------------------------


class Served:
    """`python -m app serve` until it is ready, or until it has ended."""

    def __init__(self, data: Path, sip: str, *options: str) -> None:
        with (data.parent / "log").open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "app", "serve", "--data", str(data), "--sip", sip, *options],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                creationflags=GROUP,
            )
        assert self.process.stdout is not None
        self._log = data.parent / "log"
        self.line = self.process.stdout.readline()

    def close(self) -> None:
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """The exit code, after a signal, and what went to standard error."""
        if number is not None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(20)
        finally:
            self.close()
        return code, self._log.read_text(encoding="utf-8")


@pytest.fixture
def serve(
    run: Run, data: Path, network: LoopbackNetwork, request: pytest.FixtureRequest
) -> Iterator[Callable[..., Served]]:
    """Starts servers on an address of the test's own, without TLS, whose port is not on the command line."""
    run("import", "-", stdin={"system": {"sip_tls_port": 0, "media_processes": 0}})
    if sys.platform != "win32":
        # Where nohup runs the tests, its servers would outlive the terminal, too.
        request.addfinalizer(partial(signal.signal, signal.SIGHUP, signal.signal(signal.SIGHUP, signal.SIG_DFL)))
    started: list[Served] = []

    def start(*options: str, folder: Path = data, host: int = 1) -> Served:
        started.append(Served(folder, f"{network.address(host)}:5060", *options))
        return started[-1]

    yield start
    for each in started:
        each.close()


@pytest.mark.wire
@pytest.mark.parametrize("number", ENDINGS)
def test_serve_says_when_it_is_ready_and_ends_in_order(
    serve: Callable[..., Served], data: Path, network: LoopbackNetwork, number: signal.Signals
) -> None:
    server = serve()
    sip = f"{network.address(1)}:5060"
    assert json.loads(server.line) == {"event": "ready", "sip": [f"udp:{sip}", f"tcp:{sip}"], "data": str(data)}
    code, log = server.end(number)
    assert code == 0
    assert not re.search("WARNING|ERROR|Traceback|Exception", log), log
    assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z INFO app", log.splitlines()[-1])


@pytest.mark.skipif(sys.platform == "win32", reason="the end of a Windows console is no signal")
def test_a_server_that_was_started_by_nohup_outlives_its_terminal(request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    request.addfinalizer(lambda: signal.signal(signal.SIGHUP, before))
    assert signal.SIGHUP not in stop_signals()


@pytest.mark.wire
@pytest.mark.parametrize("number", ENDINGS)
def test_who_asks_again_and_again_gets_the_same_end(serve: Callable[..., Served], number: signal.Signals) -> None:
    server = serve()
    for _ in range(600):
        if server.process.poll() is not None:
            break
        # Windows says so when it has ended meanwhile.
        with contextlib.suppress(OSError):
            server.process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(0.03)
    code, log = server.end()
    assert code == 0, log
    assert "Traceback" not in log


@pytest.mark.wire
def test_a_second_server_on_the_same_folder_is_refused(serve: Callable[..., Served], run: Run, data: Path) -> None:
    first = serve()
    assert first.line
    second = serve(host=2)
    code, log = second.end()
    assert code == 1
    assert second.line == ""
    assert f"Trunkline already runs with the data folder {data} (process {first.process.pid})" in log
    assert "Traceback" not in log
    assert run("import", "-", stdin=DIALPLAN).code == 0, "the command line works meanwhile"
    assert run("calls", "--json").json == []
    assert first.end(ENDINGS[0])[0] == 0


@pytest.mark.wire
def test_a_port_in_use_is_told_in_words(serve: Callable[..., Served], tmp_path: Path) -> None:
    assert serve().line
    other = tmp_path / "b" / "data"
    other.parent.mkdir()
    assert _app("import", "-", "--data", str(other), input='{"system": {"sip_tls_port": 0}}').returncode == 0
    code, log = serve(folder=other).end()
    assert code == 1
    assert "5060" in log
    assert "Traceback" not in log


@pytest.mark.wire
def test_a_damaged_database_is_kept_aside_only_when_the_user_says_so(
    serve: Callable[..., Served], run: Run, data: Path
) -> None:
    path = data / FILE_NAME
    path.write_bytes(path.read_bytes()[:5000])
    code, log = serve().end()
    assert code == 1
    assert "is damaged" in log
    assert "--start-fresh" in log
    assert path.stat().st_size == 5000
    server = serve("--start-fresh")
    assert json.loads(server.line)["event"] == "ready"
    code, log = server.end(ENDINGS[0])
    assert code == 0
    kept = next(data.glob("trunkline-damaged-*.sqlite3"))
    assert f"It is kept as {kept}; a new one begins." in log
    assert kept.stat().st_size == 5000


def test_a_database_that_holds_an_impossible_record_can_be_kept_aside(
    run: Run, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run("import", "-", stdin=DIALPLAN)
    with contextlib.closing(sqlite3.connect(data / FILE_NAME)) as connection, connection:
        connection.execute("UPDATE sip_trunks SET server_port = 99999")
    result = run("export")
    assert (result.code, "server_port: must be 1 to 65535" in result.err) == (1, True)
    keep_damaged_database_aside(data)
    assert "a new one begins" in capsys.readouterr().err
    assert run("export").json["sip_trunks"] == []
    assert len(list(data.glob("trunkline-damaged-*.sqlite3"))) == 1


@pytest.mark.wire
def test_start_fresh_leaves_a_sound_database_alone(serve: Callable[..., Served], run: Run, data: Path) -> None:
    before = run("export", "--with-secrets").out
    server = serve("--start-fresh")
    assert server.line
    assert server.end(ENDINGS[0])[0] == 0
    assert run("export", "--with-secrets").out == before
    assert not list(data.glob("*damaged*"))


# --- small parts ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("127.0.0.1:5070", ("127.0.0.1", 5070)),
        (" 0.0.0.0:1 ", ("0.0.0.0", 1)),
        ("[::1]:65535", ("::1", 65535)),
    ],
)
def test_sip_addresses(text: str, result: tuple[str, int]) -> None:
    assert read_sip_address(text) == result


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "5060",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "::1:5060",
        "host:5060",
        "127.0.0.1:5x",
        "300.0.0.1:5060",
        "[::1]",
    ],
)
def test_wrong_sip_addresses(text: str) -> None:
    with pytest.raises(RecordErrors, match=r"^--sip: "):
        read_sip_address(text)


def test_tables_are_aligned_and_harmless() -> None:
    assert table(("A", "Long head"), [("1\n2", "x"), ("longer", "")]) == "A       Long head\n1?2     x\nlonger"


def test_a_log_line_cannot_be_forged() -> None:
    record = logging.LogRecord("app.sip", logging.WARNING, __file__, 1, "from %s", ("a\r\nERROR b\x1b[2J",), None)
    record.created, record.msecs = T0 + 0.25, 250.0
    line = LineFormatter().format(record)
    assert line == "2023-11-14T22:13:20.250Z WARNING app.sip: from a\\r\\nERROR b\\x1b[2J"


def test_a_traceback_is_indented() -> None:
    try:
        raise ValueError("one\nERROR two")
    except ValueError:
        record = logging.LogRecord("app", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    lines = LineFormatter().format(record).splitlines()
    assert lines[0].endswith(" ERROR app: failed")
    assert all(line.startswith("  ") for line in lines[1:])
    assert "  ERROR two" in lines


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
@pytest.mark.parametrize("command", [["export"], ["calls"], ["calls", "--json"]], ids=" ".join)
def test_a_result_that_cannot_be_written_is_told_in_words(data: Path, command: list[str]) -> None:
    """Not a traceback, not a second complaint at the end of Python, and not the code of success."""
    _write_calls(data, 1)
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "app", *command, "--data", str(data)],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1] == "The result could not be written: No space left on device."
    assert "Traceback" not in ended.stderr


@pytest.mark.skipif(os.name != "posix", reason="a shell's way to close a stream")
def test_streams_that_were_closed_do_no_harm(data: Path) -> None:
    """As a service manager or a careless script may start it."""
    command = f"exec {sys.executable} -m app export --data {data} <&- >&- 2>&-"
    assert subprocess.run(["sh", "-c", command], cwd=ROOT, check=False).returncode == 0
    assert Database.open(data).load()[1] >= 1
