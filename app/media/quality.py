"""The E-model (ITU-T G.107): from codec, loss, jitter and round trip to the rating R and the mean opinion score."""

from __future__ import annotations

import math
from typing import NamedTuple

DEFAULT_RATING = 93.2
"""R of an undisturbed narrowband connection with the default values of G.107."""


class Impairment(NamedTuple):
    """How much a codec costs by itself and how well it stands lost packets (G.113 appendix I)."""

    equipment: float
    """Ie."""
    robustness: float
    """Bpl: the percentage of random loss at which half of what is left is gone."""
    delay_ms: float
    """What coding and one packet of 20 or 30 ms add to the delay."""


_G711 = Impairment(0, 25.1, 20)

_IMPAIRMENTS: dict[str, Impairment] = {
    # ITU-T G.113 appendix I, with loss concealment.
    "PCMU": _G711,
    "PCMA": _G711,
    "G729": Impairment(11, 19.0, 25),
    "G723": Impairment(15, 16.1, 37.5),
    "GSM-EFR": Impairment(5, 10.0, 20),
    "AMR": Impairment(5, 10.0, 25),
    "GSM": Impairment(20, 10.0, 20),
    "G728": Impairment(7, 17.0, 20),
    "G726-40": Impairment(2, 20.0, 20),
    "G726-32": Impairment(7, 20.0, 20),
    "G726-24": Impairment(25, 20.0, 20),
    "G726-16": Impairment(50, 20.0, 20),
    # Not rated there for narrowband listeners: values in line with published listening tests.
    "ILBC": Impairment(11, 32.0, 30),
    "G722": Impairment(0, 25.1, 21.5),
    "G7221": Impairment(2, 20.0, 40),
    "OPUS": Impairment(0, 28.0, 26.5),
    "AMR-WB": Impairment(1, 13.0, 25),
    "EVS": Impairment(0, 20.0, 32),
    "SPEEX": Impairment(11, 20.0, 30),
    "SILK": Impairment(5, 20.0, 30),
    "L16": Impairment(0, 25.1, 20),
    "DVI4": Impairment(7, 20.0, 20),
    "LPC": Impairment(50, 10.0, 20),
    "QCELP": Impairment(19, 10.0, 20),
}
_UNKNOWN = Impairment(5, 15.0, 25)


def impairment(codec_name: str) -> Impairment:
    """The impairment of a codec by its canonical name; a middling one for a codec that is not known."""
    return _IMPAIRMENTS.get(codec_name, _UNKNOWN)


def rating(codec_name: str, loss_percent: float, delay_ms: float, burst_ratio: float = 1.0) -> float:
    """R for a connection (G.107 section 7), 0 to 93.2.

    `delay_ms` is from mouth to ear. `burst_ratio` is 1 for random loss, above it where losses come together.
    """
    equipment, robustness, _ = impairment(codec_name)
    loss = min(max(loss_percent, 0.0), 100.0)
    burst = min(max(burst_ratio, 1.0), 20.0)
    # 7-29: the effective equipment impairment.
    effective = equipment + (95 - equipment) * loss / (loss / burst + robustness)
    return min(max(DEFAULT_RATING - delay_impairment(delay_ms) - effective, 0.0), 100.0)


def delay_impairment(delay_ms: float) -> float:
    """Idd (G.107 7-27): what delay alone costs; nothing up to 100 ms."""
    if delay_ms <= 100:
        return 0.0
    x = math.log2(delay_ms / 100)
    return float(25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))


def opinion_score(r: float) -> float:
    """The mean opinion score for a rating (G.107 annex B), 1.0 to 4.5."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6, 1.0)


def burst_ratio(lost: int, gaps: int, expected: int) -> float:
    """How much longer the runs of lost packets are than with random loss (G.107 section 7.5), 1 where unknown."""
    if lost <= 0 or gaps <= 0 or expected <= lost:
        return 1.0
    return max(lost / gaps * (1 - lost / expected), 1.0)


def stream_score(
    codec_name: str,
    loss_percent: float,
    jitter_ms: float,
    round_trip_ms: float,
    burst: float = 1.0,
) -> float:
    """The score of a relayed stream.

    `round_trip_ms` is between the two ends, 0 where it is not known. The listener's jitter buffer is taken to hold
    twice the jitter, 20 ms at least; what comes later than four times the jitter is rare enough to be left out.
    """
    delay = round_trip_ms / 2 + impairment(codec_name).delay_ms + min(max(20.0, 2 * jitter_ms), 300.0)
    return opinion_score(rating(codec_name, loss_percent, delay, burst))
