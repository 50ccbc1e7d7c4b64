"""Codec names as people write them."""

from __future__ import annotations

import pytest

from app.media.codecs import canonical_codec_name, parse_codec_choice


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("pcma", "PCMA"),
        ("alaw", "PCMA"),
        ("G.711A", "PCMA"),
        ("g711u", "PCMU"),
        ("G.729", "G729"),
        ("G729a", "G729"),
        ("G.722", "G722"),
        ("opus", "OPUS"),
        ("AMR-WB", "AMR-WB"),
        ("G726-32", "G726-32"),
        ("telephone-event", "TELEPHONE-EVENT"),
    ],
)
def test_canonical_names(text: str, name: str) -> None:
    assert canonical_codec_name(text) == name


def test_choices() -> None:
    assert parse_codec_choice("PCMA").matches("PCMA", 8000, 1)
    assert parse_codec_choice("opus/48000/2").matches("OPUS", 48000, 2)
    assert not parse_codec_choice("opus/48000/2").matches("OPUS", 16000, 2)
    assert parse_codec_choice("speex/16000").matches("SPEEX", 16000, 1)
    assert not parse_codec_choice("speex/16000").matches("SPEEX", 8000, 1)
    assert parse_codec_choice("x/y/z").matches("X", 1, 1)
