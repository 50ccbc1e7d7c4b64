"""Registrations on disk: each node's own, replaced user by user."""

from __future__ import annotations

from collections.abc import Callable

from support.database_loop import DatabaseLoop

from app.storage.database import Database
from app.storage.registrations import StoredRegistration

Opener = Callable[..., Database]
HERE = StoredRegistration("100", "sip:100@10.0.0.9", "10.0.0.9", 5060, "10.0.0.5", 5060, "c", 2**31 - 1, 99.5, "A", "m")
THERE = HERE._replace(contact="sip:100@10.0.0.8", remote_host="10.0.0.8")
OTHER = HERE._replace(number="101", contact="sip:101@10.0.0.9")


def test_what_a_user_has_now_takes_the_place_of_what_was(database: Database, open_database: Opener) -> None:
    database.write_registrations({"100": [HERE, THERE], "101": [OTHER]})
    database.write_registrations({"100": [THERE._replace(expires=200.0)], "102": []})
    database.close()
    assert sorted(open_database().registrations()) == [THERE._replace(expires=200.0), OTHER]


def test_texts_from_the_network_are_cleaned(database: Database) -> None:
    database.write_registrations({"100": [HERE._replace(user_agent="a\x00b\udcff")]})
    (kept,) = database.registrations()
    assert kept.user_agent == "a\ufffdb?"


def test_the_thread_writes_and_says_so(database: Database, loop: DatabaseLoop, open_database: Opener) -> None:
    errors: list[Exception | None] = []
    thread = loop.thread(database)
    thread.write_registrations({"100": [HERE]}, errors.append)
    loop.run_until(lambda: errors, "the word that it is written")
    assert errors == [None]
    assert thread.stop()
    assert open_database().registrations() == [HERE]
