"""Measure what the SIP message core costs: microseconds per parse, check, answer and serialisation, and ratios.

Run it from the repository root: `python -m tests.bench.parse`. The unit of the last column is what Python needs for a
bare split of the same text into its header names and values, the least that any parser written in it must do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from app.sip.framing import StreamFramer  # noqa: E402
from app.sip.message import Request, parse  # noqa: E402
from app.sip.uri import _parse_uri_cached  # noqa: E402
from app.sip.validation import check_request  # noqa: E402

SCENARIO = ROOT.parent / "shared" / "bench" / "uac.xml"
FALLBACK = """\
INVITE sip:[service]@[remote_ip]:[remote_port] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: "load" <sip:load@[local_ip]:[local_port]>;tag=[pid]SIPpTag00[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>
Call-ID: [call_id]
CSeq: 1 INVITE
Contact: <sip:load@[local_ip]:[local_port]>
Max-Forwards: 70
Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, UPDATE
User-Agent: sipp-perf
Content-Type: application/sdp
Content-Length: [len]

v=0
o=load 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a=sendrecv
"""
FIELDS = {
    "service": "135550",
    "remote_ip": "192.0.2.8",
    "remote_port": "5060",
    "transport": "UDP",
    "local_ip": "192.0.2.20",
    "local_port": "5061",
    "branch": "z9hG4bK-4711-12-0",
    "pid": "4711",
    "call_number": "12",
    "call_id": "12-4711@192.0.2.20",
    "local_ip_type": "4",
    "media_ip_type": "4",
    "media_ip": "192.0.2.20",
    "media_port": "6000",
}


def typical_invite() -> bytes:
    """The first request of shared/bench/uac.xml with its fields filled in (a copy of it where that is missing)."""
    text = FALLBACK
    if SCENARIO.exists():
        text = SCENARIO.read_text(encoding="latin-1").partition("<![CDATA[")[2].partition("]]>")[0].lstrip("\n")
    for name, value in FIELDS.items():
        text = text.replace(f"[{name}]", value)
    head, _, body = text.replace("\r\n", "\n").replace("\n", "\r\n").partition("\r\n\r\n")
    return (head.replace("[len]", str(len(body))) + "\r\n\r\n" + body).encode()


def bare_split(data: bytes) -> list[tuple[str, str]]:
    """What any parser must do at least."""
    head, _, _body = data.partition(b"\r\n\r\n")
    pairs = []
    for line in head.decode().split("\r\n")[1:]:
        name, _, value = line.partition(":")
        pairs.append((name, value.strip()))
    return pairs


def measure(work: Callable[[], object], rounds: int, repeat: int) -> tuple[float, float]:
    """The least and the median over the repetitions of the microseconds per call, in CPU time.

    The work is always the same, so the least is its cost, and what the median has on top is the machine's other load.
    """
    samples = []
    for _ in range(repeat):
        start = time.process_time()
        for _ in range(rounds):
            work()
        samples.append((time.process_time() - start) / rounds * 1e6)
    return min(samples), statistics.median(samples)


def cases(data: bytes) -> list[tuple[str, float | None, Callable[[], object]]]:
    """What is measured: name, the goal in microseconds or None, the work."""
    request = parse(data)
    assert isinstance(request, Request)
    response = request.answer(200, to_tag="a1b2c3", headers=[("Contact", "<sip:192.0.2.8:5060>")], body=request.body)
    response_bytes = response.to_bytes()
    framer = StreamFramer()

    def views() -> None:
        message = parse(data)
        assert isinstance(message, Request)
        _ = (message.via, message.from_, message.to, message.cseq, message.call_id, message.contacts, message.uri)

    def whole() -> bytes:
        message = parse(data)
        assert isinstance(message, Request)
        message.received_from("192.0.2.21", 5061)
        refusal = check_request(message)
        assert refusal is None
        return message.answer(180, to_tag="a1b2c3").to_bytes()

    def cold() -> None:
        _parse_uri_cached.cache_clear()
        views()

    return [
        ("bare split", None, lambda: bare_split(data)),
        ("parse INVITE", 8.0, lambda: parse(data)),
        ("parse 200", None, lambda: parse(response_bytes)),
        ("parse INVITE and read seven views", None, views),
        ("... when no URI was seen before", None, cold),
        ("serialise INVITE", None, request.to_bytes),
        ("answer 180 and serialise", 6.0, lambda: request.answer(180, to_tag="a1b2c3").to_bytes()),
        ("parse, received, check, answer, serialise", None, whole),
        ("cut INVITE out of a stream", None, lambda: framer.feed(data)),
    ]


def main() -> int:
    """Print the table; exit 1 when a goal is missed and `--check` asks for that."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=35)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is missed")
    arguments = parser.parse_args()
    data = typical_invite()
    rows = [(name, goal, *measure(work, arguments.rounds, arguments.repeat)) for name, goal, work in cases(data)]
    unit = rows[0][2]
    if arguments.json:
        print(json.dumps({name: {"least": least, "median": median} for name, _, least, median in rows}))
    else:
        print(f"{len(data)} bytes, {arguments.repeat} x {arguments.rounds}, CPU time in microseconds\n")
        print(f"{'':44}{'least':>8}{'median':>8}{'goal':>8}{'x bare split':>14}")
        for name, goal, least, median in rows:
            print(f"{name:44}{least:8.2f}{median:8.2f}{'' if goal is None else f'{goal:.0f}':>8}{least / unit:14.2f}")
    missed = [name for name, goal, least, _ in rows if goal is not None and least > goal]
    return 1 if arguments.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
