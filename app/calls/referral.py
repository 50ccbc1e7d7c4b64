"""A REFER that a peer has sent, and the subscription that it made: what becomes of the call it asks for (RFC 3515)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from app.calls.outgoing import USER_AGENT
from app.errors import LocalError, RemoteError
from app.sip.headers import REASONS
from app.sip.uri import NameAddr, Uri, unescape
from app.sip.validation import KNOWN_METHODS

if TYPE_CHECKING:
    from app.calls.leg import Leg
    from app.sip.message import Request, Response
    from app.sip.transaction import Key

_log = logging.getLogger(__name__)

NOREFERSUB = "norefersub"
"""The option of RFC 4488: a REFER may ask for no subscription."""
SUBSCRIBED_FOR = 600
"""Seconds that the subscription is said to live at least; it ends with the call that was asked for."""
MAXIMUM_REPLACES = 512
"""A Replaces that is longer than this names no dialog of ours."""


class Replaced(NamedTuple):
    """The dialog that the new call shall take the place of (RFC 3891 3)."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False


class Wish(NamedTuple):
    """What a REFER asks for."""

    uri: Uri
    """Whom to call."""
    replaces: Replaced | None


def wish_of(request: Request) -> Wish:
    """What a REFER asks for. RemoteError (400, 403, 416) says what is wrong with its Refer-To.

    Of the headers that its URI may carry (RFC 3261 19.1.1) only Replaces means anything; no other one goes anywhere.
    """
    values = request.values("Refer-To")
    if len(values) != 1:
        raise RemoteError(400, "Bad Refer-To", "a REFER has one Refer-To, and no more (RFC 3515 2.4.2)")
    uri = NameAddr.parse(values[0]).uri
    if uri is None:
        raise RemoteError(400, "Bad Refer-To", "Refer-To names nobody")
    if uri.scheme not in ("sip", "sips", "tel"):
        raise RemoteError(416, "Unsupported URI Scheme", f"a {uri.scheme[:20]} address cannot be called")
    method = (uri.params.get("method") or "INVITE").upper()
    if method != "INVITE":
        other = method if method in KNOWN_METHODS else "something else"
        raise RemoteError(403, "Only Calls Are Transferred", f"Refer-To asks for {other}, not for a call")
    found = [part for part in (uri.headers or "").split("&") if part.partition("=")[0].lower() == "replaces"]
    if len(found) > 1:
        raise RemoteError(400, "Bad Refer-To", "Refer-To names several dialogs to replace")
    return Wish(uri, _replaced(unescape(found[0].partition("=")[2])) if found else None)


def _replaced(text: str) -> Replaced:
    """A Replaces header (RFC 3891 6.1)."""
    call_id, *parameters = (part.strip() for part in text[:MAXIMUM_REPLACES].split(";"))
    values = {name.strip().lower(): value.strip() for name, _, value in (each.partition("=") for each in parameters)}
    to_tag, from_tag = values.get("to-tag"), values.get("from-tag")
    if not call_id or not to_tag or not from_tag:
        raise RemoteError(400, "Bad Replaces", "Replaces needs a Call-ID, a to-tag and a from-tag")
    return Replaced(call_id, to_tag, from_tag, "early-only" in values)


class Referral:
    """One REFER: refuse it, or accept it and then tell what becomes of the call, the final status last.

    One NOTIFY waits for its answer at a time, since they may overtake each other; what is new meanwhile is told then.
    """

    def __init__(self, leg: Leg, key: Key, request: Request) -> None:
        self.request = request
        self._leg = leg
        self._key = key
        self._is_first = leg.referrals == 1
        self._is_silent = (request.get("Refer-Sub") or "").strip().lower() == "false"
        self._told = 0
        self._waiting: tuple[int, str] | None = None
        """What is to be told when the NOTIFY under way has its answer."""
        self._notify: Key | None = None
        self._is_over = False
        self._then: Callable[[], None] | None = None

    def refuse(self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """There will be no call."""
        self._leg.endpoint.respond(self._key, self.request.answer(status, reason or None, None, headers))

    def accept(self) -> None:
        """202: the call is being made (RFC 3515 2.4.2), and the first NOTIFY says so (2.4.4)."""
        leg = self._leg
        headers = [("Contact", leg.contact), *leg.abilities, ("Server", USER_AGENT)]
        if self._is_silent:
            headers.append(("Refer-Sub", "false"))
        leg.endpoint.respond(self._key, self.request.answer(200 if self._is_silent else 202, None, None, headers))
        self.progress(100, "Trying")

    def progress(self, status: int, reason: str) -> None:
        """The call is on its way: a provisional status."""
        if status != self._told and not self._is_over:
            self._told = status
            self._tell(status, reason)

    def finish(self, status: int, reason: str, then: Callable[[], None] | None = None) -> None:
        """The final status of the call. `then()` is called when the peer knows it, or cannot be told."""
        if self._is_over:
            return
        self._is_over = True
        self._then = then
        self._tell(status, reason)

    def _tell(self, status: int, reason: str) -> None:
        if self._notify is not None:
            self._waiting = (status, reason)
            return
        dialog = self._leg.dialog
        if self._is_silent or dialog is None:
            self._done()
            return
        state = "terminated;reason=noresource" if self._is_over else f"active;expires={SUBSCRIBED_FOR}"
        # RFC 3515 2.4.6: the second REFER of a dialog and those after it are told apart by their CSeq.
        event = "refer" if self._is_first else f"refer;id={self.request.cseq.number}"
        headers = [("Event", event), ("Subscription-State", state), ("User-Agent", USER_AGENT)]
        headers.append(("Content-Type", "message/sipfrag;version=2.0"))
        line = f"SIP/2.0 {status} {reason or REASONS.get(status, '')}\r\n"
        try:
            notify = dialog.create_request("NOTIFY", headers, line.encode("utf-8", "surrogateescape"))
        except LocalError:
            self._done()
            return
        self._notify = self._leg.endpoint.send_request(notify, self._leg.way_to_peer(), self)

    def _done(self) -> None:
        then, self._then = self._then, None
        if then is not None and self._is_over:
            then()

    def on_response(self, key: Key, response: Response) -> None:
        """The answer to a NOTIFY (ClientUser); after a refusal the peer wants no more of them (RFC 6665 4.2.2)."""
        if key == self._notify and response.status >= 200:
            self._answered(wants_more=response.status < 300)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """A NOTIFY got no answer (ClientUser)."""
        if key == self._notify:
            _log.debug("a NOTIFY %s", "timed out" if timed_out else "could not be sent")
            self._answered(wants_more=False)

    def _answered(self, wants_more: bool) -> None:
        self._notify = None
        self._is_silent = self._is_silent or not wants_more
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._tell(*waiting)
        else:
            self._done()
