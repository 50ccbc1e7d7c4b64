"""Alarms reach people elsewhere: a real web server and a real (small) mail server take them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from email import message_from_string
from email.header import decode_header, make_header
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.waiting import wait_until

from app import alarm_delivery
from app.alarm_delivery import AlarmDelivery, Pauses
from app.engine import Engine
from app.events import Alarm, Severity
from app.records import Change, MailSecurity, System
from app.storage.database import Database

AT_ONCE = Pauses(gather=0.0, retries=(0.0, 0.0))
DOWN = Alarm.about("trunk_down", "Carrier (192.0.2.8:5060) does not answer", 1_700_000_000.0)
UP = Alarm.about("trunk_down", "Carrier (192.0.2.8:5060) answers again", 1_700_000_060.0, cleared=True)


class WebServer:
    """Keeps what is posted to it; answers with the statuses in `answers`, the last one for ever."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.answers = [200]
        self.tried = 0
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                outer.tried += 1
                if status == 200:
                    outer.posted.append(json.loads(body))
                self.send_response(status)
                if status in range(300, 400):
                    self.send_header("Location", outer.address)
                self.end_headers()

            def do_GET(self) -> None:
                outer.asked += 1
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}/hooks/t0ken"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class MailServer:
    """Speaks as much SMTP as is needed to take a mail."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.recipients: list[str] = []
        self.refuses = False
        self.farewell = "221 bye"
        outer = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

            def handle(self) -> None:
                self.say("220 mail.test")
                for raw in self.rfile:
                    line = raw.decode().strip()
                    word = line[:4].upper()
                    if word == "DATA":
                        self.say("354 go on")
                        lines: list[str] = []
                        while (text := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                            lines.append(text)
                        outer.mails.append("\n".join(lines))
                        self.say("250 taken")
                    elif word == "RCPT" and (outer.refuses or "gone@" in line):
                        self.say("550 nobody of that name")
                    elif word == "QUIT":
                        self.say(outer.farewell)
                        return
                    else:
                        if word == "RCPT":
                            outer.recipients.append(line)
                        self.say("250 fine")

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_address[1]

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = WebServer()
    yield server
    server.close()


@pytest.fixture
def mail() -> Iterator[MailServer]:
    server = MailServer()
    yield server
    server.close()


Start = Callable[..., AlarmDelivery]


@pytest.fixture
def told() -> list[str]:
    """What the delivery said of its own trouble."""
    return []


@pytest.fixture
def start(told: list[str], web: WebServer, mail: MailServer) -> Iterator[Start]:
    """`start(record, pauses)`: a delivery that is stopped at the end, before the servers."""
    started: list[AlarmDelivery] = []

    def start_it(system: System, pauses: Pauses = AT_ONCE) -> AlarmDelivery:
        delivery = AlarmDelivery(told.append, pauses)
        delivery.configure(system)
        started.append(delivery)
        return delivery

    yield start_it
    for each in started:
        each.stop()


def test_an_alarm_and_its_end_are_posted(start: Start, web: WebServer) -> None:
    delivery = start(System(alarm_webhook=web.address, domain="pbx.example.com"))
    delivery.take(DOWN)
    wait_until(lambda: len(web.posted) == 1, "the alarm")
    delivery.take(UP)
    wait_until(lambda: len(web.posted) == 2, "its end")
    assert web.posted[0] == {
        "text": "Trunkline on pbx.example.com: Carrier (192.0.2.8:5060) does not answer\n"
        "2023-11-14 22:13:20 UTC  error: Carrier (192.0.2.8:5060) does not answer",
        "server": "pbx.example.com",
        "alarms": [
            {
                "code": "trunk_down",
                "severity": "error",
                "cleared": False,
                "text": "Carrier (192.0.2.8:5060) does not answer",
                "at": "2023-11-14T22:13:20+00:00",
            }
        ],
    }
    assert web.posted[1]["alarms"][0]["cleared"]


def test_an_alarm_with_words_that_are_no_text_is_mailed(start: Start, mail: MailServer) -> None:
    """A provider's answer in Latin-1, or with something else in it that no mail can carry."""
    delivery = start(
        System(
            alarm_mail_to=("admin@example.com",),
            mail_server="127.0.0.1",
            mail_port=mail.port,
            mail_security=MailSecurity.NONE,
        )
    )
    delivery.take(
        Alarm.about("line_down", "is not registered: 403 Ung\udcfcltig\x1b[2J " + "x" * 60_000, 1_700_000_000.0)
    )
    wait_until(lambda: mail.mails, "the mail")
    assert "error: is not registered: 403 Ung ltig [2J xxx" in mail.mails[0].replace("=\r\n", "").replace("=\n", "")
    assert len(mail.mails[0]) < 2500


