"""Number transitions: what replacing, inserting and deleting digits makes of a number."""

from __future__ import annotations

from app.records import NumberTransition, TransitionType


def apply_transition(transition: NumberTransition, number: str) -> str:
    """The number after the transition, whether it is enabled or not.

    A number shorter than `start` stays as it is; where `length` goes past the end, what there is counts.
    """
    start = transition.start
    if start > len(number):
        return number
    kind = transition.type
    if kind is TransitionType.REPLACE:
        return number[:start] + transition.digits + number[start + transition.length :]
    if kind is TransitionType.INSERT:
        return number[:start] + transition.digits + number[start:]
    return number[:start] + number[start + transition.length :]


def changes_nothing(transition: NumberTransition) -> bool:
    """Whether the transition leaves every number as it is."""
    if transition.type is TransitionType.INSERT:
        return not transition.digits
    if transition.type is TransitionType.DELETE:
        return transition.length == 0
    return transition.length == 0 and not transition.digits
