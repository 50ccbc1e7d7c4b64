"""What a tolerant parse leaves to refuse: the checks of RFC 3261 8.2, 16.3 and 18.3 and the wishes of RFC 4475."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence

from app.sip.headers import SINGLE_VALUED
from app.sip.message import (
    MAXIMUM_BODY_BYTES,
    REASONS,
    SIP_VERSION,
    STRAY_LINE,
    Header,
    HeaderError,
    Message,
    Request,
    Response,
)
from app.sip.multipart import SESSION_TYPE, is_multipart, session_part
from app.sip.uri import MAGIC_COOKIE, quote_display_name

_KNOWN_METHODS_TEXT = "ACK BYE CANCEL INFO INVITE MESSAGE NOTIFY OPTIONS PRACK PUBLISH REFER REGISTER SUBSCRIBE UPDATE"
KNOWN_METHODS: frozenset[str] = frozenset(_KNOWN_METHODS_TEXT.split())
"""Every method that an RFC defines; any other gets 501."""
ALLOWED_METHODS: tuple[str, ...] = (
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "REGISTER",
    "INFO",
    "UPDATE",
    "PRACK",
)
"""The methods that this server handles, in the order of its Allow header; any other known one gets 405."""
DIALOG_METHODS: frozenset[str] = frozenset(("REFER",))
"""Methods that are handled inside a dialog only, where its owner says who may use them."""
ACCEPTED_TYPES: tuple[str, ...] = (SESSION_TYPE,)
"""The body types that an INVITE or UPDATE may carry, in the order of the Accept header of a 415."""
ACCEPTED_COVERS: tuple[str, ...] = ("multipart/mixed", "multipart/alternative", "multipart/related")
"""What a session description may stand in, among other parts."""
ACCEPT = ", ".join((*ACCEPTED_TYPES, *ACCEPTED_COVERS))
"""The Accept header of what tells a peer what this server takes (RFC 3261 20.1)."""
KNOWN_SCHEMES: frozenset[str] = frozenset(("sip", "sips", "tel"))
"""Schemes that a Request-URI may have; any other gets 416."""

_METHOD = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")
_SESSION_METHODS = frozenset(("INVITE", "UPDATE", "PRACK"))
_WITHOUT_REQUIRE = frozenset(("ACK", "CANCEL"))
_NEVER_ROUTED = frozenset(("OPTIONS", "REGISTER", "ACK", "CANCEL"))
_CONTACT_IS_TARGET = frozenset(("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"))
_HOPS_LEFT = frozenset([None, *map(str, range(1, 256))])
_TAG_KEY = secrets.token_bytes(16)


def check_request(
    request: Request,
    supported_options: frozenset[str] = frozenset(),
    known_methods: frozenset[str] = KNOWN_METHODS,
    datagram: bool = True,
    allowed_methods: Sequence[str] = ALLOWED_METHODS,
    accepted_types: Sequence[str] = ACCEPTED_TYPES,
) -> Response | None:
    """The answer that refuses the request, or None when it may be handled.

    After None the views via, vias, from_, to, call_id, cseq, uri, max_forwards and content_length never raise, nor do
    contacts and record_routes of a request that makes or changes a dialog, nor contacts of a REGISTER. To be called
    after `received_from`. An answer to an ACK is never sent: it only says why the ACK is dropped.

    `supported_options` are the option tags (RFC 3261 19.2) that a Require may name. `datagram` says what the bytes
    were cut by, for the words of the refusal alone.
    """
    try:
        refusal = _check_form(request, known_methods, allowed_methods, datagram)
        return refusal or _check_meaning(request, supported_options, accepted_types)
    except HeaderError as error:
        return _refuse(request, error.status, error.detail, error.reason, via_is_bad=error.header == "Via")


def _check_form(
    request: Request, known_methods: frozenset[str], allowed_methods: Sequence[str], datagram: bool
) -> Response | None:
    """Version, mandatory headers, method and length: what must be right before anything is understood."""
    method = request.method
    if request.version != SIP_VERSION:
        return _refuse(request, 505, "only SIP/2.0 is spoken here")
    # Reading them is the check: each raises what is to be answered (RFC 3261 8.1.1).
    via = request.vias[0]
    cseq = request.cseq
    _ = (request.from_, request.to, request.call_id)
    if request.defect is not None:
        return _refuse(request, 400, request.defect)
    if method not in allowed_methods and (method not in DIALOG_METHODS or request.to.tag is None):
        if _METHOD.fullmatch(method) is None:
            return _refuse(request, 400, "the method is not a token")
        if method not in known_methods:
            return _refuse(request, 501, "the method is not known")
        allow = ", ".join(allowed_methods)
        return _refuse(request, 405, "the method is not offered", headers=[("Allow", allow)])
    if cseq.method != method:
        return _refuse(request, 400, "the method of CSeq is not that of the request", "CSeq Method Mismatch")
    if request.has_repeated_headers:
        repeated = repeated_header(request)
        if repeated is not None:
            raise HeaderError(repeated, f"{repeated} may stand in a message only once", f"Repeated {repeated} header")
    if via.branch == MAGIC_COOKIE:
        raise HeaderError("Via", "the branch is nothing but the magic cookie")
    declared = request.content_length
    if declared is not None and declared > len(request.body):
        if declared > MAXIMUM_BODY_BYTES:
            return _refuse(request, 413, f"the body has more than {MAXIMUM_BODY_BYTES} bytes")
        carrier = "datagram" if datagram else "stream"
        raise HeaderError(
            "Content-Length", f"it says {declared}, but the {carrier} ended after {len(request.body)} bytes"
        )
    return None


def _check_meaning(
    request: Request, supported_options: frozenset[str], accepted_types: Sequence[str]
) -> Response | None:
    """Where it goes, what it requires and what it carries (RFC 3261 8.2.2, 8.2.3, 16.3)."""
    method = request.method
    present = request.first_values
    uri = request.uri
    if uri.scheme not in KNOWN_SCHEMES:
        return _refuse(request, 416, f"the scheme of the Request-URI is not one of {', '.join(sorted(KNOWN_SCHEMES))}")
    if uri.headers is not None:
        # RFC 3261 19.1.1: no headers in a Request-URI; they must never become headers of a message (RFC 4475 3.1.2.11).
        raise HeaderError("Request-URI", "it has headers", "Bad Request-URI")
    usual_hops = present.get("Max-Forwards") in _HOPS_LEFT
    if not usual_hops and request.max_forwards == 0 and method not in _NEVER_ROUTED and request.to.tag is None:
        return _refuse(request, 483, "Max-Forwards is 0")
    if present.get("Max-Breadth") == "0" and method == "INVITE" and request.to.tag is None:
        # RFC 5393 5.3.3: no branch may be made of it any more.
        return _refuse(request, 440, "Max-Breadth is 0")
    if "Require" in present and method not in _WITHOUT_REQUIRE:
        unknown = [tag for tag in request.values("Require") if tag.lower() not in supported_options]
        if unknown:
            unsupported = ("Unsupported", ", ".join(unknown))
            return _refuse(request, 420, "an extension is required that is not known here", headers=[unsupported])
    if method in _SESSION_METHODS:
        refusal = _check_session_body(request, accepted_types)
        if refusal is not None:
            return refusal
    if method in _CONTACT_IS_TARGET:
        for contact in request.contacts:
            if contact.uri is None or not contact.uri.is_sip:
                raise HeaderError("Contact", "it is not a SIP URI")
        if "Record-Route" in present:
            _ = request.record_routes
    elif method == "REGISTER":
        _check_register(request)
    return None


def _check_session_body(request: Request, accepted_types: Sequence[str]) -> Response | None:
    """The type and encoding of a body that is looked at, and what the peer takes back (RFC 3261 8.2.3)."""
    if request.body:
        content_type = request.content_type
        if not content_type:
            raise HeaderError("Content-Type", "there is a body, but nothing says what it is", "Missing Content-Type")
        if content_type not in accepted_types and not _has_session_part(request) and not _is_optional(request):
            accept = ("Accept", ", ".join((*accepted_types, *ACCEPTED_COVERS)))
            return _refuse(request, 415, "the type of the body is not understood here", headers=[accept])
        encoding = request.first_values.get("Content-Encoding")
        if encoding is not None and encoding.lower() not in {"identity", ""}:
            return _refuse(request, 415, "the body is encoded", headers=[("Accept-Encoding", "identity")])
    if request.method == "INVITE" and "Accept" in request.first_values:
        ranges = {value.partition(";")[0].rstrip(" \t").lower() for value in request.values("Accept")}
        if ranges.isdisjoint((SESSION_TYPE, "application/*", "*/*")):
            return _refuse(request, 406, f"Accept does not name {SESSION_TYPE}")
    return None


def _has_session_part(request: Request) -> bool:
    """Whether the body has parts, a session description among them (RFC 5621)."""
    content_type = request.get("Content-Type") or ""
    return is_multipart(content_type) and session_part(content_type, request.body) is not None


def _is_optional(request: Request) -> bool:
    """Whether the body may be ignored (RFC 3261 20.11)."""
    disposition = request.get("Content-Disposition") or ""
    return "handling=optional" in disposition.lower().replace(" ", "")


def _check_register(request: Request) -> None:
    """RFC 3261 10.3: the address of record is a SIP URI, `*` stands alone and only to remove all bindings."""
    uri = request.to.uri
    if uri is None or not uri.is_sip:
        raise HeaderError("To", "the address to register is not a SIP URI")
    contacts = request.contacts
    if any(contact.uri is None for contact in contacts) and (len(contacts) > 1 or request.expires != 0):
        raise HeaderError("Contact", "* must be the only Contact and have Expires: 0")


def repeated_header(message: Message) -> str | None:
    """The first header that stands twice although it must not (RFC 3261 7.3.1), None if there is none."""
    seen: set[str] = set()
    for name, _ in message.headers:
        if name in SINGLE_VALUED:
            if name in seen:
                return name
            seen.add(name)
    return None


def check_response(response: Response) -> str | None:
    """Why the response must be dropped, or None when it may be handled.

    After None the views via, from_, to, call_id and cseq never raise. Contact and Record-Route may be unreadable: a
    call that is answered goes on by the address that it was sent to (`Dialog.as_uac`), where dropping the answer would
    end it. A response with a second Via was not meant for us (RFC 3261 8.1.3.3).
    """
    try:
        _ = (response.via, response.from_, response.to, response.call_id, response.cseq)
        has_repeated_headers = response.has_repeated_headers
        if (has_repeated_headers or "," in response.first_values["Via"]) and len(response.vias) > 1:
            return "it has more than one Via"
        if response.defect is not None and response.defect != STRAY_LINE:
            return response.defect
        if has_repeated_headers:
            repeated = repeated_header(response)
            if repeated is not None:
                return f"{repeated} stands in it more than once"
        declared = response.content_length
        if declared is not None and declared > len(response.body):
            return "Content-Length is larger than what was received"
    except HeaderError as error:
        return f"{error.reason}: {error.detail}"
    return None


def _refuse(
    request: Request,
    status: int,
    detail: str,
    reason: str | None = None,
    headers: Iterable[Header] = (),
    via_is_bad: bool = False,
) -> Response:
    """The answer, with the detail in a Warning (RFC 3261 20.43) and only the topmost Via when the others are bad."""
    warning = ("Warning", f"399 trunkline {quote_display_name(detail)}")
    answer = request.answer(status, reason or REASONS[status], stateless_tag(request), [*headers, warning])
    if via_is_bad:
        try:
            answer.replace("Via", str(request.via))
        except HeaderError:
            answer.remove("Via")
    return answer


def stateless_tag(request: Request) -> str:
    """A To tag that is the same for every retransmission of the request (RFC 3261 8.2.7)."""
    get = request.get
    return stateless_tag_of(get("Call-ID") or "", get("From") or "", get("CSeq") or "", get("Via") or "")


def stateless_tag_of(call_id: str, from_: str, cseq: str, via: str) -> str:
    """The same of what it is made from, the first Via as it is answered."""
    text = f"{call_id}\n{from_}\n{cseq}\n{via}"
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6, key=_TAG_KEY).hexdigest()
