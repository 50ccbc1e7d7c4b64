"""Which phones cannot stand a SHA-256 challenge beside the MD5 one, so that they are offered MD5 alone.

RFC 8760 2.4 has a client pass over a challenge whose algorithm it does not know. Many phones end the registration
there instead. An attacker gains nothing by posing as one: MD5 is offered to everybody as it is.
"""

from __future__ import annotations

import re
from collections import OrderedDict

MAXIMUM_PHONES = 4096
"""Beyond it the phone that was challenged longest ago is forgotten, and offered everything once more."""
PATIENCE = 2
"""After so many challenges that were not answered a phone is offered MD5 alone."""
FORGOTTEN_AFTER = 3600.0
"""Seconds after which an unanswered challenge no longer counts."""

_BARESIP = re.compile(r"baresip v(\d{1,4})\.(\d{1,4})")
_BARESIP_KNOWS_SHA256 = (3, 12)


class ChallengeChoice:
    """Remembers which phones did not answer a challenge with both algorithms.

    A phone is a number at an address and port: an adapter or a gateway asks for many numbers from one port, and may
    ask for all of them before it answers for the first.
    """

    def __init__(self) -> None:
        self._unanswered: OrderedDict[tuple[str, int, str], tuple[int, float]] = OrderedDict()

    def only_md5(self, user_agent: str, host: str, port: int, number: str, now: float) -> bool:
        """Whether a phone that is challenged now is to be offered MD5 alone; `now`: monotonic seconds."""
        phone = (host, port, number)
        count, at = self._unanswered.pop(phone, (0, now))
        if now - at > FORGOTTEN_AFTER:
            count = 0
        self._unanswered[phone] = (count + 1, now)
        if len(self._unanswered) > MAXIMUM_PHONES:
            self._unanswered.popitem(last=False)
        return count >= PATIENCE or gives_up_at_sha256(user_agent)

    def answered(self, host: str, port: int, number: str) -> None:
        """A phone has shown credentials, so what it was offered suits it."""
        self._unanswered.pop((host, port, number), None)


def gives_up_at_sha256(user_agent: str) -> bool:
    """Whether this phone is known to end at the first challenge that it does not understand."""
    baresip = _BARESIP.match(user_agent)
    return baresip is not None and (int(baresip[1]), int(baresip[2])) < _BARESIP_KNOWS_SHA256
