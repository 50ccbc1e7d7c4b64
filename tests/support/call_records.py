"""Call records for tests: an ordinary answered call, of which a test says only what matters to it."""

from __future__ import annotations

import secrets
from typing import Any

from app.events import Attempt, CallRecord

T0 = 1_700_000_000.0
"""When calls begin, where a test does not say when."""


def call_record(started: float = T0, **values: Any) -> CallRecord:
    """User 100 called through trunk 1, was answered after a second and hung up nine seconds later."""
    fields: dict[str, Any] = {
        "id": secrets.token_hex(8),
        "node": "n",
        "started": started,
        "answered": started + 1.0,
        "ended": started + 10.0,
        "caller_number": "100",
        "called_number": "135550",
        "sent_number": "135550",
        "source": "user:100",
        "target": "trunk:1",
        "status": 200,
        "end_cause": "normal",
        "ended_by": "caller",
        "talk_seconds": 9.0,
        "trail": ("analyze called number: 13 to SIP trunk 1",),
        "attempts": (Attempt("trunk:1", "135550", started, 200, "200 OK"),),
    }
    return CallRecord(**(fields | values))
