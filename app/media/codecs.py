"""What is known of audio codecs by name: static payload types, clock rates and the spellings that people use."""

from __future__ import annotations

from typing import NamedTuple

TELEPHONE_EVENT = "TELEPHONE-EVENT"


class StaticPayload(NamedTuple):
    """A payload type that needs no rtpmap line (RFC 3551 section 6)."""

    name: str
    clock_rate: int
    channels: int


STATIC_PAYLOADS: dict[int, StaticPayload] = {
    0: StaticPayload("PCMU", 8000, 1),
    3: StaticPayload("GSM", 8000, 1),
    4: StaticPayload("G723", 8000, 1),
    5: StaticPayload("DVI4", 8000, 1),
    6: StaticPayload("DVI4", 16000, 1),
    7: StaticPayload("LPC", 8000, 1),
    8: StaticPayload("PCMA", 8000, 1),
    # The clock of G.722 is 8000 although it samples at 16000 (RFC 3551 section 4.5.2).
    9: StaticPayload("G722", 8000, 1),
    10: StaticPayload("L16", 44100, 2),
    11: StaticPayload("L16", 44100, 1),
    12: StaticPayload("QCELP", 8000, 1),
    13: StaticPayload("CN", 8000, 1),
    14: StaticPayload("MPA", 90000, 1),
    15: StaticPayload("G728", 8000, 1),
    16: StaticPayload("DVI4", 11025, 1),
    17: StaticPayload("DVI4", 22050, 1),
    18: StaticPayload("G729", 8000, 1),
}

AUXILIARY_CODECS = frozenset({TELEPHONE_EVENT, "CN", "TONE", "RED", "ULPFEC", "FLEXFEC", "RTX"})
"""Formats that accompany speech and cannot carry a call alone."""

_SPELLINGS = {
    "ALAW": "PCMA",
    "G711A": "PCMA",
    "G711ALAW": "PCMA",
    "ULAW": "PCMU",
    "MULAW": "PCMU",
    "G711U": "PCMU",
    "G711ULAW": "PCMU",
    "G711MU": "PCMU",
    "G729A": "G729",
    "G729B": "G729",
    "G729AB": "G729",
    "G7231": "G723",
}


def canonical_codec_name(text: str) -> str:
    """The name by which two spellings of one codec are compared: upper case, `alaw` and `G.711A` as PCMA."""
    name = text.strip().upper()
    if name in _SPELLINGS:
        return _SPELLINGS[name]
    return _SPELLINGS.get(name.replace(".", "").replace("-", ""), name.replace("G.7", "G7"))


class CodecChoice(NamedTuple):
    """One entry of a codec list, such as `PCMA`, `opus/48000` or `L16/44100/2`; 0 means any."""

    name: str
    clock_rate: int
    channels: int

    def matches(self, name: str, clock_rate: int, channels: int) -> bool:
        """Whether a format of a session description is this codec; `name` is canonical."""
        return (
            self.name == name
            and self.clock_rate in (0, clock_rate)
            and (self.channels in (0, channels) or (self.channels == 1 and channels == 0))
        )


def parse_codec_choice(text: str) -> CodecChoice:
    """Read one entry of a codec list; a part that is no number counts as not given."""
    name, _, rest = text.partition("/")
    rate, _, channels = rest.partition("/")
    return CodecChoice(
        canonical_codec_name(name),
        int(rate) if rate.isascii() and rate.isdigit() else 0,
        int(channels) if channels.isascii() and channels.isdigit() else 0,
    )