def test_an_alarm_is_mailed(start: Start, mail: MailServer) -> None:
    delivery = start(
        System(
            alarm_mail_to=("admin@example.com", "boss@example.com"),
            mail_server="127.0.0.1",
            mail_port=mail.port,
            mail_security=MailSecurity.NONE,
            domain="pbx.example.com",
        )
    )
    delivery.take(Alarm.about("line_down", "Leitung München:\r\nBcc: x@evil.example", 1_700_000_000.0))
    wait_until(lambda: mail.mails, "the mail")
    received = message_from_string(mail.mails[0])
    subject = str(make_header(decode_header(received["Subject"])))
    assert subject == "Trunkline on pbx.example.com: Leitung München: Bcc: x@evil.example"
    assert received["From"] == "admin@example.com"
    assert received["To"] == "admin@example.com, boss@example.com"
    assert received["Bcc"] is None
    assert received["Auto-Submitted"] == "auto-generated"
    assert len(mail.recipients) == 2


def test_alarms_that_come_together_make_one_message(start: Start, web: WebServer) -> None:
    delivery = start(System(alarm_webhook=web.address), Pauses(gather=600.0))
    for number in range(4):
        delivery.take(Alarm.about("trunk_down", f"trunk {number} is down", 1_700_000_000.0 + number))
    delivery.stop()
    assert len(web.posted) == 1
    assert [each["text"] for each in web.posted[0]["alarms"]] == [f"trunk {number} is down" for number in range(4)]
    assert "trunk 3 is down (and 3 others)" in web.posted[0]["text"]


def test_who_has_had_many_messages_gets_them_gathered_for_longer(start: Start, web: WebServer) -> None:
    delivery = start(System(alarm_webhook=web.address), Pauses(gather=0.0, many=2, gather_many=600.0))
    for number in (1, 2):
        delivery.take(DOWN)
        wait_until(lambda number=number: len(web.posted) == number, "a message")
    for _ in range(5):
        delivery.take(DOWN)
    assert len(web.posted) == 2
    delivery.stop()
    assert [len(each["alarms"]) for each in web.posted] == [1, 1, 5]


@pytest.mark.expects_log("alarms are not delivered: 127.0.0.1 answered 503")
def test_a_server_that_fails_is_tried_again_and_the_trouble_is_told_once(
    start: Start, web: WebServer, told: list[str]
) -> None:
    web.answers = [503, 503, 200]
    start(System(alarm_webhook=web.address)).take(DOWN)
    wait_until(lambda: len(told) == 2, "the end of the trouble")
    assert len(web.posted) == 1
    assert told[0].startswith("alarms are not delivered: 127.0.0.1 answered 503")
    assert told[1] == ""


@pytest.mark.expects_log("alarms are not delivered")
def test_what_cannot_be_delivered_is_given_up_and_the_next_is_tried(
    start: Start, web: WebServer, told: list[str]
) -> None:
    web.answers = [500, 500, 500, 200]
    delivery = start(System(alarm_webhook=web.address))
    delivery.take(DOWN)
    wait_until(lambda: web.tried == 3, "three attempts")
    delivery.take(UP)
    wait_until(lambda: web.posted, "the next")
    assert [alarm["cleared"] for alarm in web.posted[0]["alarms"]] == [True]
    assert "t0ken" not in " ".join(told), "an address may hold a secret"


@pytest.mark.expects_log("answered 550|recipients|nobody of that name")
def test_a_mail_server_that_refuses_is_named(start: Start, mail: MailServer, told: list[str]) -> None:
    mail.refuses = True
    start(
        System(
            alarm_mail_to=("admin@example.com",),
            mail_server="127.0.0.1",
            mail_port=mail.port,
            mail_security=MailSecurity.NONE,
        )
    ).take(DOWN)
    wait_until(lambda: told, "the trouble")
    assert "127.0.0.1" in told[0]
    assert "nobody of that name" in told[0]


