"""The leg of the caller: an INVITE that came in, until it is answered, refused or cancelled (RFC 3261 13.3)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from app.calls.leg import Leg, LegOwner, body_headers, body_of
from app.calls.leg_events import Acknowledged, Body, Cancelled, EndCause, HungUp
from app.calls.outgoing import USER_AGENT
from app.calls.provisional import ReliableProvisionals, option_in
from app.calls.session_timer import agree_as_server
from app.sip.dialog import Dialog
from app.sip.endpoint import Endpoint, new_tag
from app.sip.message import Request, Response

if TYPE_CHECKING:
    from app.clock import Deadline
    from app.sip.flow import Flow
    from app.sip.transaction import Key

TRYING_AFTER = 0.2
"""RFC 3261 17.2.1: a 100 is due unless another answer goes out within 200 ms."""


class CallerLeg(Leg):
    """The server side of an INVITE. Answer it with `ring`, `answer` or `refuse`."""

    def __init__(self, endpoint: Endpoint, owner: LegOwner | None, key: Key, request: Request, source: Flow) -> None:
        """RemoteError (400) when the request has no Contact that its dialog could use."""
        user = request.uri.user if request.uri.scheme != "tel" else None
        contact = endpoint.contact(source, user or "trunkline")
        tag = new_tag()
        dialog = Dialog.as_uas(request, tag, contact)
        super().__init__(endpoint, owner, source, request.call_id, tag)
        self.dialog = dialog
        self.contact = contact
        self.key = key
        self.request = request
        self.offer_body = body_of(request)
        """What the next target is offered; None where the caller wants to be offered something."""
        self.is_late = self.offer_body is None
        """Whether the caller's INVITE had no offer: it wants one in our first reliable answer (RFC 3261 13.2.1)."""
        self._learn(request)
        self._provisionals: ReliableProvisionals | None = None
        # Only where the peer wants it: a reliable response costs a round trip each.
        self._must_be_reliable = option_in(request, "Require")
        self._may_be_reliable = self._must_be_reliable or option_in(request, "Supported")
        self.is_promised = False
        """Whether a session description goes out reliably before the answer, now or after a PRACK: it is for good."""
        self._answer_in_prack = False
        """Whether a provisional answer carried an offer, whose answer comes with the PRACK."""
        self._previewed = False
        """Whether a session description has gone out in this early dialog that does not count before the answer."""
        self._final = False
        self.status = 0
        """The final status that the caller got, 0 before."""
        self._answer_waits: tuple[Body | None] | None = None
        """The answer, while early media that the caller has not acknowledged keeps it back."""
        self._trying: Deadline | None = endpoint.schedule(TRYING_AFTER, self._send_trying)

    @property
    def answered(self) -> bool:
        """Whether the INVITE has its final answer."""
        return self._final

    def _send_trying(self, _now: float) -> None:
        self._trying = None
        if not self._final:
            self.endpoint.respond(self.key, self.request.answer(100))

    def _no_trying(self) -> None:
        if self._trying is not None:
            self._trying.cancel()
            self._trying = None

    @property
    def is_bound(self) -> bool:
        """Whether the caller has a session description for good: whatever else the INVITE's answers say is ignored."""
        return self._provisionals is not None and self._provisionals.is_described

    @property
    def takes_early_offer(self) -> bool:
        """Whether an offer of the called side can be passed on before the answer.

        The first one in a reliable provisional answer (RFC 3262 5), later ones in UPDATE (RFC 3311 5.1).
        """
        return self._may_be_reliable and (not self.is_promised or self._peer_updates)

    def ring(self, status: int, reason: str, body: Body | None) -> None:
        """Pass a provisional answer on; its body is early media, or the offer that the caller has asked for.

        That offer must be in our first reliable answer (RFC 3261 13.2.1, RFC 3262 5). So a caller without an offer
        that takes none but reliable answers (RFC 3262 3) hears nothing but 100 until the called side has made one; a
        caller that takes others hears them, but they never carry the offer.
        """
        if self._final or self._answer_waits is not None:
            return
        if self.is_late and not self.is_promised:
            if body is not None and not self._may_be_reliable:
                body = None
            if body is None and self._must_be_reliable:
                return
            self._answer_in_prack = body is not None
        self._no_trying()
        headers = [("Contact", self.contact), ("Server", USER_AGENT), *body_headers(body)]
        answer = self.request.answer(status, reason or None, self.local_tag, headers, body.content if body else b"")
        if body is not None:
            self._last_sent = body
        if self._must_be_reliable or (self._may_be_reliable and body is not None):
            self.is_promised = self.is_promised or body is not None
            # RFC 3311 5.1: who shall know that it may send UPDATE before the answer is told so here.
            answer.add(*self.abilities[0])
            if self._provisionals is None:
                self._provisionals = ReliableProvisionals(
                    self.endpoint, self.key, self.request.cseq.number, self._no_prack
                )
            self._provisionals.send(answer)
        else:
            self._previewed = self._previewed or body is not None
            self.endpoint.respond(self.key, answer)

    def begin_early_dialog(self) -> None:
        """Another target is tried: what it says of its session is the answer of another early dialog, with a To tag of
        its own, where the one before has said anything (RFC 3261 12.1 and 13.2.1: one session in each dialog).

        The one before is over: a request in it gets 481. Not where its description went out reliably: then the caller
        is offered the other session in the dialog that it has.
        """
        if not self._previewed or self._provisionals is not None or self._final:
            return
        self._previewed = False
        self._forget_dialog()
        self.local_tag = new_tag()
        self.dialog = Dialog.as_uas(self.request, self.local_tag, self.contact)
        self._registered = self.call_id, self.local_tag
        self.endpoint.dialogs[self._registered] = self

    def _no_prack(self) -> None:
        """RFC 3262 3: a reliable response was never acknowledged; the INVITE is refused."""
        owner = self.owner
        self.refuse(504)
        if owner is not None:
            owner.handle(self, HungUp(EndCause.ACK_MISSING))

    def _on_prack(self, key: Key, request: Request) -> None:
        provisionals = self._provisionals
        if provisionals is None or not provisionals.acknowledge(request):
            self.endpoint.respond(key, request.answer(481))
            return
        body = body_of(request)
        if self._answer_in_prack:
            self._answer_in_prack = False
            self._on_early_answer(key, request, body)
        elif body is None or not provisionals.is_agreed:
            self.endpoint.respond(key, request.answer(200))
        elif self._final or self._answer_waits is not None or self._is_exchanging():
            # RFC 3262 3: a 2xx it must get, and there is nobody to ask any more.
            self._accept(key, request, self._last_sent)
        else:
            self._pass_offer(key, request, body)
        self._answer_at_last()

    def _on_early_answer(self, key: Key, request: Request, body: Body | None) -> None:
        """RFC 3262 5: the PRACK of our offer brings the answer; without one that can be used the call is over."""
        owner = self.owner
        if body is not None:
            self._last_heard = body
            self.tell(Acknowledged(body))
        else:
            self.refuse(400, "Answer Missing In PRACK")
        self.endpoint.respond(key, request.answer(self.status if self.status >= 300 else 200))
        if body is None and owner is not None:
            owner.handle(self, HungUp(EndCause.REJECTED))

    def _is_agreed_early(self) -> bool:
        return not self._final and self._provisionals is not None and self._provisionals.is_agreed

    def _is_exchanging(self) -> bool:
        """Whether an offer, in either direction, waits for its answer."""
        return self._invited_by is not None or self._offer_key is not None

    def _answer_at_last(self) -> None:
        """Send the answer that waited for a PRACK or for an exchange of descriptions, once nothing keeps it back."""
        if self._answer_waits is not None and not self._final:
            (body,), self._answer_waits = self._answer_waits, None
            self.answer(body)

    def answer(self, body: Body | None) -> None:
        """The called side has answered: 200, repeated until the ACK comes."""
        if self._final:
            return
        self._no_trying()
        if self.is_late and self.is_bound:
            # RFC 3261 13.2.1: the offer was in a provisional answer, its answer in the PRACK.
            body = None
        if self._provisionals is not None and (self._provisionals.keeps_answer_back() or self._is_exchanging()):
            self._answer_waits = (body,)
            return
        self._final = True
        self.status = 200
        if self.dialog is not None:
            self.dialog.confirm()
        if self._provisionals is not None:
            self._provisionals.stop()
        if body is not None:
            self._last_sent = body
        terms, session = agree_as_server(self.request, self.session_expires)
        answer = self._answer(self.request, 200, None, body, session)
        self.endpoint.respond(self.key, answer)
        self._keep_session(terms)
        self._await_ack(self.key, answer, self.is_late and body is not None)

    def accept_offer(self, body: Body | None) -> bool:
        """Answer the peer's offer."""
        accepted = super().accept_offer(body)
        self._answer_at_last()
        return accepted

    def refuse_offer(self, status: int, reason: str, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Refuse the peer's offer."""
        super().refuse_offer(status, reason, headers)
        self._answer_at_last()

    def on_response(self, key: Key, response: Response) -> None:
        """An answer to a request of ours inside the dialog (ClientUser)."""
        super().on_response(key, response)
        self._answer_at_last()

    def _lost(self, cause: EndCause, what: str = "") -> None:
        if self._final:
            super()._lost(cause, what)
            return
        owner = self.owner
        self.refuse(480)
        if owner is not None:
            owner.handle(self, HungUp(cause))

    def _is_settled(self) -> bool:
        return (self._final or self._is_agreed_early()) and super()._is_settled()

    def _is_established(self) -> bool:
        return self._final

    def refuse(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = ()) -> None:
        """The call will not be answered: a final status of 300 to 699."""
        self.owner = None
        if self._final:
            return
        self._final = True
        self.status = status
        self._no_trying()
        if self._provisionals is not None:
            self._provisionals.stop()
        self._refuse_pending()
        answer = self.request.answer(status, reason or None, self.local_tag, [("Server", USER_AGENT), *headers])
        self.endpoint.respond(self.key, answer)
        self._end()

    def on_cancel(self, key: Key, request: Request) -> None:
        """The CANCEL of the INVITE, or of a later re-INVITE (RFC 3261 9.2)."""
        if key != self.key:
            super().on_cancel(key, request)
            return
        if self._final:
            return
        owner = self.owner
        self.refuse(487)
        if owner is not None:
            owner.handle(self, Cancelled(request.get("Reason") or ""))

    def _on_early_bye(self, key: Key, request: Request) -> None:
        """RFC 3261 15: a caller may end an early dialog with BYE; it counts as a CANCEL."""
        self.endpoint.respond(key, request.answer(200))
        owner = self.owner
        self.refuse(487)
        if owner is not None:
            owner.handle(self, Cancelled(request.get("Reason") or ""))

    def on_request(self, key: Key, request: Request) -> None:
        """A request inside the dialog; before the answer only PRACK and BYE mean anything."""
        if request.method == "PRACK":
            self._on_prack(key, request)
            return
        if not self._final and request.method == "BYE":
            self._on_early_bye(key, request)
            return
        super().on_request(key, request)

    def hang_up(self, reason: str = "") -> None:
        """End the leg: BYE after the answer, a refusal before it."""
        if not self._final:
            self.refuse(480, headers=[("Reason", reason)] if reason else ())
            return
        super().hang_up(reason)
