"""One leg of a call: a SIP dialog with one peer on one side, leg events on the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

from app.calls.challenges import credentials_of, with_credentials
from app.calls.leg_events import (
    Acknowledged,
    Body,
    EndCause,
    HungUp,
    InfoAnswered,
    Informed,
    LegEvent,
    OfferAnswered,
    OfferCancelled,
    Offered,
    OfferRefused,
    Referred,
)
from app.calls.next_hop import next_hop
from app.calls.outgoing import USER_AGENT, abilities_for
from app.calls.referral import Referral
from app.calls.refusals import passed_on
from app.calls.session_timer import (
    MINIMUM,
    SessionTerms,
    agree_as_server,
    agreed_as_client,
    is_too_short,
    offer_as_client,
    wanted_minimum,
)
from app.sip.dialog import AcceptedRetransmission, Dialog, DialogState
from app.sip.endpoint import DialogKey, Endpoint
from app.sip.message import Message, Request, Response
from app.sip.multipart import SESSION_TYPE, is_multipart, session_part
from app.sip.transaction import cancel_for

if TYPE_CHECKING:
    from app.clock import Deadline
    from app.sip.flow import Flow
    from app.sip.transaction import Key

AGAIN_SOON = (("Retry-After", "1"),)
"""What a 500 says to a peer whose offer cannot be taken now (RFC 3261 14.2, RFC 3311 5.2: 0 to 10 seconds)."""


REFRESH_AGAIN_AFTER = 5.0
"""Seconds until a refresh of the session is tried again that could not be sent or was refused; twice as long after each
further refusal: RFC 4028 10 forbids to ask continuously."""

OFFER_PATIENCE = 60.0
"""Seconds in which a peer that has said 100 to our re-INVITE must answer it; then it is cancelled."""

CANCEL_PATIENCE = 32.0
"""Seconds after a CANCEL in which a final answer must come; then the INVITE is forgotten (RFC 3261 9.1: 64*T1)."""

Authorize = Callable[[Request, Response], "tuple[str, str] | None"]
"""Gives the Authorization or Proxy-Authorization header for a challenge, or None where none should be given."""


class LegOwner(Protocol):
    """The call that a leg belongs to."""

    def handle(self, leg: Leg, event: LegEvent) -> None:
        """Something happened on the leg."""


def body_of(message: Message) -> Body | None:
    """A message's body with its type, None where there is none; of several parts, the session description."""
    if not message.body:
        return None
    content_type = message.get("Content-Type") or "application/octet-stream"
    if is_multipart(content_type):
        description = session_part(content_type, message.body)
        if description is not None:
            return Body(SESSION_TYPE, description)
    return Body(content_type, message.body)


def body_headers(body: Body | None) -> list[tuple[str, str]]:
    """The headers that describe a body."""
    return [] if body is None else [("Content-Type", body.content_type)]


