"""Measure the dial plan: the longest prefix among many, a whole decision, its words, compiling and checking a plan.

From the repository root: `python -m tests.bench.dialplan`. The prefix lookup is compared with a tree that has one
dictionary per digit, the usual way to build one in Python. Figures are the best of several rounds, in microseconds per
call unless they say otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from app.dialplan.coverage import problems  # noqa: E402
from app.dialplan.decide import decide  # noqa: E402
from app.dialplan.decision import Dial  # noqa: E402
from app.dialplan.live import IdleState  # noqa: E402
from app.dialplan.plan import DialPlan  # noqa: E402
from app.dialplan.prefix_tree import PrefixTree  # noqa: E402
from app.dialplan.request import CallRequest, Source  # noqa: E402
from app.records import (  # noqa: E402
    AnalyzeCalledNumber,
    Configuration,
    LocalUser,
    NumberTransition,
    RefineCalledNumber,
    RouteType,
    SipTrunk,
    System,
)

LOOKUP_GOAL = 10.0
DECISION_GOAL = 25.0
Node = dict[str, Any]


def best(work: Callable[[], object], per: int, rounds: int = 5) -> float:
    """Microseconds for one of `per` pieces of work, the best of some rounds."""
    fastest = float("inf")
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        fastest = min(fastest, time.perf_counter() - begun)
    return fastest / per * 1e6


def each(function: Callable[[str], object], numbers: Sequence[str]) -> Callable[[], None]:
    """The function called with every number. Results are dropped, as a call drops its own in time: thousands kept at
    once would measure the garbage collector."""

    def work() -> None:
        for number in numbers:
            function(number)

    return work


def random_prefixes(count: int, rng: random.Random) -> list[str]:
    """Different prefixes of 3 to 12 digits, as a carrier's table of destinations has them."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(rng.choices("0123456789", k=rng.randint(3, 12)))] = None
    return list(found)


def configuration(prefixes: Sequence[str]) -> Configuration:
    """Trunks 1 (which refines nothing) and 2 (which does), a user, and the prefixes led to trunk 1."""
    route = AnalyzeCalledNumber(id=1, prefix="", route_type=RouteType.SIP_TRUNK, target_id=1)
    called = {
        index: route.model_copy(update={"id": index, "prefix": prefix})
        for index, prefix in enumerate(prefixes, start=3)
    }
    tables: dict[str, Any] = {
        "local_users": {1: LocalUser(id=1, number="100", password="x")},
        "sip_trunks": {
            1: SipTrunk(id=1, server_address="192.0.2.8", description="Gateway"),
            2: SipTrunk(id=2, server_address="192.0.2.9", outgoing_group_id=1, unified_caller_number="4930"),
        },
        "number_transitions": {1: NumberTransition(id=1, type="replace", length=1, digits="0086")},
        "refine_called_numbers": {1: RefineCalledNumber(id=1, outgoing_group_id=1, prefix="0", transition_id=1)},
        "analyze_called_numbers": {
            1: route.model_copy(update={"prefix": "13"}),
            2: route.model_copy(update={"id": 2, "prefix": "01", "target_id": 2}),
            **called,
        },
    }
    return Configuration(System(), tables)


def digit_tree(prefixes: Sequence[str]) -> Node:
    """The same prefixes as a dictionary per digit."""
    root: Node = {}
    for prefix in prefixes:
        node = root
        for digit in prefix:
            node = node.setdefault(digit, {})
        node["end"] = prefix
    return root


def find_in_digit_tree(root: Node, number: str) -> str | None:
    """The longest prefix in a tree of digits."""
    node = root
    found = node.get("end")
    for digit in number:
        following = node.get(digit)
        if following is None:
            break
        node = following
        found = node.get("end", found)
    return found


