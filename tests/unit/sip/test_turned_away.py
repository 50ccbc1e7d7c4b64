"""What was refused is remembered for a while, and only so much of it."""

from __future__ import annotations

from app.sip.turned_away import MOST_REMEMBERED, REMEMBERED_FOR, TurnedAway


def test_a_refused_request_is_known_for_a_while_by_address_and_branch() -> None:
    turned_away = TurnedAway()
    turned_away.add("192.0.2.7", "z9hG4bK1", 100.0)
    assert turned_away.has("192.0.2.7", "z9hG4bK1", 101.0)
    assert not turned_away.has("192.0.2.8", "z9hG4bK1", 101.0)
    assert not turned_away.has("192.0.2.7", "z9hG4bK2", 101.0)
    assert not turned_away.has("192.0.2.7", "z9hG4bK1", 100.0 + REMEMBERED_FOR)
    assert len(turned_away) == 0


def test_a_request_without_a_branch_is_not_remembered() -> None:
    turned_away = TurnedAway()
    turned_away.add("192.0.2.7", None, 100.0)
    turned_away.add("192.0.2.7", "", 100.0)
    assert len(turned_away) == 0


def test_the_oldest_is_forgotten_at_the_bound() -> None:
    turned_away = TurnedAway()
    for number in range(MOST_REMEMBERED + 1):
        turned_away.add("192.0.2.7", f"z9hG4bK{number}", 100.0)
    assert len(turned_away) == MOST_REMEMBERED
    assert not turned_away.has("192.0.2.7", "z9hG4bK0", 100.0)
    assert turned_away.has("192.0.2.7", f"z9hG4bK{MOST_REMEMBERED}", 100.0)
