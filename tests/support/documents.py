"""Import documents for tests: a server with phones 100 and 101 and trunks on a test's own addresses."""

from __future__ import annotations

from typing import Any

from support.ports import LoopbackNetwork

SERVER = 1
CARRIER_A = 10
CARRIER_B = 20
CALLER = 30
STRANGER = 66
PHONE_100 = 100
PHONE_101 = 101
"""Last bytes of the addresses; SIP trunk 1 is carrier A, 2 is carrier B, 3 is the caller."""

PASSWORDS = {"100": "secret-of-100", "101": "secret-of-101"}


def document(
    network: LoopbackNetwork, changes: dict[int, dict[str, Any]] | None = None, **tables: Any
) -> dict[str, Any]:
    """Trunks 1 (carrier A), 2 (carrier B) and 3 (caller), `13` to trunk 1, `24` to trunk 2, phones 100 and 101.

    `changes` are fields of trunks by id; whole tables can be given beside it and take the place of these.
    """
    hosts = {1: CARRIER_A, 2: CARRIER_B, 3: CALLER}
    names = {1: "Carrier A", 2: "Carrier B", 3: "Caller"}
    trunks = [
        {"id": id_, "description": names[id_], "server_address": network.address(host), **(changes or {}).get(id_, {})}
        for id_, host in hosts.items()
    ]
    return {
        "local_users": [{"number": number, "password": password} for number, password in PASSWORDS.items()],
        "sip_trunks": trunks,
        "analyze_called_numbers": [
            {"prefix": "13", "route_type": "sip_trunk", "target_id": 1},
            {"prefix": "24", "route_type": "sip_trunk", "target_id": 2},
        ],
        **tables,
    }
