"""Alarms to people who do not look at the window: posted to a web address and mailed, by threads of their own."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import smtplib
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from urllib.parse import urlsplit

from app.events import Alarm, worst_of
from app.records import MailSecurity, System
from app.text import one_line

_log = logging.getLogger(__name__)

CODE = "alarm_delivery"
"""The alarm that says that alarms cannot be delivered; it is never delivered itself."""
MAXIMUM_WAITING = 500
"""So many alarms wait for one destination; of more the oldest are left out, and the message says how many."""
MAXIMUM_SUBJECT = 200
"""Letters of an alarm in the subject of a mail; all of it is in the mail."""
MAXIMUM_ANSWER = 200
"""Letters of what a server says in words about it."""
_WEBHOOK, _MAIL = "alarm-webhook", "alarm-mail"
_TIMEOUT = 10.0
_STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a destination waits, in seconds."""

    gather: float = 3.0
    """For more alarms after the first, so that one message tells them all."""
    retries: tuple[float, ...] = (10.0, 60.0, 300.0)
    """Between the attempts for one message; after the last it is given up."""
    many: int = 20
    """After so many messages within an hour ..."""
    gather_many: float = 300.0
    """... for this long, so that a trunk that comes and goes fills nobody's mailbox."""


class AlarmDelivery:
    """Delivers every alarm to the destinations of the system record; `take` never blocks.

    `tell(text)` is called, from a thread, with what keeps destinations from being reached whenever that changes, and
    with a blank text when all are reached again.
    """

    def __init__(self, tell: Callable[[str], None], pauses: Pauses | None = None) -> None:
        pauses = pauses if pauses is not None else Pauses()
        self._system = System()
        self._tell = tell
        deliveries = {_WEBHOOK: self._post, _MAIL: self._mail}
        self._couriers = {name: _Courier(name, deliver, self._reached, pauses) for name, deliver in deliveries.items()}
        self._troubles: dict[str, str] = {}
        """Why a destination is not reached, by the name of its courier."""
        self._telling = threading.Lock()

    def configure(self, system: System) -> None:
        """Deliver as this record says from now on, also what waits."""
        self._system = system
        for name in self._couriers.keys() - self._wanted():
            self._reached(name, "")

    def _wanted(self) -> set[str]:
        """Which of the couriers have a destination."""
        system = self._system
        return {name for name, place in ((_WEBHOOK, system.alarm_webhook), (_MAIL, system.alarm_mail_to)) if place}

    def _reached(self, name: str, trouble: str) -> None:
        """A courier has reached its destination, or not: then why. Only the first reason is told."""
        with self._telling:
            if name not in self._wanted():
                # Where nothing is to be delivered, nothing is missing.
                trouble = ""
            if bool(trouble) == (name in self._troubles):
                return
            if trouble:
                self._troubles[name] = trouble
            else:
                del self._troubles[name]
            words = "; ".join(self._troubles.values())
            self._tell(f"alarms are not delivered: {words}" if words else "")

    def take(self, alarm: Alarm) -> None:
        """Have this alarm delivered, if there is anywhere to deliver it to."""
        if alarm.code == CODE:
            return
        for name in self._wanted():
            self._couriers[name].take(alarm)

    def destinations(self) -> tuple[str, ...]:
        """Where alarms are delivered to, in words without secrets."""
        system = self._system
        web = (str(urlsplit(system.alarm_webhook).hostname),) if system.alarm_webhook else ()
        return (*web, *system.alarm_mail_to)

    def stop(self) -> None:
        """Try once more to deliver what waits, for a few seconds at most. Blocks for so long."""
        for courier in self._couriers.values():
            courier.stop()
        give_up_at = time.monotonic() + _STOP_SECONDS
        for courier in self._couriers.values():
            courier.join(max(0.0, give_up_at - time.monotonic()))

    def _post(self, alarms: Sequence[Alarm], left_out: int) -> None:
        address = self._system.alarm_webhook
        if not address:
            return
        # `text` is what chat programs show; the rest is for programs that want to know.
        document = {
            "text": "\n".join([_subject(alarms, self._system), *_lines(alarms, left_out)]),
            "server": _server(self._system),
            "alarms": [
                {
                    "code": alarm.code,
                    "severity": alarm.severity.value,
                    "cleared": alarm.cleared,
                    "text": alarm.text,
                    "at": _moment(alarm).isoformat(timespec="seconds"),
                }
                for alarm in alarms
            ],
        }
        headers = {"Content-Type": "application/json", "User-Agent": "Trunkline"}
        request = urllib.request.Request(address, json.dumps(document).encode(), headers, method="POST")
        # The address itself may hold a token: words name its host only.
        host = urlsplit(address).hostname
        try:
            # The status says whether it was taken: nobody waits for a page that may never end.
            _opener.open(request, timeout=_TIMEOUT).close()
        except urllib.error.HTTPError as error:
            with error:
                raise _NotDeliveredError(f"{host} answered {error.code} {error.reason}") from None
        except urllib.error.URLError as error:
            raise _NotDeliveredError(f"{host} was not reached: {error.reason}") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _NotDeliveredError(f"{host}: {error or type(error).__name__}") from None

    def _mail(self, alarms: Sequence[Alarm], left_out: int) -> None:
        system = self._system
        if not system.alarm_mail_to or not system.mail_server:
            return
        sender = system.alarm_mail_from or system.alarm_mail_to[0]
        mail = EmailMessage()
        mail["Subject"] = _subject(alarms, system)
        mail["From"] = sender
        mail["To"] = ", ".join(system.alarm_mail_to)
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Message-ID"] = make_msgid(domain=sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join(_lines(alarms, left_out)) + "\n")
        try:
            with contextlib.closing(_mail_connection(system)) as connection:
                if system.mail_user:
                    connection.login(system.mail_user, system.mail_password)
                refused = connection.send_message(mail)
                # The mail is taken, whatever comes after it.
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    connection.quit()
            if refused:
                # To send it again would give it twice to all others.
                _log.warning("%s refuses mail to %s", system.mail_server, ", ".join(refused))
        except smtplib.SMTPResponseException as error:
            answer = error.smtp_error.decode(errors="replace") if isinstance(error.smtp_error, bytes) else ""
            raise _NotDeliveredError(f"{system.mail_server} answered {error.smtp_code} {answer}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            raise _NotDeliveredError(f"{system.mail_server}: {error or type(error).__name__}") from None


class _NotDeliveredError(Exception):
    """A destination was not reached; its text says why, in one short line whatever the server said."""

    def __init__(self, words: str) -> None:
        super().__init__(one_line(words, MAXIMUM_ANSWER))


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes 302 for what it is: following it would ask for a page instead of posting an alarm."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Go nowhere else, so that the status is an error."""


_opener = urllib.request.build_opener(_NoRedirects)


class _Courier:
    """One destination: alarms wait in a bounded queue for a thread that delivers them, together and repeatedly."""

    def __init__(
        self,
        name: str,
        deliver: Callable[[Sequence[Alarm], int], None],
        reached: Callable[[str, str], None],
        pauses: Pauses,
    ) -> None:
        self._name = name
        self._deliver = deliver
        self._reached = reached
        self._pauses = pauses
        self._waiting: deque[Alarm] = deque()
        self._left_out = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._delivered_at: deque[float] = deque(maxlen=pauses.many)
        self._thread: threading.Thread | None = None

    def take(self, alarm: Alarm) -> None:
        with self._changed:
            if self._stopping:
                return
            if len(self._waiting) >= MAXIMUM_WAITING:
                self._waiting.popleft()
                self._left_out += 1
            self._waiting.append(alarm)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, seconds: float) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                self._changed.wait_for(lambda: self._stopping, self._gathering_seconds())
                alarms, left_out = tuple(self._waiting), self._left_out
                self._waiting.clear()
                self._left_out = 0
            self._deliver_at_last(alarms, left_out)
            self._delivered_at.append(time.monotonic())

    def _gathering_seconds(self) -> float:
        often = len(self._delivered_at) == self._pauses.many and time.monotonic() - self._delivered_at[0] < 3600.0
        return self._pauses.gather_many if often else self._pauses.gather

    def _deliver_at_last(self, alarms: Sequence[Alarm], left_out: int) -> None:
        """Deliver one message, again after each pause while that fails; while stopping there is no further attempt."""
        for pause in (*self._pauses.retries, None):
            try:
                self._deliver(alarms, left_out)
            except _NotDeliveredError as error:
                _log.warning("alarms are not delivered: %s", error)
                self._reached(self._name, str(error))
            except Exception:
                _log.exception("alarms are not delivered")
                return
            else:
                self._reached(self._name, "")
                return
            with self._changed:
                if pause is None or self._changed.wait_for(lambda: self._stopping, pause):
                    return


