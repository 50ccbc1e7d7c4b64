"""Builds SIPp scenarios step by step: what a caller or a carrier sends and expects, in the order of the calls."""

from __future__ import annotations

from pathlib import Path

_LOCAL_TAG = ";tag=[pid]T[call_number]"
_VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];rport;branch=[branch{back}]"
_CONTACT = "Contact: <sip:{user}@[local_ip]:[local_port];transport=[transport]>"

REASONS = {
    100: "Trying",
    180: "Ringing",
    183: "Session Progress",
    200: "OK",
    302: "Moved Temporarily",
    403: "Forbidden",
    404: "Not Found",
    408: "Request Timeout",
    480: "Temporarily Unavailable",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    500: "Server Internal Error",
    503: "Service Unavailable",
    603: "Decline",
}


def audio_sdp(direction: str = "sendrecv", version: int = 1) -> str:
    """One audio stream, PCMA and telephone-event, at the address and port that SIPp listens on."""
    return "\r\n".join(
        [
            "v=0",
            f"o=sipp 53655765 {version} IN IP[local_ip_type] [local_ip]",
            "s=-",
            "c=IN IP[media_ip_type] [media_ip]",
            "t=0 0",
            "m=audio [media_port] RTP/AVP 8 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=ptime:20",
            f"a={direction}",
        ]
    )