@pytest.mark.expects_log("alarms are not delivered: 127.0.0.1: STARTTLS extension not supported")
def test_a_password_never_goes_to_a_server_without_encryption(start: Start, mail: MailServer, told: list[str]) -> None:
    start(
        System(
            alarm_mail_to=("admin@example.com",),
            mail_server="127.0.0.1",
            mail_port=mail.port,
            mail_user="admin",
            mail_password="secret",
        )
    ).take(DOWN)
    wait_until(lambda: told, "the trouble")
    assert mail.mails == []


def mailing(mail: MailServer, *recipients: str) -> System:
    return System(
        alarm_mail_to=recipients or ("admin@example.com",),
        mail_server="127.0.0.1",
        mail_port=mail.port,
        mail_security=MailSecurity.NONE,
    )


def test_a_mail_that_was_taken_is_not_sent_again_for_a_bad_farewell(start: Start, mail: MailServer) -> None:
    mail.farewell = "500 what?"
    delivery = start(mailing(mail))
    delivery.take(DOWN)
    delivery.stop()
    assert len(mail.mails) == 1


@pytest.mark.expects_log("127.0.0.1 refuses mail to gone@example.com")
def test_a_recipient_who_is_gone_costs_the_others_nothing(start: Start, mail: MailServer, told: list[str]) -> None:
    delivery = start(mailing(mail, "admin@example.com", "gone@example.com"))
    delivery.take(DOWN)
    delivery.stop()
    assert (len(mail.mails), told) == (1, [])


@pytest.mark.expects_log("alarms are not delivered: 127.0.0.1 answered 302 Found")
def test_an_alarm_is_not_delivered_by_asking_for_another_page(start: Start, web: WebServer, told: list[str]) -> None:
    web.answers = [302]
    start(System(alarm_webhook=web.address)).take(DOWN)
    wait_until(lambda: told, "the trouble")
    assert "302" in told[0]
    assert web.asked == 0


class Babbler:
    """Accepts connections, says the same to each, and leaves it at that."""

    def __init__(self, words: bytes) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    self.wfile.write(words)
                    self.rfile.read()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.port = self._server.server_address[1]

    close = WebServer.close


@pytest.mark.expects_log("alarms are not delivered")
@pytest.mark.parametrize(
    "words",
    [
        b"",
        b"\x00\xff\x1b[2J garbage \x85 without an end",
        b"\x00\xff\x1b[2J garbage \x85\r\n" * 3,
        b"220" + b"x" * 100_000 + b"\r\n",
        b"220-" + b"hello\r\n220-" * 10_000,
        b"HTTP/1.1 99999999999999999999 " + b"y" * 50_000 + b"\r\n\r\n",
        b"HTTP/1.1 500 " + "\u202eevil\u2028".encode() * 3000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Header: y\r\n" * 1000,
    ],
    ids=["silence", "no-line", "lines", "long-line", "many-lines", "long-status", "evil-words", "many-headers"],
)
def test_servers_that_hang_or_talk_nonsense_are_named_in_one_short_line(
    start: Start, told: list[str], monkeypatch: pytest.MonkeyPatch, words: bytes
) -> None:
    monkeypatch.setattr(alarm_delivery, "_TIMEOUT", 0.2)
    server = Babbler(words)
    try:
        mail = System(
            alarm_webhook=f"http://127.0.0.1:{server.port}/t0ken",
            alarm_mail_to=("admin@example.com",),
            mail_server="127.0.0.1",
            mail_port=server.port,
            mail_security=MailSecurity.NONE,
        )
        start(mail).take(DOWN)
        wait_until(lambda: len(told) == 2, "the trouble of both")
    finally:
        server.close()
    assert told[1].startswith(told[0] + "; 127.0.0.1")
    assert len(told[1]) < 500
    assert told[1].isprintable()
    assert "t0ken" not in told[1]


