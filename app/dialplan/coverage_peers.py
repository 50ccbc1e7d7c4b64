"""Trunks, lines and users that cannot call, be reached or be told apart; a server that nobody can reach."""

from __future__ import annotations

from collections.abc import Iterator

from app.dialplan.next_trunks import cycle_words, cycles
from app.dialplan.plan import DialPlan
from app.dialplan.problem import Problem, error, information, warning
from app.dialplan.reachability import Reachable, reachable
from app.dialplan.transitions import apply_transition
from app.dialplan.words import called, place
from app.records import AnalyzeCalledNumber, ExternalLine, LocalUser, RouteType, SipTrunk, System


def check_peers(plan: DialPlan) -> Iterator[Problem]:
    """Problems of the ports, of SIP trunks, external lines, routing groups and local users."""
    yield from _check_ports(plan.configuration.system)
    used = reachable(plan)
    for trunk in plan.trunks.values():
        if trunk.enabled:
            yield from _check_limits(trunk, trunk.id in used.trunks)
    for line in plan.lines.values():
        if line.enabled:
            yield from _check_limits(line, line.id in used.lines)
    yield from _check_groups(plan, used)
    yield from _check_cycles(plan)
    yield from _check_same_address(plan)
    for user in plan.configuration.records(LocalUser):
        if user.enabled:
            yield from _check_user(plan, user)


def _check_ports(system: System) -> Iterator[Problem]:
    if not (system.sip_udp_port or system.sip_tcp_port or system.sip_tls_port):
        message = "the UDP, TCP and TLS ports are all off: no phone and no trunk can reach this server"
        yield error(system, "sip_udp_port", message)
    if system.sip_tls_port and system.sip_tls_port == system.sip_tcp_port:
        yield error(system, "sip_tls_port", f"TCP and TLS cannot share the port {system.sip_tls_port}")


def _check_limits(peer: SipTrunk | ExternalLine, used: bool) -> Iterator[Problem]:
    if peer.max_outgoing_calls == 0:
        if peer.max_incoming_calls == 0:
            yield warning(peer, "max_outgoing_calls", "both limits are 0: no call can go out or come in")
    elif not used:
        message = "no record, routing group or next trunk leads here: it takes incoming calls only"
        if peer.max_incoming_calls == 0:
            message = "no record, routing group or next trunk leads here, and it takes no incoming calls"
        yield information(peer, "max_outgoing_calls", message)


def _check_groups(plan: DialPlan, used: Reachable) -> Iterator[Problem]:
    for group in plan.groups.values():
        if group.enabled and group.id not in used.groups:
            yield information(group, "name", "no called number record leads to this group")


def _check_cycles(plan: DialPlan) -> Iterator[Problem]:
    for cycle in cycles(plan.configuration):
        ring = cycle[:-1]
        for index, trunk_id in enumerate(ring):
            own = [*ring[index:], *ring[: index + 1]]
            message = f"the next trunks go in a circle: {cycle_words(own)}; each is tried once in a call"
            yield error(plan.trunks[trunk_id], "next_trunk_id", message)


def _check_same_address(plan: DialPlan) -> Iterator[Problem]:
    """Who cannot be told apart by address: the first one gets the other one's calls."""
    servers: dict[tuple[str, int], SipTrunk] = {}
    networks: dict[str, SipTrunk] = {}
    hosts: dict[str, SipTrunk] = {}
    for trunk in plan.trunks.values():
        if not trunk.enabled:
            continue
        key = (trunk.server_address, trunk.server_port)
        first = servers.setdefault(key, trunk)
        hosts.setdefault(trunk.server_address, trunk)
        if first is not trunk:
            message = f"{called(first)} has the same address and port: calls from there come in through it"
            yield warning(trunk, "server_address", message)
        for network in trunk.trusted_networks:
            first = networks.setdefault(network, trunk)
            if first is not trunk:
                message = f"{called(first)} trusts {network}, too: calls from there come in through it"
                yield warning(trunk, "trusted_networks", message)
    addresses: dict[str, LocalUser] = {}
    for user in plan.configuration.records(LocalUser):
        if not user.enabled or not user.trusted_address:
            continue
        trunk_there = hosts.get(user.trusted_address) or networks.get(user.trusted_address)
        if trunk_there is not None:
            message = f"{called(trunk_there)} has this address, too: calls from there come in through it"
            yield warning(user, "trusted_address", message)
        holder = addresses.setdefault(user.trusted_address, user)
        if holder is not user:
            message = f"{called(holder)} has the same trusted address: calls from there are taken for that user's"
            yield warning(user, "trusted_address", message)


def _check_user(plan: DialPlan, user: LocalUser) -> Iterator[Problem]:
    if not user.password and not user.trusted_address:
        yield warning(user, "password", "no password and no trusted address: this user can neither register nor call")
    record = plan.analyze_called.find(user.number)
    reason = _taken_by_default(plan, user.number) if record is None else _taken_by_record(plan, user, record)
    if reason:
        yield warning(user, "number", f"dialling {user.number} does not ring this user: {reason}")


def _taken_by_record(plan: DialPlan, user: LocalUser, record: AnalyzeCalledNumber) -> str:
    """How a record leads the user's number elsewhere, or blank."""
    words = f"called number record {record.id} (prefix {record.prefix or 'any number'})"
    if record.route_type is not RouteType.LOCAL_USER or record.target_id not in (0, user.id):
        target = plan.target(record.route_type, record.target_id)
        return f"{words} sends it to {place(record.route_type, record.target_id, target)}"
    transition = plan.transitions.get(record.transition_id)
    if record.target_id or transition is None or not transition.enabled:
        return ""
    number = apply_transition(transition, user.number)
    return "" if number == user.number else f"{words} makes it {number or 'no number'}"


def _taken_by_default(plan: DialPlan, number: str) -> str:
    """How a number without a record is led elsewhere than to its local user, or blank."""
    system = plan.system
    prefix = system.outgroup_prefix
    if prefix and plan.lines and number.startswith(prefix) and len(number) > len(prefix):
        return f"it begins with the out-group prefix {prefix} and goes to an external line"
    if system.default_route_type is RouteType.LOCAL_USER:
        return ""
    target = plan.target(system.default_route_type, system.default_target_id)
    return f"the default route sends it to {place(system.default_route_type, system.default_target_id, target)}"