class Scenario:
    """The steps of one side of a call. Every step returns the scenario, so that a call reads as one sentence."""

    def __init__(self, user: str = "sipp") -> None:
        self.user = user
        self._steps: list[str] = []
        self._variables: list[str] = []
        self._is_caller = False
        self._invite_step = 0
        self._sequence = 0
        self._invite_sequence = 1
        self._in_dialog = False

    # --- what both sides do

    def pause(self, milliseconds: int) -> Scenario:
        """Do nothing for a while, as a person who talks."""
        return self._add(f'  <pause milliseconds="{milliseconds}"/>\n')

    def expect(self, status: int, *, optional: bool = False) -> Scenario:
        """A response must come (or may, when optional); a 2xx to INVITE gives the dialog its other side."""
        actions = ""
        if status == 200 and self._is_caller and not self._in_dialog and not optional:
            actions = self._enter_dialog()
        return self._receive(f'response="{status}"', optional, actions)

    def _enter_dialog(self) -> str:
        self._in_dialog = True
        return self._capture("remote", "To:", "[^ ].*") + self._capture("target", "Contact:", "sip:[^>;]*")

    def expect_request(self, method: str, *, optional: bool = False) -> Scenario:
        """A request must come (or may, when optional) within the dialog."""
        return self._receive(f'request="{method}"', optional, "")

    def request(
        self,
        method: str,
        body: str = "",
        content_type: str = "",
        *,
        answered: int = 200,
        headers: tuple[str, ...] = (),
    ) -> Scenario:
        """Send a request within the dialog and expect its answer (0: none is waited for)."""
        self._sequence += 1
        if method == "INVITE":
            self._invite_sequence = self._sequence
        local = f"<sip:{self.user}@[local_ip]:[local_port]>{_LOCAL_TAG}" if self._is_caller else f"[$local]{_LOCAL_TAG}"
        self._send(
            [
                f"{method} [$target] SIP/2.0",
                _VIA.format(back=""),
                f"From: {local}",
                "To: [$remote]",
                "Call-ID: [call_id]",
                f"CSeq: {self._sequence} {method}",
                _CONTACT.format(user=self.user),
                "Max-Forwards: 70",
                *headers,
            ],
            body,
            content_type,
        )
        return self.expect(answered) if answered else self

    def hang_up(self) -> Scenario:
        """BYE."""
        return self.request("BYE")

    def reinvite(self, direction: str, version: int) -> Scenario:
        """Change the direction of the audio: `sendonly` is hold, `sendrecv` takes it back."""
        self.request("INVITE", audio_sdp(direction, version), "application/sdp", answered=0)
        return self.expect(100, optional=True).expect(200).acknowledge()

    def acknowledge(self, sdp: str = "") -> Scenario:
        """ACK to a 2xx; `sdp` answers the offer in that."""
        sequence, self._sequence = self._sequence, self._invite_sequence - 1
        self.request("ACK", sdp, "application/sdp", answered=0)
        self._sequence = sequence
        return self

    def press(self, digit: str) -> Scenario:
        """A DTMF digit as SIP INFO."""
        return self.request("INFO", f"Signal={digit}\r\nDuration=160\r\n", "application/dtmf-relay")

    def play(self, file: str) -> Scenario:
        """Begin to play a file of A-law samples as RTP; the port in the SDP is `[rtpstream_audio_port]`."""
        return self._add(f'  <nop><action><exec rtp_stream="{file},-1,8"/></action></nop>\n')

    def answer_request(self, method: str, sdp: str = "") -> Scenario:
        """Expect a request within the dialog and answer it with 200."""
        self.expect_request(method)
        self.respond(200, sdp)
        return self.expect_request("ACK") if method == "INVITE" else self

    # --- the caller

    def invite(self, sdp: str | None = None, headers: tuple[str, ...] = ()) -> Scenario:
        """The INVITE that begins a call to the number given with -s."""
        self._is_caller = True
        self._sequence = 1
        self._invite_step = len(self._steps)
        lines = [
            *self._initial("INVITE", "To: <sip:[service]@[remote_ip]:[remote_port]>"),
            _CONTACT.format(user=self.user),
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO",
            *headers,
        ]
        return self._send(lines, audio_sdp() if sdp is None else sdp, "application/sdp")

    def expect_reliable(self, status: int, sdp: str = "") -> Scenario:
        """A reliable provisional response (RFC 3262) must come; PRACK, with this body, and its 200."""
        actions = self._enter_dialog() + self._capture("rseq", "RSeq:", "[0-9]+")
        self._receive(f'response="{status}"', False, actions)
        return self.request("PRACK", sdp, "application/sdp", headers=("RAck: [$rseq] 1 INVITE",))

    def cancel(self) -> Scenario:
        """Give up before the answer: CANCEL, its 200, the INVITE's 487."""
        back = f"-{len(self._steps) - self._invite_step}"
        self._send(self._initial("CANCEL", "To: <sip:[service]@[remote_ip]:[remote_port]>", back))
        return self.expect(200, optional=False).fail(487)

    def fail(self, status: int) -> Scenario:
        """Expect this final failure of the INVITE and acknowledge it."""
        self.expect(status)
        back = f"-{len(self._steps) - self._invite_step}"
        to_header = "To: <sip:[service]@[remote_ip]:[remote_port]>[peer_tag_param]"
        return self._send(self._initial("ACK", to_header, back), retransmit=False)

    # --- the called side

    def expect_invite(self) -> Scenario:
        """The INVITE that begins a call to this side."""
        actions = (
            self._capture("local", "To:", "[^ ].*")
            + self._capture("remote", "From:", "[^ ].*")
            + self._capture("target", "Contact:", "sip:[^>;]*")
            + self._capture("number", "CSeq:", "[0-9]+")
            + self._capture("via", "Via:", "[^ ].*")
        )
        return self._receive('request="INVITE"', False, actions)

    def respond(
        self, status: int, sdp: str = "", *, headers: tuple[str, ...] = (), to_invite: bool = False
    ) -> Scenario:
        """Answer the last request, or with `to_invite` the first INVITE after another request (CANCEL) came."""
        sequence = "CSeq: [$number] INVITE" if to_invite else "[last_CSeq:]"
        lines = [
            f"SIP/2.0 {status} {REASONS[status]}",
            "Via: [$via]" if to_invite else "[last_Via:]",
            "[last_From:]",
            "[last_To:]" + ("" if self._in_dialog else _LOCAL_TAG),
            "[last_Call-ID:]",
            sequence,
            _CONTACT.format(user=self.user),
            *headers,
        ]
        return self._send(lines, sdp, "application/sdp" if sdp else "", retransmit=status >= 200 and bool(sdp))

    def respond_reliably(self, status: int, sdp: str = "") -> Scenario:
        """A reliable provisional response (RFC 3262) to the INVITE; its PRACK must come and gets 200."""
        self.respond(status, sdp, headers=("Require: 100rel", "RSeq: 7"))
        return self.expect_request("PRACK").respond(200)

    def answer(self, sdp: str | None = None, *, to_invite: bool = False) -> Scenario:
        """200 to the INVITE, and its ACK; `to_invite` where another request came since."""
        self.respond(200, audio_sdp() if sdp is None else sdp, to_invite=to_invite)
        self._in_dialog = True
        return self.expect_request("ACK")

    def refuse(self, status: int, *headers: str) -> Scenario:
        """A final failure, and its ACK."""
        return self.respond(status, headers=headers).expect_request("ACK")

    def be_cancelled(self) -> Scenario:
        """CANCEL comes; 200 to it, 487 to the INVITE, and its ACK."""
        self.expect_request("CANCEL").respond(200)
        return self.respond(487, to_invite=True).expect_request("ACK")

    # --- writing

    def write(self, path: Path, linger: int = 300) -> Path:
        """Write the scenario; after its end a call still answers retransmissions for `linger` milliseconds."""
        variables = ",".join(sorted(set(self._variables)))
        reference = f'  <Reference variables="{variables}"/>\n' if variables else ""
        text = (
            '<?xml version="1.0" encoding="ISO-8859-1" ?>\n'
            f'<scenario name="{path.stem}">\n{"".join(self._steps)}'
            f'  <timewait milliseconds="{linger}"/>\n{reference}</scenario>\n'
        )
        path.write_text(text, encoding="ascii")
        return path

    def _initial(self, method: str, to_header: str, back: str = "") -> list[str]:
        return [
            f"{method} sip:[service]@[remote_ip]:[remote_port] SIP/2.0",
            _VIA.format(back=back),
            f"From: <sip:{self.user}@[local_ip]:[local_port]>{_LOCAL_TAG}",
            to_header,
            "Call-ID: [call_id]",
            f"CSeq: 1 {method}",
            "Max-Forwards: 70",
        ]

    def _capture(self, variable: str, header: str, pattern: str) -> str:
        self._variables.append(variable)
        return f'<ereg regexp="{pattern}" search_in="hdr" header="{header}" assign_to="{variable}"/>'

    def _receive(self, what: str, optional: bool, actions: str) -> Scenario:
        mark = ' optional="true"' if optional else ""
        inside = f"<action>{actions}</action>" if actions else ""
        return self._add(f"  <recv {what}{mark}>{inside}</recv>\n")

    def _send(self, lines: list[str], body: str = "", content_type: str = "", *, retransmit: bool = True) -> Scenario:
        retransmit = retransmit and not lines[0].startswith("ACK")
        head = [*lines, f"Content-Type: {content_type}"] if body else lines
        text = "\n".join([*head, f"Content-Length: {'[len]' if body else '0'}", "", body.replace("\r\n", "\n")])
        mark = ' retrans="500"' if retransmit else ""
        return self._add(f"  <send{mark}><![CDATA[\n{text}\n]]></send>\n")

    def _add(self, step: str) -> Scenario:
        self._steps.append(step)
        return self


def answering(*, early_media: bool = False, ring_milliseconds: int = 50) -> Scenario:
    """A called side that rings (or plays early media), answers, and waits for the caller's BYE."""
    scenario = Scenario().expect_invite()
    scenario = scenario.respond(183, audio_sdp()) if early_media else scenario.respond(180)
    return scenario.pause(ring_milliseconds).answer().answer_request("BYE")


def calling(talk_milliseconds: int = 100) -> Scenario:
    """A caller that waits through ringing, talks, and hangs up."""
    return (
        Scenario()
        .invite()
        .expect(100, optional=True)
        .expect(180, optional=True)
        .expect(183, optional=True)
        .expect(200)
        .acknowledge()
        .pause(talk_milliseconds)
        .hang_up()
    )


def refused_with(status: int) -> Scenario:
    """A caller whose call must end with this status."""
    return Scenario().invite().expect(100, optional=True).expect(180, optional=True).fail(status)