@pytest.mark.expects_log("alarms are not delivered")
def test_the_trouble_of_one_destination_outlives_the_end_of_the_others(
    start: Start, web: WebServer, mail: MailServer, told: list[str]
) -> None:
    web.answers, mail.refuses = [503], True
    delivery = start(both := mailing(mail).model_copy(update={"alarm_webhook": web.address}))
    delivery.take(DOWN)
    wait_until(lambda: len(told) == 2, "the trouble of both")
    mail.refuses = False
    wait_until(lambda: web.tried == 3, "the last attempt")
    delivery.take(UP)
    wait_until(lambda: len(told) == 3, "the end of the mail server's")
    assert "503" in told[2]
    assert "550" not in told[2]
    delivery.configure(both.model_copy(update={"alarm_webhook": ""}))
    assert told[3:] == [""], "where nothing is to be delivered, nothing is missing"


def test_the_queue_is_bounded_and_says_what_is_left_out(
    start: Start, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alarm_delivery, "MAXIMUM_WAITING", 10)
    delivery = start(System(alarm_webhook=web.address), Pauses(gather=600.0))
    for number in range(25):
        delivery.take(Alarm.about("trunk_down", f"{number}", 1_700_000_000.0))
    delivery.stop()
    assert [alarm["text"] for alarm in web.posted[0]["alarms"]] == [f"{number}" for number in range(15, 25)]
    assert "15 earlier alarms are left out." in web.posted[0]["text"]


def test_nothing_is_started_while_there_is_nowhere_to_deliver_to(start: Start) -> None:
    before = threading.active_count()
    start(System()).take(DOWN)
    assert threading.active_count() == before


def test_the_trouble_of_delivering_is_not_delivered(start: Start, web: WebServer) -> None:
    delivery = start(System(alarm_webhook=web.address))
    delivery.take(Alarm.about(alarm_delivery.CODE, "alarms are not delivered", 1_700_000_000.0))
    delivery.stop()
    assert web.tried == 0


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"alarm_webhook": "ftp://example.com"}, "must be a web address"),
        ({"alarm_webhook": "https:///hooks"}, "must be a web address"),
        ({"alarm_webhook": "https://example.com/a b"}, "must be a web address"),
        ({"alarm_mail_to": "admin"}, "is not a mail address"),
        ({"alarm_mail_to": "admin@example.com"}, "mail_server: must be filled in"),
        ({"mail_port": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_right_is_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        System(**values)


def run_engine(folder: Path, steps: Callable[[Engine], None]) -> list[Alarm]:
    """Start an engine, do the steps, stop it; returns the alarms that it raised."""
    seen: list[Alarm] = []

    database = Database.open(folder)
    database.save([Change(System.table, System(), System(sip_tls_port=0))])
    database.close()

    async def whole() -> None:
        engine = Engine(folder, sip=("127.0.0.1", 0))
        engine.events.subscribe(Alarm, seen.append)
        await engine.start()
        steps(engine)
        await engine.stop()

    asyncio.run(whole())
    return seen


def deliver_to(engine: Engine, web: WebServer) -> None:
    before = engine.configuration.system
    engine.apply([Change(System.table, before, before.model_copy(update={"alarm_webhook": web.address}))])


def test_an_engine_delivers_its_alarms_as_the_record_says_now(tmp_path: Path, web: WebServer) -> None:
    def steps(engine: Engine) -> None:
        engine.events.publish(DOWN)
        deliver_to(engine, web)
        engine.events.publish(Alarm.about("overload", "too much", 1_700_000_000.0, severity=Severity.WARNING))

    run_engine(tmp_path, steps)
    assert [alarm["text"] for alarm in web.posted[0]["alarms"]] == ["too much"]


def test_a_test_goes_where_alarms_go(tmp_path: Path, web: WebServer) -> None:
    said: list[tuple[str, ...]] = []

    def steps(engine: Engine) -> None:
        said.append(engine.send_test_alarm())
        deliver_to(engine, web)
        said.append(engine.send_test_alarm())

    run_engine(tmp_path, steps)
    assert said == [(), ("127.0.0.1",)]
    assert [alarm["text"] for alarm in web.posted[0]["alarms"]] == ["this is a test"]


@pytest.mark.expects_log("alarms are not delivered")
def test_an_engine_says_that_alarms_are_not_delivered(tmp_path: Path, web: WebServer) -> None:
    web.answers = [404]

    def steps(engine: Engine) -> None:
        deliver_to(engine, web)
        engine.events.publish(DOWN)

    seen = run_engine(tmp_path, steps)
    assert [alarm.code for alarm in seen] == ["trunk_down", alarm_delivery.CODE]
    assert "answered 404" in seen[1].text
