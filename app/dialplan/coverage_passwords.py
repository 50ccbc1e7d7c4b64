"""Passwords of local users that a stranger guesses: scanners on the internet try these before anything else."""

from __future__ import annotations

from collections.abc import Iterator

from app.dialplan.problem import Problem, warning
from app.records import Configuration, LocalUser

FEWEST_CHARACTERS = 5
"""A shorter password is found by trying all there are."""
MOST_DIGITS = 6
"""So does one of digits alone, up to this length."""
COMMON = frozenset(
    (
        *("1234567", "12345678", "123456789", "1234567890", "11111111", "password", "password1", "passw0rd", "qwerty"),
        *("qwerty123", "abc123", "admin", "admin123", "secret", "welcome", "letmein", "changeme", "default"),
        *("iloveyou", "test123", "user123", "asterisk", "voip123", "sip123", "phone123", "trunkline"),
    )
)
"""The passwords, in small letters, that every list of scanners begins with."""


def check_passwords(configuration: Configuration) -> Iterator[Problem]:
    """At most one warning per enabled user. That there is none at all is told beside the trusted address."""
    for user in configuration.records(LocalUser):
        message = _weakness(user) if user.enabled else ""
        if message:
            yield warning(user, "password", message)


def _weakness(user: LocalUser) -> str:
    """Why the password is guessed soon, in words; blank where it is not, or there is none."""
    password = user.password
    if not password:
        return ""
    if password.lower() in (user.number.lower(), user.number.lower() * 2):
        return "the password is the number: strangers try this first, and then call at your cost"
    if password.lower() in COMMON:
        return "the password is one of those that strangers try first, and then call at your cost"
    if password.isdigit() and len(password) <= MOST_DIGITS:
        return f"a password of only {len(password)} digits is soon guessed by strangers, who then call at your cost"
    if len(password) < FEWEST_CHARACTERS:
        words = "1 character" if len(password) == 1 else f"{len(password)} characters"
        return f"a password of only {words} is soon guessed by strangers, who then call at your cost"
    return ""
