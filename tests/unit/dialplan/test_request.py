"""Sources and their names."""

from __future__ import annotations

import pytest

from app.dialplan.request import Source, SourceKind


@pytest.mark.parametrize(
    "text", ["trunk:1", "line:12", "user:100", "address:192.0.2.1:5060", "address:[2001:db8::1]:5060"]
)
def test_a_source_is_its_name_both_ways(text: str) -> None:
    assert Source.parse(text).name == text
    assert str(Source.parse(text)) == text


def test_a_source_is_parsed_into_its_parts() -> None:
    assert Source.parse(" TRUNK: 7 ") == Source.trunk(7)
    assert Source.parse("line:2") == Source.line(2)
    assert Source.parse("user:+49-30") == Source.user("+49-30")
    assert Source.parse("address:192.0.2.1:5060") == Source.stranger("192.0.2.1:5060")
    assert Source.trunk(7).kind is SourceKind.SIP_TRUNK


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not a source: write trunk:1"),
        ("trunk", "is not a source"),
        ("trunk:", "is not a source"),
        ("gateway:1", "is not a source"),
        ("trunk:abc", "'abc' in 'trunk:abc' is not the ID of a sip trunk: write trunk:1"),
        ("line:0", "is not the ID of a external line"),
        ("trunk:-1", "is not the ID"),
        ("trunk:٣", "is not the ID"),
        ("trunk:99999999999999999999", "is not the ID"),
    ],
)
def test_a_wrong_source_is_refused_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"trunk:1|write|ID") as caught:
        Source.parse(text)
    assert words in str(caught.value)
