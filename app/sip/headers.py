"""Header names: the canonical spelling of each known header, the compact forms, and the standard reason phrases."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[A-Za-z0-9\-.!%*_+`'~]+")

COMPACT_FORMS: dict[str, str] = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""The compact forms of RFC 3261 7.3.3 and of the extensions registered with IANA."""

_KNOWN_TEXT = (
    "Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events "
    "Answer-Mode Authentication-Info Authorization Call-ID Call-Info Contact Content-Disposition Content-Encoding "
    "Content-ID Content-Language Content-Length Content-Transfer-Encoding Content-Type CSeq Date Diversion "
    "Error-Info Event Expires Feature-Caps Flow-Timer From Geolocation Geolocation-Error Geolocation-Routing "
    "History-Info Identity Identity-Info In-Reply-To Info-Package Join Max-Breadth "
    "Max-Forwards MIME-Version Min-Expires "
    "Min-SE Organization P-Access-Network-Info P-Answer-State P-Asserted-Identity P-Associated-URI P-Called-Party-ID "
    "P-Charging-Function-Addresses P-Charging-Vector P-Early-Media P-Preferred-Identity P-Preferred-Service "
    "P-Asserted-Service P-Profile-Key P-Served-User P-Visited-Network-ID Path Permission-Missing Policy-Contact "
    "Policy-ID Priority Priv-Answer-Mode Privacy Proxy-Authenticate Proxy-Authorization Proxy-Require RAck Reason "
    "Reason-Phrase Record-Route Recv-Info Refer-Events-At Refer-Sub Refer-To Referred-By Reject-Contact "
    "Remote-Party-ID Replaces Reply-To Request-Disposition Require Resource-Priority Resource-Share Response-Key "
    "Restoration-Info Retry-After Route RSeq Security-Client Security-Server Security-Verify Server Service-Route "
    "Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State Supported Suppress-If-Match "
    "Target-Dialog Timestamp To Trigger-Consent Unsupported User-Agent User-to-User Via Warning WWW-Authenticate"
)
_KNOWN = _KNOWN_TEXT.split()

KNOWN_NAMES: frozenset[str] = frozenset(_KNOWN)
"""The canonical spelling of every known header."""

_BY_LOWER_CASE: dict[str, str] = {name.lower(): name for name in _KNOWN} | COMPACT_FORMS


class NotAHeaderName(ValueError):
    """What stands before a colon is not a token."""


class _Spellings(dict[str, str]):
    """Every usual spelling of the known headers; all others are found by their case-folded name, one by one."""

    def __missing__(self, spelling: str) -> str:
        name = spelling.rstrip(" \t")
        if _TOKEN.fullmatch(name) is None:
            raise NotAHeaderName(spelling)
        return _BY_LOWER_CASE.get(name.lower(), name)


SPELLINGS = _Spellings(
    {
        spelling: name
        for lower, name in _BY_LOWER_CASE.items()
        for spelling in (lower, lower.upper(), name, lower.capitalize(), lower.title())
    }
)
"""`SPELLINGS[text before the colon]` is the canonical name, or the name itself when it is not known.

Raises NotAHeaderName for what is no token; only the usual spellings are stored, so it never grows.
"""


def canonical_name(name: str) -> str:
    """The canonical spelling of a header name, or the name itself when it is not known."""
    return _BY_LOWER_CASE.get(name.lower(), name)


_SINGLE_VALUED_TEXT = (
    "Call-ID Content-Disposition Content-Length Content-Type CSeq Date Event Expires From Max-Forwards MIME-Version "
    "Min-Expires Min-SE RAck Refer-To Referred-By Replaces RSeq Session-Expires Subscription-State To"
)
SINGLE_VALUED: frozenset[str] = frozenset(_SINGLE_VALUED_TEXT.split())
"""Headers that may stand in a message only once (RFC 3261 7.3.1 and the grammar of each)."""

REASONS: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity-Info",
    437: "Unsupported Certificate",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"""The standard reason phrase of every registered response code."""