class Leg:
    """What both kinds of leg can do once there is a dialog: offers, INFO and hanging up, in both directions."""

    def __init__(self, endpoint: Endpoint, owner: LegOwner | None, flow: Flow, call_id: str, local_tag: str) -> None:
        self.endpoint = endpoint
        self.owner = owner
        self.flow = flow
        """The way that the peer was last heard on."""
        self.phone_of = ""
        """The local user whose phone the peer is, blank for others."""
        self.call_id = call_id
        self.local_tag = local_tag
        self.contact = ""
        """Our Contact value towards the peer."""
        self.dialog: Dialog | None = None
        self.ended = False
        self.referrals = 0
        """How many REFERs the peer has sent."""
        self.authorize: Authorize | None = None
        """What answers the challenges to our requests; None where the peer gets no password."""
        self._asked: dict[Key, tuple[Dialog, Request]] = {}
        """Our requests inside the dialog that wait for an answer, where that may be a challenge."""
        self._invited_by: tuple[Key, Request] | None = None
        """The peer's re-INVITE or UPDATE that waits for our answer."""
        self._informed_by: list[tuple[Key, Request]] = []
        """The peer's INFO requests that wait for the other leg's answer."""
        self._offer_key: Key | None = None
        """Our own re-INVITE or UPDATE that waits for the peer's answer."""
        self._offer_request: Request | None = None
        self._offer_patience: Deadline | None = None
        self._offer_heard = False
        """Whether a provisional answer to our re-INVITE has come: only then may it be cancelled."""
        self._offer_given_up = False
        self._info_keys: set[Key] = set()
        self._alive_key: Key | None = None
        """Our OPTIONS that waits for any answer."""
        self._bye_key: Key | None = None
        self._bye_waits: str | None = None
        """The Reason of a BYE that waits for the ACK of our 2xx ("" for none)."""
        self._unacknowledged: Response | None = None
        self._answer_in_ack = False
        """Whether our 2xx carried an offer, whose answer comes with the ACK."""
        self._ack_wanted_for: Request | None = None
        """Our INVITE whose 2xx carried an offer: its ACK waits for the answer."""
        self._acks: dict[tuple[int, str], bytes] = {}
        """The ACKs we sent by CSeq and the peer's tag, to repeat them for repeated 2xx."""
        self.session_expires = 0
        """The session timer that we ask for, in seconds; 0 for none (RFC 4028)."""
        self._least_session = MINIMUM
        self._session: Deadline | None = None
        self._session_end: Deadline | None = None
        """When the session that we refresh is over, should no refresh succeed."""
        self._refresh_pause = REFRESH_AGAIN_AFTER
        self._refresh_refusal = ""
        """What the peer answered to our last refresh, where it refused that."""
        self._terms: SessionTerms | None = None
        """What was agreed on for the session timer."""
        self._refreshing = False
        """Our re-INVITE or UPDATE under way is a refresh of the session: the call hears nothing of it."""
        self._peer_updates = False
        """Whether the peer takes UPDATE (its Allow says so)."""
        self._last_sent: Body | None = None
        """The last session description that we sent, for refreshes and their answers."""
        self._last_heard: Body | None = None
        """The peer's last session description."""
        self._sent_before: Body | None = None
        self._heard_before: Body | None = None
        """Both as they were before the offer under way, should it be refused."""
        self._repeat: Deadline | None = None
        self._repetition: AcceptedRetransmission | None = None
        self._repeat_key: Key | None = None
        self._registered: DialogKey = (call_id, local_tag)
        endpoint.dialogs[self._registered] = self

    # --- telling the call ---------------------------------------------------------------------------------------------

    def tell(self, event: LegEvent) -> None:
        """Give an event to the call, if it still listens."""
        if self.owner is not None:
            self.owner.handle(self, event)

    def let_go(self) -> None:
        """The call is over for this leg: it hears nothing of it any more."""
        self.owner = None

    # --- what the call asks for ---------------------------------------------------------------------------------------

    def offer(self, method: str, body: Body | None) -> bool:
        """Carry an offer to the peer in a re-INVITE or UPDATE; False (491) while another is under way (RFC 3261 14.1).

        A peer that did not say that it takes UPDATE gets a re-INVITE; before the INVITE has its answer it gets nothing.
        """
        dialog = self.dialog
        if dialog is None or self.ended or not self._is_settled() or self._invited_by is not None:
            return False
        if not self._is_established() and not (method == "UPDATE" and self._peer_updates and self._is_agreed_early()):
            return False
        if method == "UPDATE" and body is not None and not self._peer_updates:
            method = "INVITE"
        headers = [("Contact", self.contact), *self.abilities, ("User-Agent", USER_AGENT), *body_headers(body)]
        expires = self._terms.expires if self._terms is not None else self.session_expires
        if expires and self._is_established():
            headers += [("Supported", "timer"), *offer_as_client(expires, self._least_session, self._terms)]
        self._sent_before = self._last_sent
        if body is not None:
            self._last_sent = body
        request = dialog.create_request(method, headers, body.content if body else b"")
        self._offer_request = request
        self._offer_heard = self._offer_given_up = False
        if method == "INVITE":
            self._offer_patience = self.endpoint.schedule(OFFER_PATIENCE, self._out_of_offer_patience)
        self._offer_key = self._ask(dialog, request)
        return True

    def _is_settled(self) -> bool:
        """Whether no offer is under way, and no INVITE in either direction waits for its answer or its ACK."""
        return self._offer_key is None and self._unacknowledged is None and self._ack_wanted_for is None

    @property
    def last_heard(self) -> Body | None:
        """The peer's last session description."""
        return self._last_heard

    @property
    def last_sent(self) -> Body | None:
        """The last session description that the peer was sent."""
        return self._last_sent

    @property
    def owes_answer(self) -> bool:
        """Whether the peer's offer waits for its answer, which `acknowledge` takes."""
        return self._ack_wanted_for is not None

    @property
    def awaits_answer(self) -> bool:
        """Whether the peer's re-INVITE or UPDATE waits for our answer."""
        return self._invited_by is not None and not self.ended

    def cancel_offer(self) -> None:
        """Take back a re-INVITE that the peer has not answered yet, once it has shown that it has it (RFC 3261 9.1)."""
        request = self._offer_request
        if self._offer_key is None or request is None or request.method != "INVITE" or self._offer_given_up:
            return
        self._offer_given_up = True
        self._be_patient(CANCEL_PATIENCE)
        if self._offer_heard:
            self.endpoint.send_cancel(cancel_for(request), self.way_to_peer(), self)

    def _be_patient(self, seconds: float) -> None:
        if self._offer_patience is not None:
            self._offer_patience.cancel()
        self._offer_patience = self.endpoint.schedule(seconds, self._out_of_offer_patience)

    def _out_of_offer_patience(self, _now: float) -> None:
        """Our re-INVITE got nothing but provisional answers: it is cancelled, then forgotten."""
        self._offer_patience = None
        key = self._offer_key
        if key is None:
            return
        if not self.ended and not self._offer_given_up:
            self.cancel_offer()
            self._offer_failed(504, "")
            return
        self._offer_key = self._offer_request = None
        self._asked.pop(key, None)
        self.endpoint.forget(key)

    def accept_offer(self, body: Body | None) -> bool:
        """Answer the peer's re-INVITE or UPDATE with 200; False when it does not wait for an answer any more."""
        pending, self._invited_by = self._invited_by, None
        if pending is None or self.ended:
            return False
        key, request = pending
        self._accept(key, request, body)
        return True

    def _accept(self, key: Key, request: Request, body: Body | None) -> None:
        """Answer a re-INVITE or UPDATE with 200, its session timer agreed on anew (RFC 4028 9)."""
        if body is not None:
            self._last_sent = body
        if request.method == "PRACK":
            content = body.content if body is not None else b""
            self.endpoint.respond(key, request.answer(200, None, None, body_headers(body), content))
            return
        terms, headers = agree_as_server(request, self.session_expires)
        answer = self._answer(request, 200, None, body, headers)
        self.endpoint.respond(key, answer)
        if self._is_established():
            self._keep_session(terms)
        if request.method == "INVITE":
            self._await_ack(key, answer, not request.body)

    def _is_established(self) -> bool:
        """Whether the INVITE that made the dialog has been answered."""
        return True

    def _is_agreed_early(self) -> bool:
        """Whether offer and answer have passed reliably before the INVITE's answer: only then may another offer come.

        RFC 3311 5.1 and 5.2, RFC 3262 5.
        """
        return False

    def refuse_offer(self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Answer the peer's re-INVITE or UPDATE with a failure; media stay as they were (RFC 3261 14.1)."""
        pending, self._invited_by = self._invited_by, None
        if pending is not None:
            key, request = pending
            if self.dialog is not None:
                self.dialog.undo_refresh(request)
            self._last_heard = self._heard_before
            if request.method == "PRACK":
                # RFC 3262 3: it gets a 2xx all the same; the answer in that leaves everything as it was.
                self._accept(key, request, self._last_sent)
                return
            known = passed_on(status)
            self.endpoint.respond(
                key, request.answer(known, reason if reason and known == status else None, None, headers)
            )

    def put_off_offer(self) -> None:
        """Have the peer make its offer again later: nobody is there to answer it now (RFC 3311 5.2)."""
        self.refuse_offer(500, "", AGAIN_SOON)

    def inform(self, body: Body | None, package: str) -> bool:
        """Carry an INFO to the peer."""
        dialog = self.dialog
        if dialog is None or self.ended or len(self._info_keys) >= 32:
            return False
        headers = [("User-Agent", USER_AGENT), *body_headers(body)]
        if package:
            headers.append(("Info-Package", package))
        request = dialog.create_request("INFO", headers, body.content if body else b"")
        self._info_keys.add(self._ask(dialog, request))
        return True

    def answer_info(self, status: int, reason: str) -> None:
        """Answer the peer's oldest INFO."""
        if self._informed_by:
            key, request = self._informed_by.pop(0)
            known = passed_on(status)
            self.endpoint.respond(key, request.answer(known, reason if reason and known == status else None))

    def acknowledge(self, body: Body | None) -> None:
        """Send the ACK that waited for the answer to the peer's offer (RFC 3264 in RFC 3261 13.2.1)."""
        invite, self._ack_wanted_for = self._ack_wanted_for, None
        self._last_sent = body or self._last_sent
        if invite is not None and self.dialog is not None:
            self._send_ack(self.dialog, invite, body)

    def hang_up(self, reason: str = "") -> None:
        """End the leg whatever it is doing; nothing is heard of it afterwards. `reason`: a Reason header's value."""
        self.owner = None
        if self.ended:
            return
        self._send_bye(reason)

    # --- inside the dialog, from the peer -----------------------------------------------------------------------------

    def on_request(self, key: Key, request: Request) -> None:
        """A request inside the dialog (DialogUser)."""
        dialog = self.dialog
        if self.ended or dialog is None:
            # RFC 3261 15.1.2: a BYE that crosses ours is answered like any other.
            self.endpoint.respond(key, request.answer(200 if request.method == "BYE" else 481))
            if self._bye_waits is not None and request.method == "BYE":
                self._bye_waits = None
                self._end()
            return
        refusal = dialog.receive_request(request)
        if refusal is not None:
            self.endpoint.respond(key, refusal)
            return
        # A phone behind NAT may have a new port, or a new connection: that is the way to it from now on.
        self.flow = self.endpoint.source or self.flow
        handler = _REQUESTS.get(request.method)
        if handler is None:
            self.endpoint.respond(key, request.answer(405, None, None, self.abilities))
            return
        handler(self, key, request)

    def _on_bye(self, key: Key, request: Request) -> None:
        try:
            self._refuse_pending()
            self._end()
            self.tell(HungUp(EndCause.NORMAL, request.get("Reason") or ""))
        finally:
            # Last: a call whose end was confirmed to anybody has its record, whatever happens to this server now.
            self.endpoint.respond(key, request.answer(200))

    def _on_offer(self, key: Key, request: Request) -> None:
        if is_too_short(request):
            self._undo_and_refuse(key, request, 422, [("Min-SE", str(MINIMUM))])
            return
        body = body_of(request)
        if request.method == "UPDATE" and body is None:
            # A refresh of the session or of the target: no offer in it for the other side (RFC 3311 5.2).
            self._accept(key, request, None)
            return
        early = request.method == "UPDATE" and self._is_agreed_early()
        if self._invited_by is not None or not (early or self._is_established()):
            # RFC 3261 14.2, RFC 3311 5.2: one at a time, and not before the INVITE has its answer.
            self._undo_and_refuse(key, request, 500, AGAIN_SOON)
            return
        if not self._is_settled():
            # RFC 3261 14.2; RFC 5407 3.1.4 for the re-INVITE that overtakes an ACK.
            self._undo_and_refuse(key, request, 491)
            return
        if request.method == "INVITE":
            # The answer may take the other side a while (RFC 3261 17.2.1).
            self.endpoint.respond(key, request.answer(100))
        if body is not None and body == self._last_heard and self._last_sent is not None:
            # RFC 4028 7.4: an offer that is the same as before refreshes this leg only; the other has its own timer.
            self._accept(key, request, self._last_sent)
            return
        self._pass_offer(key, request, body)

    def _pass_offer(self, key: Key, request: Request, body: Body | None) -> None:
        """Have the call answer an offer of the peer's."""
        self._heard_before = self._last_heard
        if body is not None:
            self._last_heard = body
        self._invited_by = (key, request)
        method = "INVITE" if request.method == "INVITE" else "UPDATE"
        self.tell(Offered(method, body))

    def _undo_and_refuse(
        self, key: Key, request: Request, status: int, headers: Iterable[tuple[str, str]] = ()
    ) -> None:
        """Refuse a re-INVITE or UPDATE at once: nothing that it said stays (RFC 3261 14.2)."""
        if self.dialog is not None:
            self.dialog.undo_refresh(request)
        self.endpoint.respond(key, request.answer(status, None, None, headers))

    def _on_info(self, key: Key, request: Request) -> None:
        if self.owner is None or len(self._informed_by) >= 32:
            self.endpoint.respond(key, request.answer(500))
            return
        self._informed_by.append((key, request))
        self.tell(Informed(body_of(request), request.get("Info-Package") or ""))

    def _on_refer(self, key: Key, request: Request) -> None:
        """RFC 3515: the call decides whether its other side is called elsewhere."""
        self.referrals += 1
        referral = Referral(self, key, request)
        if self.owner is None:
            referral.refuse(481, "")
        self.tell(Referred(referral))

    def _on_options(self, key: Key, request: Request) -> None:
        self.endpoint.respond(key, self._answer(request, 200, None, None))

    def on_cancel(self, key: Key, _request: Request) -> None:
        """The peer takes back its re-INVITE (RFC 3261 9.2)."""
        if self._invited_by is not None and self._invited_by[0] == key:
            self.refuse_offer(487, "")
            self.tell(OfferCancelled())

    def on_ack(self, request: Request) -> None:
        """The ACK of our 2xx (DialogUser)."""
        answer = self._unacknowledged
        if answer is None or request.cseq.number != answer.cseq.number:
            return
        self._unacknowledged = None
        if self._repeat is not None:
            self._repeat.cancel()
            self._repeat = None
        reason, self._bye_waits = self._bye_waits, None
        if reason is not None:
            self._send_bye(reason)
        else:
            body = body_of(request) if self._answer_in_ack else None
            self._last_heard = body or self._last_heard
            self.tell(Acknowledged(body, self._answer_in_ack))

    # --- answers to our own requests ----------------------------------------------------------------------------------

    def on_response(self, key: Key, response: Response) -> None:
        """An answer to a request of ours inside the dialog (ClientUser)."""
        if self._asked and response.status >= 200:
            asked = self._asked.pop(key, None)
            if asked is not None and response.status in (401, 407) and self._ask_with_password(key, asked, response):
                return
        if key == self._offer_key:
            self._on_offer_response(response)
        elif response.status >= 200 and key in self._info_keys:
            self._info_keys.discard(key)
            if response.status == 481:
                # RFC 3261 12.2.1.2: the peer knows nothing of this dialog (any more).
                self._lost(EndCause.ERROR)
                return
            self.tell(InfoAnswered(response.status, response.reason))
        elif response.status >= 200 and key == self._alive_key:
            self._alive_key = None
            if response.status in (408, 481):
                self._lost(EndCause.ERROR)
        elif response.status >= 200 and key == self._bye_key:
            self._forget_dialog()
        elif 200 <= response.status < 300 and response.cseq.method == "INVITE":
            self._repeat_ack(response)

    def _on_offer_response(self, response: Response) -> None:
        status = response.status
        request, dialog = self._offer_request, self.dialog
        if request is None or dialog is None:
            return
        if status < 200:
            if not self._offer_heard:
                self._offer_heard = True
                if self._offer_given_up:
                    self.endpoint.send_cancel(cancel_for(request), self.way_to_peer(), self)
            return
        self._offer_request = self._offer_key = None
        if self._offer_patience is not None:
            self._offer_patience.cancel()
            self._offer_patience = None
        if status < 300:
            self._offer_accepted(dialog, request, response)
        elif self.ended:
            return
        elif status in (408, 481):
            # RFC 3261 12.2.1.2: the peer knows nothing of this dialog (any more).
            refreshing, self._refreshing = self._refreshing, False
            self._lost(EndCause.SESSION_EXPIRED if refreshing else EndCause.ERROR)
        else:
            if status == 422:
                self._least_session = wanted_minimum(response)
            self._offer_failed(status, response.reason)

    def _offer_accepted(self, dialog: Dialog, request: Request, response: Response) -> None:
        """Our re-INVITE or UPDATE got a 2xx."""
        refreshing, self._refreshing = self._refreshing, False
        dialog.refresh_target(response)
        self._learn(response)
        self._keep_session(agreed_as_client(response))
        if request.method == "INVITE":
            if request.body or self.owner is None or refreshing:
                self._send_ack(dialog, request, None)
            else:
                self._ack_wanted_for = request
        if not refreshing:
            self.tell(OfferAnswered(body_of(response)))

    def _offer_failed(self, status: int, reason: str) -> None:
        """Our re-INVITE or UPDATE was refused: the media stay as they were (RFC 3261 14.1)."""
        self._last_sent = self._sent_before
        refreshing, self._refreshing = self._refreshing, False
        if not refreshing:
            self.tell(OfferRefused(status, reason))
        elif self._session is None:
            # RFC 4028 10: the session goes on until it expires, and may be refreshed until then.
            self._refresh_refusal = f"{status} {reason}".strip()
            self._peer_updates = self._peer_updates and status not in (405, 501)
            self._session = self.endpoint.schedule(self._refresh_pause, self._session_due)
            self._refresh_pause *= 2

    # --- session timer (RFC 4028) -------------------------------------------------------------------------------------

    def _learn(self, message: Message) -> None:
        """Note what the peer can do, and its session description."""
        allow = message.get("Allow")
        if allow is not None:
            self._peer_updates = "UPDATE" in allow
        body = body_of(message)
        if body is not None:
            self._last_heard = body

    def _keep_session(self, terms: SessionTerms | None) -> None:
        """Arm what was agreed on; None ends an earlier agreement."""
        self._stop_session()
        self._terms = terms
        self._refresh_pause, self._refresh_refusal = REFRESH_AGAIN_AFTER, ""
        if terms is not None and not self.ended:
            if terms.we_refresh:
                self._session = self.endpoint.schedule(terms.expires / 2, self._session_due)
            self._session_end = self.endpoint.schedule(terms.ends_in, self._session_expired)
        elif self.session_expires and not self.ended:
            self._session = self.endpoint.schedule(self.session_expires / 2, self._ask_whether_alive)

    def _stop_session(self) -> None:
        for deadline in (self._session, self._session_end):
            if deadline is not None:
                deadline.cancel()
        self._session = self._session_end = None

    def _ask_whether_alive(self, _now: float) -> None:
        """A peer without session timers is asked by OPTIONS, which changes nothing: one that has rebooted says 481."""
        self._session = None
        dialog = self.dialog
        if self.ended or dialog is None:
            return
        self._session = self.endpoint.schedule(self.session_expires / 2, self._ask_whether_alive)
        if self._alive_key is None:
            self._alive_key = self._ask(dialog, dialog.create_request("OPTIONS", [("User-Agent", USER_AGENT)]))

    def _session_due(self, _now: float) -> None:
        """It is our turn to refresh the session: with UPDATE, or a re-INVITE that changes nothing."""
        self._session = None
        if self.ended:
            return
        method, body = ("UPDATE", None) if self._peer_updates else ("INVITE", self._last_sent)
        if (method == "INVITE" and body is None) or not self.offer(method, body):
            self._session = self.endpoint.schedule(REFRESH_AGAIN_AFTER, self._session_due)
            return
        self._refreshing = True

    def _session_expired(self, _now: float) -> None:
        """The session was not refreshed in time, by whoever should have done it: it is dead (RFC 4028 10)."""
        self._session_end = None
        if not self.ended:
            refusal = f"refused to refresh the session: {self._refresh_refusal}" if self._refresh_refusal else ""
            self._lost(EndCause.SESSION_EXPIRED, refusal)

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """A request of ours got no answer (ClientUser)."""
        if self._asked:
            self._asked.pop(key, None)
        if key == self._offer_key:
            self._offer_key = self._offer_request = None
            if self._offer_patience is not None:
                self._offer_patience.cancel()
                self._offer_patience = None
            refreshing, self._refreshing = self._refreshing, False
            self._lost(EndCause.SESSION_EXPIRED if refreshing else EndCause.ERROR)
        elif key in self._info_keys:
            self._info_keys.discard(key)
            self.tell(InfoAnswered(408 if timed_out else 503, ""))
        elif key == self._alive_key:
            self._alive_key = None
            self._lost(EndCause.ERROR)
        elif key == self._bye_key:
            self._forget_dialog()

    def _lost(self, cause: EndCause, what: str = "") -> None:
        """The peer is gone in the middle of the call: end this leg with a BYE all the same and tell the call.

        `what` the peer did, in words, where the cause does not say it.
        """
        if self.ended:
            return
        owner = self.owner
        self.owner = None
        reason = _REASONS.get(cause, "")
        self._send_bye(reason)
        if owner is not None:
            owner.handle(self, HungUp(cause, reason, what))

    # --- helpers ------------------------------------------------------------------------------------------------------

    @property
    def abilities(self) -> tuple[tuple[str, str], ...]:
        """What the peer may ask for: Allow, and for a local user's phone the options of transfers."""
        return abilities_for(bool(self.phone_of))

    def way_to_peer(self) -> Flow:
        """Where the next request inside the dialog goes."""
        return self.flow if self.dialog is None else self._way_of(self.dialog)

    def _way_of(self, dialog: Dialog) -> Flow:
        """Where the requests of one of the leg's dialogs go."""
        uri = dialog.next_hop()
        return next_hop(uri.host, uri.port, self.flow, bool(self.phone_of))

    def _ask(self, dialog: Dialog, request: Request) -> Key:
        """Send a request inside a dialog; where a password may be asked for, it is kept until it is answered."""
        key = self.endpoint.send_request(request, self._way_of(dialog), self)
        if self.authorize is not None:
            self._asked[key] = (dialog, request)
        return key

    def _ask_with_password(self, key: Key, asked: tuple[Dialog, Request], response: Response) -> bool:
        """RFC 3261 22.2: the same request with credentials, once; False where there is nothing to answer."""
        dialog, request = asked
        if self.authorize is None or credentials_of(request):
            return False
        header = self.authorize(request, response)
        if header is None:
            return False
        again = with_credentials(dialog, request, header)
        new_key = self._ask(dialog, again)
        if key == self._offer_key:
            self._offer_key, self._offer_request, self._offer_heard = new_key, again, False
        elif key == self._bye_key:
            self._bye_key = new_key
        elif key in self._info_keys:
            self._info_keys.remove(key)
            self._info_keys.add(new_key)
        return True

    def _answer(
        self,
        request: Request,
        status: int,
        reason: str | None,
        body: Body | None,
        more: Iterable[tuple[str, str]] = (),
    ) -> Response:
        """An answer with what the peer needs to reach us."""
        headers = [("Contact", self.contact), *self.abilities, ("Server", USER_AGENT), *more, *body_headers(body)]
        return request.answer(status, reason, self.local_tag, headers, body.content if body else b"")

    def _send_ack(self, dialog: Dialog, invite: Request, body: Body | None) -> None:
        """Acknowledge the 2xx of an INVITE of ours, with the INVITE's credentials (RFC 3261 22.1)."""
        sequence = invite.cseq.number
        headers = body_headers(body)
        if self.authorize is not None:
            headers += credentials_of(invite)
        ack = dialog.create_ack(sequence, headers, body.content if body else b"")
        if len(self._acks) >= 8:
            self._acks.clear()
        self._acks[sequence, dialog.id.remote_tag] = self.endpoint.send_ack(ack, self._way_of(dialog))

    def _repeat_ack(self, response: Response) -> None:
        """RFC 3261 13.2.2.4: a repeated 2xx means that the ACK was lost."""
        data = self._acks.get((response.cseq.number, response.to.tag or ""))
        if data is not None:
            self.endpoint.send_again(self.way_to_peer(), data)

    def _await_ack(self, key: Key, answer: Response, answer_in_ack: bool) -> None:
        """Repeat a 2xx until its ACK comes (RFC 3261 13.3.1.4), whatever the transport."""
        now = self.endpoint.now()
        self._unacknowledged = answer
        self._answer_in_ack = answer_in_ack
        self._repeat_key = key
        self._repetition = AcceptedRetransmission.begin(now)
        self._repeat = self.endpoint.schedule(self._repetition.next_at - now, self._repeat_answer)

    def _repeat_answer(self, now: float) -> None:
        self._repeat = None
        answer, repetition = self._unacknowledged, self._repetition
        if answer is None or repetition is None or self._repeat_key is None:
            return
        if now >= repetition.give_up_at:
            self._unacknowledged = self._bye_waits = None
            owner = self.owner
            self.owner = None
            reason = _REASONS[EndCause.ACK_MISSING]
            self._send_bye(reason)
            if owner is not None:
                owner.handle(self, HungUp(EndCause.ACK_MISSING, reason))
            return
        self.endpoint.respond(self._repeat_key, answer)
        self._repetition = repetition = repetition.after(now)
        self._repeat = self.endpoint.schedule(repetition.next_at - now, self._repeat_answer)

    def _refuse_pending(self) -> None:
        """RFC 3261 15.1.2: what the peer still waits for is refused when the dialog ends."""
        if self._invited_by is not None:
            self.refuse_offer(487, "")
        while self._informed_by:
            self.answer_info(481, "")

    def _send_bye(self, reason: str) -> None:
        """End the dialog with a BYE."""
        self._refuse_pending()
        if self._unacknowledged is not None:
            # RFC 3261 15: no BYE before the ACK of our 2xx, which is repeated until it comes.
            self._end(keep_dialog=True, keep_answer=True)
            self._bye_waits = reason
            return
        self._end(keep_dialog=True)
        dialog = self.dialog
        if dialog is None:
            self._forget_dialog()
            return
        if self._ack_wanted_for is not None:
            # The peer's 2xx must be acknowledged even though nobody is there to answer its offer.
            self.acknowledge(None)
        headers = [("User-Agent", USER_AGENT)]
        if reason:
            headers.append(("Reason", reason))
        bye = dialog.create_request("BYE", headers, b"")
        dialog.state = DialogState.TERMINATED
        self._bye_key = self._ask(dialog, bye)

    def _end(self, keep_dialog: bool = False, keep_answer: bool = False) -> None:
        """Nothing more happens on this leg but the end of its own transactions."""
        self.ended = True
        if not keep_answer:
            if self._repeat is not None:
                self._repeat.cancel()
                self._repeat = None
            self._unacknowledged = None
        if self._offer_patience is not None:
            # The peer owes our re-INVITE an answer, but need not be waited for much longer.
            self._be_patient(CANCEL_PATIENCE)
        self._stop_session()
        if not keep_dialog:
            self._forget_dialog()

    def _forget_dialog(self) -> None:
        self.endpoint.dialogs.pop(self._registered, None)


_REASONS = {
    EndCause.ACK_MISSING: 'SIP;cause=408;text="ACK missing"',
    EndCause.SESSION_EXPIRED: 'SIP;cause=408;text="Session expired"',
}
"""What both sides are told of an end that neither of them wanted (RFC 3326)."""

_REQUESTS = {
    "BYE": Leg._on_bye,
    "INVITE": Leg._on_offer,
    "UPDATE": Leg._on_offer,
    "INFO": Leg._on_info,
    "OPTIONS": Leg._on_options,
    "REFER": Leg._on_refer,
}
