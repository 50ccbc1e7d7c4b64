"""Kamailio as a plain proxy of the same calls: what they cost this machine without any call logic."""

from __future__ import annotations

from pathlib import Path

from support.kamailio import Kamailio

COST_WHERE_THE_GOAL_WAS_SET = {50: 0.5, 200: 0.4, 400: 0.35}
"""Milliseconds of CPU per call, by calls per second, on the machine on which the goal of 1.0 ms was set."""

# One worker costs least per call: with several each message finds the caches of another.
_CONFIG = """\
#!KAMAILIO
debug=0
children=1
auto_aliases=no
dns=no
rev_dns=no
disable_tcp=yes
listen=udp:@ADDRESS@:5060
mpath="@MODULES@"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (has_totag()) { if (loose_route()) t_relay(); exit; }
    t_check_trans();
    record_route();
    $du = "sip:@CARRIER@:5060";
    t_relay();
}
"""


def start_proxy(folder: Path, address: str, carrier: str) -> Kamailio:
    """A proxy with transactions that sends every call to `carrier`; Skipped where there is no Kamailio."""
    config = _CONFIG.replace("@ADDRESS@", address).replace("@CARRIER@", carrier)
    # A transaction stays for seconds after its call, and there are thousands of them at high rates.
    return Kamailio(folder, address, config, megabytes=512)


def goal_here(goal_ms: float, proxy_ms: float, rate: float) -> float:
    """The goal in milliseconds of this machine: as much more than where it was set as the proxy costs more here."""
    nearest = min(COST_WHERE_THE_GOAL_WAS_SET, key=lambda known: abs(known - rate))
    return goal_ms * proxy_ms / COST_WHERE_THE_GOAL_WAS_SET[nearest]
