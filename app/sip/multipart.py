"""Bodies of several parts (RFC 5621, RFC 2046 section 5.1): finding the session description among them."""

from __future__ import annotations

import re

SESSION_TYPE = "application/sdp"
"""The media type of a session description (RFC 8866)."""
MAXIMUM_PARTS = 16
"""Parts of one body that are looked at; further ones are as if they were not there."""
MAXIMUM_DEPTH = 3
"""So deep may a part of several parts lie in another one."""

_BOUNDARY = re.compile(r';[ \t]*boundary[ \t]*=[ \t]*(?:"([^"]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)


def is_multipart(content_type: str) -> bool:
    """Whether a Content-Type value says that the body has parts."""
    return content_type[:10].lower() == "multipart/"


def session_part(content_type: str, body: bytes, depth: int = MAXIMUM_DEPTH) -> bytes | None:
    """The first session description among the parts, None where there is none or the boundary cannot be found.

    Carriers put it beside an ISUP message (RFC 3204), a location (RFC 6442) or call data. Where the parts are
    alternatives, the last one that is understood is meant (RFC 2046 5.1.4): that is the only description there is.
    """
    match = _BOUNDARY.search(content_type)
    if match is None or depth <= 0:
        return None
    delimiter = b"--" + (match[1] or match[2]).encode("utf-8", "surrogateescape")
    # The line break before a delimiter belongs to it, and the first one may stand at the very beginning.
    parts = (b"\r\n" + body).split(b"\r\n" + delimiter, MAXIMUM_PARTS + 1)
    for part in parts[1 : MAXIMUM_PARTS + 1]:
        if part[:2] == b"--":
            break
        if part[:1] not in (b"\r", b" ", b"\t"):
            continue  # a longer boundary that only begins alike
        head, _, content = part.partition(b"\r\n\r\n")
        part_type = _content_type(head)
        if part_type.partition(";")[0].strip(" \t").lower() == SESSION_TYPE:
            return content + b"\r\n" if content and not content.endswith(b"\r\n") else content
        if is_multipart(part_type):
            nested = session_part(part_type, content, depth - 1)
            if nested is not None:
                return nested
    return None


def _content_type(head: bytes) -> str:
    """The Content-Type among the header lines of a part; text where it has none (RFC 2046 5.1)."""
    for line in re.sub(rb"\r\n[ \t]+", b" ", head).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        if colon and name.strip(b" \t").lower() in (b"content-type", b"c"):
            return value.strip(b" \t").decode("utf-8", "surrogateescape")
    return "text/plain"
