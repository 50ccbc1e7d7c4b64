"""From what was negotiated to what a worker does: whom a side's packets may come from and where to send to."""

from __future__ import annotations

from app.media.addresses import behind_nat, is_private, parse_address
from app.media.messages import NOBODY, Address, SessionConfiguration, SideConfiguration
from app.media.negotiation import NegotiatedMedia, Side, SideMedia, SideSettings


def side_configuration(
    media: SideMedia,
    settings: SideSettings,
    locked: Address | None = None,
    rtcp_locked: Address | None = None,
) -> SideConfiguration:
    """Whom to listen to on one side.

    The address that the side signalled, and nobody else. Behind address translation, and for a host name, the address
    that its SIP comes from instead; for another private address than that one (a network inside the office, a VPN, a
    server with an address for its audio), either. A source that is not exactly
    the signalled address and port has to show itself a few times before it is believed.
    """
    signalled = parse_address(media.host)
    source = parse_address(media.sip_source or "")
    sip_host = str(source) if source is not None else ""
    hosts: tuple[str, ...] = ()
    exact = destination = None
    if media.port:
        if signalled is None or behind_nat(media.host, sip_host, settings.local_networks):
            hosts = (sip_host,) if sip_host else ()
            # Many translators keep the port: the best guess until the side has sent something.
            destination = (sip_host, media.port) if sip_host else None
        else:
            hosts = (str(signalled),)
            exact = destination = (str(signalled), media.port)
            if (
                source is not None
                and source != signalled
                and source.version == signalled.version
                and is_private(signalled)
                and is_private(source)
            ):
                hosts = (str(signalled), sip_host)
    rtcp_exact = rtcp_destination = None
    if destination is not None and media.rtcp_port:
        rtcp_host = destination[0]
        if exact is not None:
            named = parse_address(media.rtcp_host)
            if named is not None and named != signalled:
                hosts = (*hosts, str(named))
                rtcp_host = str(named)
            rtcp_exact = (rtcp_host, media.rtcp_port)
        rtcp_destination = (rtcp_host, media.rtcp_port)
    return SideConfiguration(
        hosts,
        settings.also_accept,
        exact,
        destination,
        rtcp_exact,
        rtcp_destination,
        media.rtcp_mux,
        locked,
        rtcp_locked,
    )


def session_configuration(
    media: NegotiatedMedia,
    settings: tuple[SideSettings, SideSettings],
    unlock: bool,
    learned: dict[tuple[int, bool], Address] | None = None,
) -> SessionConfiguration:
    """All that a worker needs to relay what was negotiated; `learned` by (side, is RTCP) from an earlier worker."""
    known = learned or {}
    caller, called = (
        side_configuration(media.sides[side], settings[side], known.get((side, False)), known.get((side, True)))
        for side in Side
    )
    rules = tuple(
        tuple((rule.incoming, rule.outgoing, rule.clock_rate, rule.is_event) for rule in media.rules[side])
        for side in Side
    )
    return SessionConfiguration(
        media.active,
        media.secure,
        media.packet_time,
        unlock,
        (caller, called),
        (rules[0], rules[1]),
        media.events,
    )


def inactive_configuration() -> SessionConfiguration:
    """Forward nothing and listen to nobody: between two targets of a call."""
    return SessionConfiguration(False, False, 20, True, (NOBODY, NOBODY), ((), ()), (None, None))
