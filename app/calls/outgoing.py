"""The INVITE that a target gets: Request-URI, From, To, caller identity, by the target's own record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from app.calls.identity import CallerIdentity, identity_headers
from app.calls.leg_events import Body
from app.calls.session_timer import offer_as_client
from app.dialplan.decision import DialTarget
from app.hosts import DEFAULT_PORTS, bracketed
from app.records import ExternalLine, LocalUser, SipTrunk, Transport
from app.records.trunks import OutgoingFields
from app.sip.endpoint import ALLOW
from app.sip.message import Request
from app.sip.uri import escape_user, quote_display_name

USER_AGENT = "Trunkline"
MAXIMUM_FORWARDS = 70
ANONYMOUS = '"Anonymous" <sip:anonymous@anonymous.invalid>'
"""The From of a caller who must not be known (RFC 3323 4.1.1.3)."""


_ABILITIES = (("Allow", ALLOW),)
_ABILITIES_FOR_USERS = (("Allow", f"{ALLOW}, REFER"), ("Supported", "replaces, norefersub"))


def abilities_for(is_user: bool) -> tuple[tuple[str, str], ...]:
    """The headers that say what a peer may ask for in a call: only local users may transfer calls (RFC 3515, 3891)."""
    return _ABILITIES_FOR_USERS if is_user else _ABILITIES


class Addressed(NamedTuple):
    """Where an INVITE is addressed to: the lines that differ between trunks, lines and users."""

    request_uri: str
    to: str
    from_host: str
    """The host of the From URI."""
    from_user: str


def host_port_of(record: OutgoingFields) -> str:
    """The server of a trunk or line as it stands in a URI: a name with the default port goes without it.

    RFC 3263 4.2: a port in the URI would say that no SRV record is to be looked up. An address keeps its port.
    """
    host = bracketed(record.server_address)
    is_address = ":" in record.server_address or record.server_address.replace(".", "").isdigit()
    if not is_address and record.server_port == DEFAULT_PORTS[record.transport]:
        return host
    return f"{host}:{record.server_port}"


def address_to_server(target: DialTarget, own_host: str) -> Addressed:
    """Address an INVITE to a trunk or line."""
    record = target.record
    if not isinstance(record, OutgoingFields):
        raise TypeError(f"{target.name} is neither a trunk nor a line")
    number = escape_user(target.called_number)
    server = host_port_of(record)
    host = server
    from_host = own_host
    from_user = target.caller_number
    if isinstance(record, SipTrunk):
        from_host = bracketed(record.from_domain) or own_host
    if isinstance(record, ExternalLine):
        # The provider knows its own domain; RFC 3261 8.1.1.1 puts it into the Request-URI, the packet goes to the
        # server's address all the same.
        host = bracketed(record.domain) or server
        from_host = bracketed(record.domain or record.server_address)
        # Providers refuse a From that is not the account's; the true caller goes into the identity headers.
        from_user = record.unified_caller_number or record.account
    uri = f"tel:{number}" if record.tel_uri else f"sip:{number}@{host}"
    to = f"<{uri}>"
    if not record.tel_uri and record.transport is not Transport.UDP:
        uri += f";transport={record.transport.value}"
    if record.request_uri_parameters:
        uri += f";{record.request_uri_parameters}"
    return Addressed(uri, to, from_host, from_user)


def address_to_contact(target: DialTarget, contact_uri: str, own_host: str) -> Addressed:
    """Address an INVITE to a phone: the Request-URI is its registered Contact (RFC 3261 16.5)."""
    return Addressed(
        contact_uri, f"<sip:{escape_user(target.called_number)}@{own_host}>", own_host, target.caller_number
    )


def contact_user(target: DialTarget, *, private: bool) -> str:
    """The user part of our Contact towards a target, escaped."""
    if private:
        # RFC 3323 4.1.1.3: who must not be known is not named in Contact either.
        return "anonymous"
    record = target.record
    # A provider knows the account, and that is where the line is registered; an inner number is none of its business.
    number = record.account if isinstance(record, ExternalLine) else target.caller_number
    return escape_user(number) or "trunkline"


def make_invite(
    target: DialTarget,
    addressed: Addressed,
    caller: CallerIdentity,
    *,
    contact: str,
    call_id: str,
    from_tag: str,
    max_forwards: int,
    body: Body | None,
    session_expires: int = 0,
    max_breadth: int = 0,
    asks_for_offer: bool = False,
    route: Iterable[str] = (),
) -> Request:
    """The INVITE without its Via, which the endpoint puts on. Synchronous and cheap: it is on the path of a call.

    `asks_for_offer`: without an offer in it, one may come in a reliable provisional answer (RFC 3262 5). `route`: the
    proxies that it goes through.
    """
    record = target.record
    names: tuple[str, ...] = ()
    show = not caller.private
    if isinstance(record, SipTrunk | ExternalLine):
        names = record.caller_id_headers
    display = caller.display
    if show:
        user = f"{escape_user(addressed.from_user)}@" if addressed.from_user else ""
        from_ = f"<sip:{user}{addressed.from_host}>"
        if display:
            from_ = f"{quote_display_name(display)} {from_}"
    else:
        from_ = ANONYMOUS
    headers = [
        ("Max-Forwards", str(max_forwards)),
        ("From", f"{from_};tag={from_tag}"),
        ("To", addressed.to),
        ("Call-ID", call_id),
        ("CSeq", "1 INVITE"),
        ("Contact", contact),
        *abilities_for(isinstance(record, LocalUser)),
        ("User-Agent", USER_AGENT),
    ]
    if caller.referred_by and isinstance(record, LocalUser):
        # RFC 3892: an inner number is none of a provider's business.
        headers.append(("Referred-By", f"<sip:{escape_user(caller.referred_by)}@{addressed.from_host}>"))
    reliable = body is not None or asks_for_offer
    if session_expires:
        headers.append(("Supported", "timer, 100rel" if reliable else "timer"))
        headers += offer_as_client(session_expires)
    elif reliable:
        headers.append(("Supported", "100rel"))
    headers += [("Route", proxy) for proxy in route]
    if max_breadth:
        headers.append(("Max-Breadth", str(max_breadth)))
    headers += identity_headers(names, caller, target.caller_number, display, addressed.from_host)
    content = b""
    if body is not None:
        headers.append(("Content-Type", body.content_type))
        content = body.content
    return Request("INVITE", addressed.request_uri, headers, content)
