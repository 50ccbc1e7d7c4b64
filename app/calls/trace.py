"""The newest SIP messages, kept so that the ladder of a call can be drawn after the fact."""

from __future__ import annotations

import re
from collections import OrderedDict, deque
from collections.abc import Callable

from app.events import MessageTraced
from app.hosts import format_host_port
from app.sip.flow import Flow

MAXIMUM_MESSAGES = 20_000
"""The oldest messages are forgotten beyond this many."""
MAXIMUM_BYTES = 20 * 2**20
"""And beyond so many bytes of them: usual messages have 800 each, but a stranger's datagram may have 65,000."""
MAXIMUM_CALLS = 5_000
"""The oldest calls' legs are forgotten beyond this many."""
MAXIMUM_LADDER = 500
"""A ladder shows at most so many messages."""

_CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)


class Trace:
    """Remembers messages as they are; only a ladder that is looked at costs reading them."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._messages: deque[tuple[float, bool, Flow, bytes]] = deque()
        self._bytes = 0
        self._legs: OrderedDict[str, list[str]] = OrderedDict()

    def message(self, outgoing: bool, flow: Flow, data: bytes) -> None:
        """Keep a message that was received or is sent."""
        messages = self._messages
        messages.append((self._wall(), outgoing, flow, data))
        self._bytes += len(data)
        while self._bytes > MAXIMUM_BYTES or len(messages) > MAXIMUM_MESSAGES:
            self._bytes -= len(messages.popleft()[3])

    def leg(self, call_id: str, sip_call_id: str) -> None:
        """A leg with this Call-ID belongs to the call."""
        legs = self._legs.get(call_id)
        if legs is None:
            if len(self._legs) >= MAXIMUM_CALLS:
                self._legs.popitem(last=False)
            legs = self._legs[call_id] = []
        legs.append(sip_call_id)

    def ladder(self, call_id: str) -> tuple[MessageTraced, ...]:
        """Every message of the call's legs that is still kept, oldest first."""
        wanted = {leg.encode("utf-8", "surrogateescape") for leg in self._legs.get(call_id, ())}
        found: list[MessageTraced] = []
        for at, outgoing, flow, data in self._messages:
            match = _CALL_ID.search(data)
            if match is not None and match[1].rstrip() in wanted:
                local = f"{flow.transport}:{format_host_port(flow.local_host, flow.local_port)}"
                text = data.decode("utf-8", "replace")
                found.append(MessageTraced(call_id, at, outgoing, local, flow.source, text))
                if len(found) >= MAXIMUM_LADDER:
                    break
        return tuple(found)