def _mail_connection(system: System) -> smtplib.SMTP:
    """A connection to the mail server, protected as the record says."""
    if system.mail_security is MailSecurity.TLS:
        return smtplib.SMTP_SSL(
            system.mail_server, system.mail_port, timeout=_TIMEOUT, context=ssl.create_default_context()
        )
    connection = smtplib.SMTP(system.mail_server, system.mail_port, timeout=_TIMEOUT)
    if system.mail_security is MailSecurity.STARTTLS:
        try:
            connection.starttls(context=ssl.create_default_context())
        except BaseException:
            connection.close()
            raise
    return connection


def _server(system: System) -> str:
    return system.domain or socket.gethostname()


def _subject(alarms: Sequence[Alarm], system: System) -> str:
    """The gravest alarm, and how many others there are: what a telephone shows of a mail."""
    first = worst_of([alarm for alarm in alarms if not alarm.cleared] or alarms)
    others = len(alarms) - 1
    more = f" (and {others} other{'s' if others > 1 else ''})" if others else ""
    return f"Trunkline on {_server(system)}: {first.text[:MAXIMUM_SUBJECT]}{more}"


def _lines(alarms: Sequence[Alarm], left_out: int) -> list[str]:
    lines = [f"{left_out} earlier alarms are left out."] if left_out else []
    for alarm in alarms:
        state = "over" if alarm.cleared else alarm.severity.value
        lines.append(f"{_moment(alarm):%Y-%m-%d %H:%M:%S} UTC  {state}: {alarm.text}")
    return lines


def _moment(alarm: Alarm) -> datetime:
    return datetime.fromtimestamp(alarm.at, UTC)