def measure_lookup(count: int) -> dict[str, float]:
    """The average lookup among `count` prefixes, half of the numbers beginning with one of them."""
    rng = random.Random(20)
    prefixes = random_prefixes(count, rng)
    record = AnalyzeCalledNumber(id=1, prefix="")
    rows = [
        (prefix, record.model_copy(update={"id": index, "prefix": prefix})) for index, prefix in enumerate(prefixes, 1)
    ]
    numbers = [
        (rng.choice(prefixes) if index % 2 else "") + "".join(rng.choices("0123456789", k=rng.randint(4, 11)))
        for index in range(20000)
    ]
    tracemalloc.start()
    tree = PrefixTree(rows)
    ours = tracemalloc.get_traced_memory()[0]
    digits = digit_tree(prefixes)
    theirs = tracemalloc.get_traced_memory()[0] - ours
    tracemalloc.stop()
    for number in numbers[:2000]:
        found = tree.find(number)
        assert (found.prefix if found else None) == find_in_digit_tree(digits, number)
    return {
        "find_us": best(each(tree.find, numbers), len(numbers)),
        "find_with_losers_us": best(each(tree.find_with_losers, numbers), len(numbers)),
        "digit_tree_us": best(each(lambda number: find_in_digit_tree(digits, number), numbers), len(numbers)),
        "build_ms": best(lambda: PrefixTree(rows), 1, 3) / 1000,
        "digit_tree_build_ms": best(lambda: digit_tree(prefixes), 1, 3) / 1000,
        "memory_mb": ours / 1e6,
        "digit_tree_memory_mb": theirs / 1e6,
    }


def measure_decision(plan: DialPlan) -> dict[str, float]:
    """Whole decisions with their trail, and the words of one for a call record."""
    live = IdleState()
    user, trunk = Source.user("100"), Source.trunk(1)
    repeat = 5000

    def calls(source: Source, caller: str, called: str) -> float:
        assert isinstance(decide(CallRequest(source, caller, called), plan, live), Dial)
        return best(
            each(lambda number: decide(CallRequest(source, caller, number), plan, live), [called] * repeat), repeat
        )

    simple = decide(CallRequest(user, "100", "135550"), plan, live)
    return {
        "user_to_trunk_us": calls(user, "100", "135550"),
        "trunk_to_user_us": calls(trunk, "4930123", "100"),
        "user_to_refining_trunk_us": calls(user, "100", "0108888"),
        "words_of_the_trail_us": best(each(lambda _: [str(step) for step in simple.trail], [""] * repeat), repeat),
    }


def main() -> int:
    """Print the figures; 1 when a goal is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--prefixes", type=int, default=100_000)
    arguments.add_argument("--json", action="store_true", help="print one JSON object")
    options = arguments.parse_args()
    count: int = options.prefixes
    large = configuration(
        [each for each in random_prefixes(count, random.Random(21)) if not each.startswith(("0", "1"))]
    )
    plan = DialPlan(large)
    results: dict[str, dict[str, float]] = {
        "lookup among 10": measure_lookup(10),
        f"lookup among {count}": measure_lookup(count),
        "decision, 2 prefixes": measure_decision(DialPlan(configuration(()))),
        f"decision, {len(plan.analyze_called)} prefixes": measure_decision(plan),
        f"whole plan, {len(plan.analyze_called)} prefixes": {
            "compile_ms": best(lambda: DialPlan(large), 1, 3) / 1000,
            "problems_ms": best(lambda: problems(large, plan), 1, 3) / 1000,
        },
    }
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for title, figures in results.items():
            print(title)
            for name, value in figures.items():
                print(f"  {name:<28}{value:>10.2f}")
    lookup = results[f"lookup among {count}"]["find_with_losers_us"]
    decision = results["decision, 2 prefixes"]["user_to_trunk_us"]
    missed = [
        words
        for value, goal, words in (
            (lookup, LOOKUP_GOAL, f"a lookup costs {lookup:.1f} us, the goal is {LOOKUP_GOAL}"),
            (decision, DECISION_GOAL, f"a decision costs {decision:.1f} us, the goal is {DECISION_GOAL}"),
        )
        if value > goal
    ]
    for words in missed:
        print(words, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
