"""SIP dialogs (RFC 3261 12): who talks to whom, by which route, with which sequence numbers.

A dialog knows nothing of offers, of transactions or of time. Whoever owns it keeps only one INVITE under way in each
direction (RFC 3261 14: 491 and 500), and repeats a 2xx with the help of `AcceptedRetransmission`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from app.errors import LocalError, RemoteError
from app.sip.message import HeaderError, Message, Request, Response
from app.sip.transaction_tables import Timing
from app.sip.uri import NameAddr, Uri

MAXIMUM_FORKS = 32
"""More dialogs than this of one INVITE are not followed: a fork that wide is a fault or an attack."""
_LAST_SEQUENCE = 2**31 - 1
"""RFC 3261 8.1.1.5: sequence numbers stay below 2**31."""
_TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
"""Requests whose Contact replaces the remote target (RFC 3261 12.2, RFC 3311 5.1, RFC 6665 4.1.2)."""
_NO_DIALOG_REQUEST = frozenset({"ACK", "CANCEL"})
_GONE = frozenset({408, 481})
"""RFC 3261 12.2.1.2: answers that say that the peer does not have the dialog (any more)."""

_DEFAULT_TIMING = Timing()


class DialogRole(IntEnum):
    """Who began the dialog."""

    UAC = 0
    """We did."""
    UAS = 1
    """The peer did."""


class DialogState(IntEnum):
    """How far the dialog is (RFC 3261 12)."""

    EARLY = 0
    CONFIRMED = 1
    TERMINATED = 2


class DialogId(NamedTuple):
    """What identifies a dialog (RFC 3261 12); a peer of RFC 2543 without a tag has the empty one."""

    call_id: str
    local_tag: str
    remote_tag: str

    @staticmethod
    def of_request(request: Request) -> DialogId:
        """The dialog that a received request belongs to (12.2.2). Raises HeaderError."""
        return DialogId(request.call_id, request.to.tag or "", request.from_.tag or "")

    @staticmethod
    def of_response(response: Response) -> DialogId:
        """The dialog that a received response belongs to (12.1.2). Raises HeaderError."""
        return DialogId(response.call_id, response.from_.tag or "", response.to.tag or "")


class Dialog:
    """One dialog (mutable)."""

    __slots__ = (
        "_previous_target",
        "_refreshed_by",
        "_written",
        "contact",
        "id",
        "invite_sequence",
        "local_address",
        "local_sequence",
        "remote_address",
        "remote_sequence",
        "remote_target",
        "role",
        "route_set",
        "secure",
        "state",
    )

    def __init__(self, role: DialogRole, dialog_id: DialogId, state: DialogState, remote_target: Uri) -> None:
        """Use `as_uac` and `as_uas`."""
        self.role = role
        self.id = dialog_id
        self.state = state
        self.remote_target = remote_target
        """Where requests go in the end: the peer's Contact."""
        self.local_address = ""
        """Our From value in requests, tag included."""
        self.remote_address = ""
        """Our To value in requests, tag included."""
        self.contact = ""
        """Our Contact value, for requests that refresh the target."""
        self.route_set: tuple[NameAddr, ...] = ()
        """The proxies in between, nearest first."""
        self.local_sequence = 0
        """The CSeq number of our last request."""
        self.remote_sequence: int | None = None
        """The CSeq number of the peer's last request, None before its first."""
        self.invite_sequence = 0
        """The CSeq number of the INVITE that made the dialog."""
        self.secure = False
        """Whether the dialog was made with a SIPS URI over TLS (RFC 3261 12.1.1)."""
        self._previous_target: Uri | None = None
        self._refreshed_by: int | None = None
        self._written: tuple[Uri, str] | None = None

    @classmethod
    def as_uac(cls, request: Request, response: Response, *, over_tls: bool = False) -> Dialog:
        """The dialog that a 101 to 299 response to our request makes (RFC 3261 12.1.2).

        A response without a usable Contact leaves the Request-URI as the target: better than a call that cannot even
        be ended. Raises HeaderError when From, To, Call-ID or CSeq cannot be read.
        """
        state = DialogState.EARLY if response.status < 200 else DialogState.CONFIRMED
        dialog = cls(DialogRole.UAC, DialogId.of_response(response), state, _contact_of(response) or request.uri)
        sequence = request.cseq.number
        dialog.local_address = request.get("From") or ""
        dialog.remote_address = response.get("To") or ""
        dialog.contact = request.get("Contact") or ""
        dialog.local_sequence = dialog.invite_sequence = sequence
        dialog.route_set = _route_set_of(response)
        dialog.secure = over_tls and request.uri.scheme == "sips"
        return dialog

    @classmethod
    def as_uas(cls, request: Request, local_tag: str, contact: str, *, over_tls: bool = False) -> Dialog:
        """The early dialog that our answer to a request will make (RFC 3261 12.1.1); `confirm` it with the 2xx.

        `contact` is our whole Contact value. An RFC 2543 client, known by a From without a tag, may leave Contact out:
        requests go to its From URI then. Raises RemoteError (400) when the Contact cannot be used, and HeaderError.
        """
        contacts = request.contacts
        if contacts or request.from_.tag is not None:
            target = next((address.uri for address in contacts if address.uri is not None), None)
        else:
            target = request.from_.uri
        if target is None or not target.is_sip:
            raise HeaderError("Contact", "a request that makes a dialog needs a Contact with a SIP URI")
        to_text, to_tag = request.get("To") or "", request.to.tag
        if to_tag is None:
            to_text = f"{to_text};tag={local_tag}"
        dialog_id = DialogId(request.call_id, to_tag or local_tag, request.from_.tag or "")
        dialog = cls(DialogRole.UAS, dialog_id, DialogState.EARLY, target)
        dialog.local_address = to_text
        dialog.remote_address = request.get("From") or ""
        dialog.contact = contact
        dialog.remote_sequence = dialog.invite_sequence = request.cseq.number
        dialog.route_set = tuple(route for route in request.record_routes if route.uri is not None)
        dialog.secure = over_tls and request.uri.scheme == "sips"
        return dialog

    # --- requests of ours ---------------------------------------------------------------------------------------------

    def next_hop(self) -> Uri:
        """Where our requests are sent: the first route, or the target if there is none (RFC 3261 8.1.2, 12.2.1.1)."""
        first = self.route_set[0].uri if self.route_set else None
        return first or self.remote_target

    @property
    def named_hosts(self) -> tuple[str, ...]:
        """What the peer has named as its own address or host name, and as those of the proxies on the way to it."""
        uris = (self.remote_target, *(route.uri for route in self.route_set))
        return tuple(uri.address for uri in uris if uri is not None)

    @property
    def server_names(self) -> tuple[str, ...]:
        """What the peer may call us: the host of our address and that of its own, which a phone has from us."""
        found = (NameAddr.parse(text).uri for text in (self.local_address, self.remote_address))
        return tuple(uri.address for uri in found if uri is not None)

    def create_request(self, method: str, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """A new request inside the dialog (RFC 3261 12.2.1.1); the endpoint adds the Via.

        Our Contact is added to requests that refresh the target unless `headers` has one. Raises LocalError for ACK
        and CANCEL, which are made by `create_ack` and `cancel_for`, and when the sequence numbers are used up.
        """
        if method in _NO_DIALOG_REQUEST:
            raise LocalError(f"{method} has the CSeq of its INVITE")
        if self.local_sequence >= _LAST_SEQUENCE:
            raise LocalError("the sequence numbers of the dialog are used up")
        self.local_sequence += 1
        request = self._request(method, self.local_sequence, headers, body)
        if self.contact and method in _TARGET_REFRESH and "Contact" not in request:
            request.add("Contact", self.contact)
        return request

    def create_ack(self, invite_sequence: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """The ACK for a 2xx to the INVITE with this CSeq number (RFC 3261 13.2.2.4); the endpoint adds the Via.

        Credentials of the INVITE are repeated by whoever has them, through `headers` (22.1).
        """
        return self._request("ACK", invite_sequence, headers, body)

    def _request(self, method: str, sequence: int, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        """A request with what the dialog says (RFC 3261 12.2.1.1)."""
        target = self._target_text()
        lines = [("Max-Forwards", "70")]
        routes = self.route_set
        if routes:
            first = routes[0].uri
            if first is not None and "lr" not in first.params:
                # A strict router: it takes the Request-URI, and the target stands last in the route.
                lines.extend([("Route", str(route)) for route in routes[1:]])
                lines.append(("Route", f"<{target}>"))
                target = _as_request_uri(first)
            else:
                lines.extend([("Route", str(route)) for route in routes])
        lines.append(("From", self.local_address))
        lines.append(("To", self.remote_address))
        lines.append(("Call-ID", self.id.call_id))
        lines.append(("CSeq", f"{sequence} {method}"))
        lines.extend(headers)
        return Request(method, target, lines, body)

    def _target_text(self) -> str:
        """The target as a Request-URI, written once for as long as it stays the same."""
        target = self.remote_target
        if self._written is None or self._written[0] is not target:
            self._written = (target, _as_request_uri(target))
        return self._written[1]

    def receive_response(self, response: Response) -> None:
        """Take a response to a request of ours inside the dialog, or to the INVITE that made it.

        A 2xx confirms the dialog and refreshes its target (RFC 3261 12.2.1.2, 13.2.2.4), and so does a reliable
        provisional response to a re-INVITE (RFC 6141 4); 408 and 481 end the dialog, and so does any failure of the
        INVITE while it is early. Raises HeaderError when the CSeq cannot be read.
        """
        sequence = response.cseq
        status = response.status
        made_by_it = self.role is DialogRole.UAC and sequence.number == self.invite_sequence
        if status < 200:
            if status > 100 and not made_by_it and "RSeq" in response and sequence.method in _TARGET_REFRESH:
                self.refresh_target(response)
        elif status < 300:
            if made_by_it and self.state is DialogState.EARLY and sequence.method == "INVITE":
                # 13.2.2.4: the route set is computed anew from the 2xx, the sequence numbers are not.
                self.route_set = _route_set_of(response)
                self.state = DialogState.CONFIRMED
            if sequence.method in _TARGET_REFRESH:
                self.refresh_target(response)
        elif made_by_it and self.state is DialogState.EARLY:
            # A CANCEL has the number of its INVITE; that it failed says nothing about the INVITE.
            if sequence.method == "INVITE":
                self.state = DialogState.TERMINATED
        elif status in _GONE and sequence.method != "CANCEL":
            self.state = DialogState.TERMINATED

    # --- requests of the peer -----------------------------------------------------------------------------------------

    def receive_request(self, request: Request) -> Response | None:
        """Take a request of the peer's inside the dialog (RFC 3261 12.2.2): None if it is in order, else its answer.

        The target is refreshed at once, so that whatever is sent meanwhile finds a peer that has moved; if the
        request is refused in the end, `undo_refresh` it (RFC 6141 4). A BYE terminates the dialog. Raises HeaderError.
        """
        if DialogId.of_request(request) != self.id:
            return request.answer(481)
        method = request.method
        if method in _NO_DIALOG_REQUEST:
            return None
        if self.state is DialogState.TERMINATED:
            # A BYE that crosses ours is in order (RFC 5407 3.1.3).
            return None if method == "BYE" else request.answer(481)
        sequence = request.cseq.number
        # An equal number is out of order as well: retransmissions are absorbed by the transaction.
        if self.remote_sequence is not None and sequence <= self.remote_sequence:
            return request.answer(500, "Server Internal Error: CSeq out of order")
        self.remote_sequence = sequence
        if method == "BYE":
            self.state = DialogState.TERMINATED
        elif method in _TARGET_REFRESH and "Contact" in request:
            target = _contact_of(request)
            if target is None:
                return request.answer(400, "Bad Contact header")
            if target != self.remote_target:
                self._previous_target, self._refreshed_by = self.remote_target, sequence
                self.remote_target = target
        return None

    def undo_refresh(self, request: Request) -> None:
        """The request that was taken last has been refused: nothing that it changed stays (RFC 3261 12.2.2).

        Does nothing if the target has been refreshed again since. Raises HeaderError.
        """
        if self._previous_target is not None and self._refreshed_by == request.cseq.number:
            self.remote_target = self._previous_target
            self._previous_target = None

    def refresh_target(self, message: Message) -> None:
        """Take the target from a Contact (RFC 3261 12.2.1.2); without a usable one everything stays as it is."""
        target = _contact_of(message)
        if target is not None:
            self.remote_target = target
            self._previous_target = None

    def create_response(
        self,
        request: Request,
        status: int,
        reason: str | None = None,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Response:
        """Our answer to a request of the peer's, with our tag, and our Contact where one is due (RFC 3261 12.1.1).

        A 2xx to the INVITE that made the dialog confirms it; a failure terminates it while it is early, and undoes
        what a refused re-INVITE or UPDATE has changed.
        """
        extra = list(headers)
        refreshes = request.method in _TARGET_REFRESH
        if self.contact and refreshes and 100 < status < 300 and all(name != "Contact" for name, _ in extra):
            extra.insert(0, ("Contact", self.contact))
        if status >= 200:
            makes = self.role is DialogRole.UAS and self.state is DialogState.EARLY
            if makes and request.method == "INVITE" and request.cseq.number == self.invite_sequence:
                self.state = DialogState.CONFIRMED if status < 300 else DialogState.TERMINATED
            elif status >= 300 and refreshes:
                self.undo_refresh(request)
        return request.answer(status, reason, self.id.local_tag if status > 100 else None, extra, body)

    def confirm(self) -> None:
        """The 2xx has been sent (RFC 3261 13.3.1.4); done by `create_response`, too."""
        if self.state is DialogState.EARLY:
            self.state = DialogState.CONFIRMED


class DialogSet:
    """The dialogs that one INVITE of ours makes: one for each To tag (RFC 3261 12.1.2, 13.2.2.4)."""

    __slots__ = ("_request", "dialogs")

    def __init__(self, request: Request) -> None:
        self._request = request
        self.dialogs: dict[str, Dialog] = {}
        """By the peer's tag, at most MAXIMUM_FORKS."""

    def receive_response(self, response: Response) -> Dialog | None:
        """Take a response to the INVITE: the dialog it makes or belongs to, already updated by it.

        None for 100, for provisional responses without a tag, for failures, which end every early dialog (13.2.2.3),
        and for dialogs beyond the bound. Raises HeaderError.
        """
        status = response.status
        if status >= 300:
            for dialog in self.dialogs.values():
                dialog.receive_response(response)
            return None
        tag = response.to.tag or ""
        if status == 100 or (status < 200 and not tag):
            return None
        known = self.dialogs.get(tag)
        if known is not None:
            known.receive_response(response)
            return known
        if len(self.dialogs) >= MAXIMUM_FORKS:
            return None
        made = self.dialogs[tag] = Dialog.as_uac(self._request, response)
        return made

    def expire(self) -> None:
        """64*T1 after the first 2xx: no other answer will come, so the early dialogs are over (13.2.2.4)."""
        for dialog in self.dialogs.values():
            if dialog.state is DialogState.EARLY:
                dialog.state = DialogState.TERMINATED


class AcceptedRetransmission(NamedTuple):
    """When to repeat a 2xx to INVITE until its ACK comes (RFC 3261 13.3.1.4), over any transport; times in seconds.

    Also for reliable provisional responses until their PRACK (RFC 3262 3), whose interval has no upper bound:
    `begin(now, longest_interval=math.inf)`.
    """

    next_at: float
    """When something is due: a repetition, or giving up."""
    interval: float
    """How long the wait until `next_at` was; the next one is twice as long."""
    give_up_at: float
    """Without an ACK by then the session ends with a BYE."""
    longest_interval: float = _DEFAULT_TIMING.t2

    @staticmethod
    def begin(
        now: float, timing: Timing = _DEFAULT_TIMING, longest_interval: float | None = None
    ) -> AcceptedRetransmission:
        """The schedule of a response that is sent now."""
        longest = timing.t2 if longest_interval is None else longest_interval
        return AcceptedRetransmission(now + timing.t1, timing.t1, now + timing.timeout, longest)

    def after(self, now: float) -> AcceptedRetransmission:
        """The schedule after the repetition that is sent now."""
        interval = min(self.interval * 2, self.longest_interval)
        return AcceptedRetransmission(
            min(now + interval, self.give_up_at), interval, self.give_up_at, self.longest_interval
        )

    def is_over(self, now: float) -> bool:
        """Whether it is time to give up."""
        return now >= self.give_up_at


def _contact_of(message: Message) -> Uri | None:
    """The first SIP URI in Contact, None if there is none that can be used."""
    try:
        contacts = message.contacts
    except RemoteError:
        return None
    uri = contacts[0].uri if contacts else None
    return uri if uri is not None and uri.is_sip else None


def _route_set_of(response: Response) -> tuple[NameAddr, ...]:
    """The route set of a UAC: Record-Route in reverse (RFC 3261 12.1.2).

    One that cannot be read counts as none: requests then go straight to the peer, and may well get there.
    """
    try:
        return tuple(route for route in reversed(response.record_routes) if route.uri is not None)
    except HeaderError:
        return ()


def _as_request_uri(uri: Uri) -> str:
    """A URI as a Request-URI, without what must not stand there (RFC 3261 19.1.1: headers and method)."""
    if uri.headers is not None:
        uri = uri._replace(headers=None)
    if uri.params and "method" in uri.params:
        uri = uri._replace(params={name: value for name, value in uri.params.items() if name != "method"})
    return str(uri)
