"""The leg of the called side: an INVITE that goes out, until it is answered, fails or is cancelled (RFC 3261 13.2)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.calls.call_words import refusal_of
from app.calls.challenges import is_stale
from app.calls.diversion import diversion_reason, redirected_to
from app.calls.leg import AGAIN_SOON, CANCEL_PATIENCE, Authorize, Leg, LegOwner, body_headers, body_of
from app.calls.leg_events import Answered, Body, EndCause, Failed, FailureKind, OfferRefused, Redirected, Ringing
from app.calls.outgoing import USER_AGENT
from app.calls.provisional import option_in
from app.calls.refusals import explanation
from app.calls.session_timer import agreed_as_client, asked_for, offer_as_client, wanted_minimum
from app.sip.dialog import Dialog, DialogSet
from app.sip.endpoint import Endpoint
from app.sip.message import Request, Response
from app.sip.transaction import cancel_for

if TYPE_CHECKING:
    from app.clock import Deadline
    from app.sip.flow import Flow
    from app.sip.transaction import Key

MAXIMUM_CHALLENGES = 4
"""So many 401 and 407 are answered for one call."""
MAXIMUM_EARLY = 32
"""So many early dialogs of one INVITE may send requests of their own."""
LONGEST_SESSION = 86400
"""A peer that wants a longer Min-SE than this (seconds) is taken at its refusal."""


@dataclass(slots=True)
class EarlyDialog:
    """What is known of one early dialog of the INVITE."""

    number: int | None = None
    """The last RSeq (RFC 3262 4)."""
    description: Body | None = None
    """The session description that came reliably."""
    preview: Body | None = None
    """The newest one that came otherwise: it counts where the final answer forgets to say it (RFC 3261 13.2.1)."""
    is_declined: bool = False
    """That was an offer, and its answer refused every stream."""


class CalledLeg(Leg):
    """The client side of an INVITE.

    It may make several early dialogs (forking), each with offers and answers of its own (RFC 3261 13.2.2.4, RFC 3262
    5). One of them, the first to describe its session reliably, is the leg's `dialog` until another one answers: only
    in it do offers pass in either direction. The others' are put off (500 with Retry-After, RFC 3311 5.2) or, where an
    offer is in a provisional answer and must be answered in the PRACK, declined: all streams are refused, which a new
    offer mends if that one answers the call (RFC 6337 2.3, table 2).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        owner: LegOwner | None,
        flow: Flow,
        request: Request,
        contact: str,
        from_tag: str,
        authorize: Authorize | None = None,
        target: str = "",
    ) -> None:
        super().__init__(endpoint, owner, flow, request.call_id, from_tag)
        self.contact = contact
        self.target = target
        """The name of the target that this leg rings, for the call."""
        self.request = request
        self.responded = False
        """Whether the peer has given any answer at all to the INVITE as it was sent last."""
        self.rang = False
        self.only_rings = False
        """Whether its early media are not passed on: the caller's phone makes its own tone of ringing."""
        self._early = DialogSet(request)
        self._heard: dict[str, EarlyDialog] = {}
        """What came with provisional answers, by the peer's tag."""
        self._prack_wanted: int | None = None
        """The RSeq of the offer in `dialog` whose PRACK waits for the answer."""
        self._prack_key: Key | None = None
        """Our PRACK with an answer in it."""
        self.is_declined = False
        """Whether the answer to the early offer in `dialog` refused every stream."""
        self.authorize = authorize
        self._challenged: list[int] = []
        """The challenges (401, 407) that were answered."""
        self._final = False
        self._cancel_wanted = ""
        self._cancelling = False
        self._cancel_key: Key | None = None
        self._patience: Deadline | None = None
        self._first_response: Deadline | None = None
        self._first_response_within = 0.0
        self.key: Key | None = None

    def invite(self, first_response_within: float) -> None:
        """Send the INVITE. Without any answer in that time (seconds) the leg fails, so that another target is tried."""
        self._first_response_within = first_response_within
        self._first_response = self.endpoint.schedule(first_response_within, self._no_first_response)
        self._last_sent = body_of(self.request)
        self.key = self.endpoint.send_request(self.request, self.flow, self)

    def _no_first_response(self, _now: float) -> None:
        self._first_response = None
        if self.responded or self._final or self.key is None:
            return
        self._fail(Failed(408, "no answer from the other side", FailureKind.TIMEOUT))
        self.cancel()

    def cancel(self, reason: str = "") -> None:
        """Give the INVITE up; nothing is heard of the leg afterwards (RFC 3261 9.1)."""
        self.owner = None
        if self._final or self._cancelling or self.key is None:
            return
        self._cancel_wanted = reason or "-"
        if self._patience is None:
            self._patience = self.endpoint.schedule(CANCEL_PATIENCE, self._out_of_patience)
        if self.responded:
            self._send_cancel()

    def _send_cancel(self) -> None:
        self._cancelling = True
        cancel = cancel_for(self.request)
        if self._cancel_wanted != "-":
            cancel.add("Reason", self._cancel_wanted)
        self._cancel_key = self.endpoint.send_cancel(cancel, self.flow, self)

    def _out_of_patience(self, _now: float) -> None:
        self._patience = None
        if not self._final and self.key is not None:
            self._final = True
            self.endpoint.forget(self.key)
            self._close()

    def hang_up(self, reason: str = "") -> None:
        """End the leg: BYE after the answer, CANCEL before it."""
        if self.dialog is not None and self._final:
            super().hang_up(reason)
        else:
            self.cancel(reason)

    def on_response(self, key: Key, response: Response) -> None:
        """An answer to the INVITE, or to a request inside the dialog (ClientUser)."""
        if key != self.key:
            super().on_response(key, response)
            if key == self._prack_key and response.status >= 200:
                self._on_prack_response(response)
            return
        self.responded = True
        if self._first_response is not None:
            self._first_response.cancel()
            self._first_response = None
        status = response.status
        if status < 200:
            self._on_provisional(response)
        elif status < 300:
            self._on_success(response)
        else:
            self._on_failure(response)

    def _on_provisional(self, response: Response) -> None:
        if self._cancel_wanted:
            if not self._cancelling:
                self._send_cancel()
            return
        # A 199 speaks of one early dialog among several, and the caller has but one with us (RFC 6228).
        if response.status > 100 and response.status != 199:
            self.rang = True
            ringing = self._hear(response)
            if ringing is not None:
                self.tell(ringing.without_media() if self.only_rings else ringing)

    def _hear(self, response: Response) -> Ringing | None:
        """What a provisional answer says; None for a reliable one that came before or out of order (RFC 3262 4)."""
        status, reason, body, tag = response.status, response.reason, body_of(response), response.to.tag or ""
        early = self._heard.get(tag)
        if early is None:
            early = EarlyDialog()
            if len(self._heard) < MAXIMUM_EARLY:
                self._heard[tag] = early
        rseq = response.get("RSeq") or ""
        dialog = None
        if option_in(response, "Require") and rseq.isdecimal() and rseq.isascii():
            dialog = self._early.receive_response(response)
        if dialog is None:
            early.preview = body or early.preview
            return Ringing(status, reason, body, tag)
        number = int(rseq)
        if early.number is not None and number != early.number + 1:
            return None
        early.number = number
        if body is None or (not self.request.body and not self._may_be_offer(early, body)):
            self._acknowledge_provisional(dialog, number, None)
            return Ringing(status, reason, body, tag)
        early.description = body
        is_first = self.dialog is None
        if is_first:
            self.dialog = dialog
            self._learn(response)
        if self.request.body:
            # RFC 3311 5.1: offer and answer have passed reliably; from now on either side may make another offer.
            self._acknowledge_provisional(dialog, number, None)
            return Ringing(status, reason, body, tag, is_agreed=True)
        if is_first:
            # RFC 3262 5: the PRACK carries the answer, and waits for it.
            self._prack_wanted = number
            return Ringing(status, reason, body, tag, is_offer=True)
        early.is_declined = True
        self._acknowledge_provisional(dialog, number, refusal_of(body))
        return Ringing(status, reason, None, tag)

    def _may_be_offer(self, early: EarlyDialog, body: Body) -> bool:
        """Whether a reliable answer to an INVITE without offer carries one: the first, where we said that it may."""
        if early.description is not None or not body.is_description:
            return False
        return option_in(self.request, "Supported") or option_in(self.request, "Require")

    def _acknowledge_provisional(self, dialog: Dialog, number: int, body: Body | None) -> None:
        """RFC 3262 4: send the PRACK of a reliable response."""
        headers = [("RAck", f"{number} {self.request.cseq.number} INVITE"), ("User-Agent", USER_AGENT)]
        prack = dialog.create_request("PRACK", headers + body_headers(body), body.content if body is not None else b"")
        key = self._ask(dialog, prack)
        if body is not None and dialog is self.dialog:
            self._prack_key = key

    @property
    def owes_answer(self) -> bool:
        """Whether the peer's offer waits for its answer, which `acknowledge` takes."""
        return self._prack_wanted is not None or super().owes_answer

    def acknowledge(self, body: Body | None) -> None:
        """Send the PRACK or the ACK that waited for the answer to the peer's offer (RFC 3262 5, RFC 3261 13.2.1)."""
        number, self._prack_wanted = self._prack_wanted, None
        if number is None or self.dialog is None:
            super().acknowledge(body)
            return
        if body is not None:
            self._last_sent = body
        self._acknowledge_provisional(self.dialog, number, body)

    def decline(self) -> None:
        """Nobody can answer the offer that waits for its PRACK: refuse all of its streams (RFC 6337 2.3)."""
        if self._prack_wanted is not None and self.dialog is not None and self._last_heard is not None:
            self.is_declined = True
            early = self._heard.get(self.dialog.id.remote_tag)
            if early is not None:
                early.is_declined = True
            self.acknowledge(refusal_of(self._last_heard))

    def _on_prack_response(self, response: Response) -> None:
        """RFC 6337 2.3: an answer that was refused leaves no session that could be answered; the attempt is over."""
        self._prack_key = None
        if response.status < 300 or response.status in (401, 407, 408, 481):
            return
        if not self._final and self.owner is not None:
            self._fail(Failed(response.status, response.reason, FailureKind.ANSWER))
            self.cancel()

    def _on_success(self, response: Response) -> None:
        if self._final:
            self._on_another_success(response)
            return
        self._final = True
        self._stop_patience()
        known = self._early.receive_response(response)
        if self.dialog is not None and self.dialog is not known:
            self._give_up_early_dialog()
        dialog = self.dialog = known if known is not None else Dialog.as_uac(self.request, response)
        self._learn(response)
        early = self._heard.get(response.to.tag or "")
        agreed = early is not None and early.description is not None and self._prack_wanted is None
        # RFC 3262 4: what this answer overtook is not acknowledged any more; if it was an offer, the ACK answers it.
        self._prack_wanted = None
        if early is not None:
            self.is_declined = early.is_declined
            preview = early.preview if self.request.body else None
            self._last_heard = body_of(response) or early.description or preview or self._last_heard
        self._keep_session(agreed_as_client(response))
        if self.request.body or agreed or self.owner is None:
            self._send_ack(dialog, self.request, None)
        else:
            self._ack_wanted_for = self.request
        if self.owner is None:
            # Cancelled, but the answer was faster (RFC 3261 9.1): it is a call now, and it is ended as one.
            self._send_bye("")
            return
        self.tell(Answered(body_of(response)))

    def _is_established(self) -> bool:
        return self._final

    def _is_agreed_early(self) -> bool:
        return not self._final and self.dialog is not None and self._prack_wanted is None and not self.is_declined

    def _give_up_early_dialog(self) -> None:
        """Another fork has answered than the one in which offers passed: they do not matter any more.

        The one that has answered knows nothing but the INVITE.
        """
        self._prack_wanted = None
        self._last_sent, self._last_heard = body_of(self.request), None
        super().refuse_offer(487, "")
        if self._offer_key is not None:
            self.endpoint.release(self._offer_key)
            self._offer_key = self._offer_request = None
            self.tell(OfferRefused(500, ""))

    def _lost(self, cause: EndCause, what: str = "") -> None:
        if self._final:
            super()._lost(cause, what)
        else:
            # The INVITE's own answer says what becomes of the call; only the early offer got none.
            self.tell(OfferRefused(500, ""))

    def _on_another_success(self, response: Response) -> None:
        """RFC 3261 13.2.2.4: the same answer again, or the answer of another fork, which nobody wants."""
        dialog = self.dialog
        tag = response.to.tag or ""
        if dialog is not None and tag == dialog.id.remote_tag:
            self._repeat_ack(response)
            return
        if (self.request.cseq.number, tag) in self._acks:
            self._repeat_ack(response)
            return
        other = Dialog.as_uac(self.request, response)
        self._send_ack(other, self.request, None)
        self._ask(other, other.create_request("BYE", [("User-Agent", USER_AGENT)], b""))

    def _on_failure(self, response: Response) -> None:
        if self._final:
            return
        status = response.status
        if status in (401, 407) and self._try_again_with_password(response):
            return
        if status == 422 and self._try_again_with_longer_session(response):
            return
        self._final = True
        self._close()
        if 300 <= status < 400:
            why = diversion_reason(response, rang=self.rang)
            self._fail(Redirected(status, response.reason, redirected_to(response), why))
            return
        words = explanation(
            self.request, response, has_password=self.authorize is not None, gave_it=bool(self._challenged)
        )
        self._fail(Failed(status, response.reason, FailureKind.ANSWER, response.get("Retry-After") or "", words))

    def _try_again_with_password(self, response: Response) -> bool:
        """RFC 3261 22.2: the same INVITE with credentials.

        Once for a server and once for a proxy on the way, whose credentials stay in it; once more where only the nonce
        was too old.
        """
        if self.authorize is None or self._cancel_wanted or self.owner is None:
            return False
        answered = self._challenged
        if len(answered) >= MAXIMUM_CHALLENGES or (response.status in answered and not is_stale(response)):
            return False
        header = self.authorize(self.request, response)
        if header is None:
            return False
        answered.append(response.status)
        self._invite_again(header[:1], (header,))
        return True

    def _try_again_with_longer_session(self, response: Response) -> bool:
        """RFC 4028 7.3: the same INVITE with the session time that the peer wants at least."""
        least = wanted_minimum(response)
        if self._cancel_wanted or self.owner is None or least <= asked_for(self.request) or least > LONGEST_SESSION:
            return False
        self._least_session = least
        self.session_expires = max(self.session_expires, least)
        self._invite_again(("Session-Expires", "Min-SE"), offer_as_client(self.session_expires, least))
        return True

    def _invite_again(self, dropped: Iterable[str], added: Iterable[tuple[str, str]]) -> None:
        """Send the INVITE once more in a new transaction, with some headers changed."""
        old = self.request
        sequence = old.cseq.number + 1
        without = {"Via", "Content-Length", *dropped}
        headers = [
            (name, f"{sequence} INVITE" if name == "CSeq" else value)
            for name, value in old.headers
            if name not in without
        ]
        headers.extend(added)
        self.request = Request("INVITE", old.uri_text, headers, old.body)
        self._early = DialogSet(self.request)
        self.dialog = None
        self._heard.clear()
        self._prack_wanted = None
        self.is_declined = False
        # No CANCEL before this INVITE is answered provisionally, too (RFC 3261 9.1).
        self.responded = False
        self._first_response = self.endpoint.schedule(self._first_response_within, self._no_first_response)
        self.key = self.endpoint.send_request(self.request, self.flow, self)

    def on_request(self, key: Key, request: Request) -> None:
        """A request inside the dialog; before the answer there are only early ones (DialogUser)."""
        early, tag = self.dialog, request.from_.tag
        offers = request.method == "UPDATE" and request.body and early is not None and tag == early.id.remote_tag
        if self._final or offers or tag not in self._heard:
            super().on_request(key, request)
        elif request.method in ("UPDATE", "INVITE", "INFO") and (request.body or request.method != "UPDATE"):
            # RFC 3261 14.2, RFC 3311 5.2: not before the INVITE has its answer. A 481 would end the early dialog.
            self.endpoint.respond(key, request.answer(500, None, None, AGAIN_SOON))
        elif request.method == "UPDATE":
            self.endpoint.respond(key, self._answer(request, 200, None, None))
        else:
            # Nobody may end an early dialog with BYE from this side (RFC 3261 15); the INVITE's own answer is to come.
            self.endpoint.respond(key, request.answer(200 if request.method in ("BYE", "OPTIONS") else 405))

    def on_no_response(self, key: Key, timed_out: bool) -> None:
        """The INVITE, or a request inside the dialog, got no answer (ClientUser)."""
        if key != self.key:
            super().on_no_response(key, timed_out)
            return
        if self._final:
            return
        self._final = True
        self._close()
        if timed_out:
            self._fail(Failed(408, "no answer from the other side", FailureKind.TIMEOUT))
        else:
            words = self.endpoint.failure or "the other side cannot be reached"
            self._fail(Failed(503, words, FailureKind.TRANSPORT))

    def _fail(self, failure: Failed | Redirected) -> None:
        """Tell the call that the leg is over; nothing is heard of it afterwards."""
        owner = self.owner
        self.owner = None
        if owner is not None:
            owner.handle(self, failure)

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._first_response is not None:
            self._first_response.cancel()
            self._first_response = None

    def _close(self) -> None:
        """The INVITE has failed: there never was a dialog."""
        self._stop_patience()
        self._refuse_pending()
        self._end()
