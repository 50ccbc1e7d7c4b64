"""Who may call or register: the source by its address, or a local user by digest (design section 6)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.calls.addresses import Addresses
from app.calls.challenge_choice import ChallengeChoice
from app.calls.guard import Guard
from app.calls.identity import called_by, number_of
from app.calls.leg import Leg
from app.calls.meddling import MEDDLING
from app.calls.registrar import Registrar
from app.calls.rejected import RejectedSources
from app.calls.sources import Sources
from app.calls.unanswered import Challenged, UnansweredChallenges
from app.dialplan.request import Source
from app.hosts import is_address
from app.records import Configuration, UntrustedCalls
from app.sip.auth import AuthOutcome, DigestServer
from app.sip.endpoint import Endpoint, new_tag

if TYPE_CHECKING:
    from app.clock import Clock
    from app.sip.endpoint import DialogUser
    from app.sip.flow import Flow
    from app.sip.message import Request
    from app.sip.transaction import Key

DEFAULT_REALM = "trunkline"
_REFUSED = {
    AuthOutcome.FAILED: ("a wrong password", "wrong user name or password"),
    AuthOutcome.MISDIRECTED: (
        "a password for another request",
        f"the password is right, but was given for another Request-URI than this one: {MEDDLING}",
    ),
}
"""What counts towards a ban, and what the administrator reads; the peer cannot tell one from the other."""


class Authentication:
    """Says who sent a request, and answers it when that is nobody who may. `know(flow)` hears of right passwords."""

    def __init__(
        self,
        endpoint: Endpoint,
        clock: Clock,
        addresses: Addresses,
        registrar: Registrar,
        rejected: RejectedSources,
        guard: Guard,
        know: Callable[[Flow], None],
    ) -> None:
        self.sources: Sources | None = None
        self._endpoint = endpoint
        self._clock = clock
        self._addresses = addresses
        self._registrar = registrar
        self._rejected = rejected
        self._guard = guard
        self._know = know
        self._secret = secrets.token_bytes(32)
        self._digest = DigestServer(DEFAULT_REALM, self._secret)
        self._realm = DEFAULT_REALM
        self._challenge_choice = ChallengeChoice()
        self._unanswered = UnansweredChallenges(endpoint.schedule, self._on_silence)
        endpoint.lets_in, endpoint.tells = self.lets_in, self.tells
        self._untrusted = UntrustedCalls.REJECT
        self._passwords: dict[str, str] = {}

    def configure(self, configuration: Configuration) -> None:
        """Take a changed configuration."""
        realm = configuration.system.domain or DEFAULT_REALM
        if realm != self._realm:
            self._realm = realm
            self._digest = DigestServer(realm, self._secret)
        self._untrusted = configuration.system.untrusted_calls
        self._passwords = {
            number: user.password
            for number, user in configuration.users_by_number.items()
            if user.enabled and user.password
        }

    def identify(self, key: Key, request: Request, source: Flow) -> Source | None:
        """Whose request outside a dialog this is. None: it has been answered with 401 or 403, or dropped."""
        sources = self.sources
        if sources is not None:
            known = sources.identify(source.remote_host, source.remote_port, called_by(request))
            if known is not None:
                return known
        if self._is_barred(key, source):
            return None
        if not self._claims_to_be_ours(request, source):
            reason = sources.why_unknown(source.remote_host) if sources is not None else "not configured"
            self.turn_away(key, request, source, reason)
            return None
        number = self.check_password(key, request, source)
        return None if number is None else Source.user(number)

    def lets_in(self, key: Key | None, request: Request, source: Flow, user: DialogUser) -> bool:
        """Whether a request of a dialog, from another address than its peer's, is the peer's; False: it is answered.

        An address that the peer has named, or that belongs to a trunk, a line's server or a trusted user, may speak for
        it; and any for a carrier that has named a host name, of which nobody here knows all addresses. A local user's
        phone that is somewhere else now has registered there or shows its password. ACK and CANCEL cannot be asked for
        one (RFC 3261 22.1): they are only let in or not, and an ACK that answers no offer does no harm.
        """
        host, sources = source.remote_host, self.sources
        if not isinstance(user, Leg) or (key is None and not request.body):
            return True
        named = user.dialog.named_hosts if user.dialog is not None else ()
        if host in named or (not user.phone_of and not all(map(is_address, named))):
            return True
        if sources is not None and sources.is_trusted(host):
            return True
        number = user.phone_of
        if number and any(binding.flow.remote_host == host for binding in self._registrar.bindings(number)):
            return True
        if key is None or request.method == "CANCEL":
            return False
        if number:
            shown = self.check_password(key, request, source)
            if shown == number:
                return True
            if shown is None:
                return False
        reason = f"it is about a call with {user.flow.remote_host}, and nothing says that both are one"
        self.turn_away(key, request, source, reason, always_answer=True)
        return False

    def _claims_to_be_ours(self, request: Request, source: Flow) -> bool:
        """Whether a stranger's request is one that a local user's phone would send: only that is worth a challenge.

        Whether the user exists plays no part, so that nobody can find out who does.
        """
        if request.get("Authorization") is not None:
            return True
        uri = request.from_.uri
        if uri is not None and self._addresses.is_own_host(uri.host, source):
            return True
        # A phone that does not tell its number may call by another port, or connection, than it is registered by.
        return self._registrar.has_phones(source.remote_host)

    def check_password(self, key: Key, request: Request, source: Flow) -> str | None:
        """The number of the local user whose password the request shows; None: it has been answered."""
        now = self._clock.monotonic()
        host = source.remote_host
        if self._is_barred(key, source):
            return None
        from_ = request.from_.uri
        claimed = number_of(from_)[:40] if from_ is not None else ""
        stale = False
        for value in request.get_all("Authorization"):
            self._unanswered.answered(host, request.call_id)
            self._challenge_choice.answered(host, source.remote_port, claimed)
            result = self._digest.check(value, request.method, request.uri_text, self._password_of, now, client=host)
            if result.outcome is AuthOutcome.OK:
                self._guard.vouch(host, now)
                self._know(source)
                return result.username.partition("@")[0]
            if result.outcome in _REFUSED:
                what, reason = _REFUSED[result.outcome]
                self._guard.failed(host, source.remote_port, what, now)
                self.turn_away(key, request, source, reason, always_answer=True)
                return None
            stale = stale or result.outcome is AuthOutcome.STALE
        user_agent = request.get("User-Agent") or ""
        if self._is_scanner(key, request, source):
            return None
        offers = self._digest.challenge(now, stale, host)
        if self._challenge_choice.only_md5(user_agent, host, source.remote_port, claimed, now):
            offers = offers[-1:]
        headers = [("WWW-Authenticate", value) for value in offers]
        if request.to.tag is None:
            self._endpoint.respond_once(key, request, 401, headers)
        else:
            # Inside a dialog, which no stranger knows, and where the ACK of a re-INVITE must find its transaction.
            self._endpoint.respond(key, request.answer(401, None, None, headers))
        self._watch(request, source, claimed, user_agent, now)
        return None

    def _watch(self, request: Request, source: Flow, claimed: str, user_agent: str, now: float) -> None:
        """Take note of a challenge, should it never be answered."""
        challenged = Challenged(source, request.method, claimed, number_of(request.uri), user_agent)
        self._unanswered.challenged(request.call_id, challenged, now)

    def _on_silence(self, challenged: Challenged) -> None:
        """A challenge was not answered in time."""
        source, method, claimed, called_number, user_agent = challenged
        reason = f"it claims to be local user {claimed} and never gave the password that it was asked for"
        self._rejected.add(source, method, called_number, user_agent, reason, self._clock.wall())
        if method == "INVITE":
            self._guard.strange(source.remote_host, called_number, user_agent, self._clock.monotonic())

    def _is_barred(self, key: Key, source: Flow) -> bool:
        """Whether this one phone of an address is banned for its wrong passwords: then it hears nothing."""
        if not self._guard.bars(source.remote_host, source.remote_port):
            return False
        self._endpoint.forget(key)
        return True

    def _is_scanner(self, key: Key, request: Request, source: Flow) -> bool:
        """Whether a stranger's program is known for scanning: it is banned, and hears nothing more."""
        user_agent = request.get("User-Agent")
        if user_agent is None or not self._guard.scans(source.remote_host, user_agent, self._clock.monotonic()):
            return False
        number = number_of(request.uri)
        reason = "its program is known for scanning"
        self._rejected.add(source, request.method, number, user_agent, reason, self._clock.wall())
        self._endpoint.forget(key)
        return True

    def is_welcome(self, key: Key, request: Request, source: Flow) -> bool:
        """Whether a request that neither calls nor registers is answered; False: it has been dropped."""
        if self._is_barred(key, source):
            return False
        if self._is_known(source):
            return True
        if self._is_scanner(key, request, source):
            return False
        if self._untrusted is UntrustedCalls.DROP:
            self._endpoint.forget(key)
            return False
        return True

    def tells(self, source: Flow) -> bool:
        """Whether somebody is told why a request is refused that means nothing: strangers may have to hear nothing."""
        return self._untrusted is not UntrustedCalls.DROP or self._is_known(source)

    def _is_known(self, source: Flow) -> bool:
        """Whether a trunk, a line's server, a trusted user or a registered phone is there."""
        host = source.remote_host
        if self._registrar.is_source(host, source.remote_port):
            return True
        return self.sources is not None and self.sources.is_trusted(host)

    def _password_of(self, username: str) -> str | None:
        """The password of a digest user name: a number, or number@domain as some phones write it."""
        return self._passwords.get(username.partition("@")[0])

    def turn_away(self, key: Key, request: Request, source: Flow, reason: str, *, always_answer: bool = False) -> None:
        """Refuse a stranger with 403, or not at all when the system record says so; note who it was."""
        uri = request.uri
        called_number = number_of(uri)
        user_agent = request.get("User-Agent") or ""
        self._rejected.add(source, request.method, called_number, user_agent, reason, self._clock.wall())
        self._guard.strange(source.remote_host, called_number, user_agent, self._clock.monotonic())
        if self._untrusted is UntrustedCalls.DROP and not always_answer:
            self._endpoint.forget(key)
        elif always_answer:
            self._endpoint.respond(key, request.answer(403, None, new_tag()))
        else:
            self._endpoint.respond_once(key, request, 403)
