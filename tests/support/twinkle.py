"""Twinkle as a real phone without sound card, driven through the standard input and output of its console."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path

from support.ports import used_udp_ports
from support.programs import needs_program
from support.waiting import wait_until

_ports = itertools.cycle(range(39000, 39900, 20))

_SOUND = """\
pcm.!default { type null }
ctl.!default { type null }
"""

_SYSTEM = """\
dev_ringtone=alsa:null
dev_speaker=alsa:null
dev_mic=alsa:null
validate_audio_dev=no
play_ringtone=no
play_ringback=no
log_sip=yes
sip_port={port}
rtp_port={rtp_port}
"""

_USER = """\
user_name={user}
user_domain={server}
auth_name={user}
auth_pass={password}
registrar={server}
outbound_proxy={server}
register_at_startup=yes
registration_time={register_seconds}
sip_transport={transport}
codecs=g711a
ask_user_to_refer=no
"""


class Twinkle:
    """One phone with one account and two lines. As a context manager it is closed (and unregistered) at the end.

    It takes the address that the machine sends from, which is 127.0.0.1 for all of loopback: phones differ by port.
    """

    def __init__(
        self,
        folder: Path,
        server: str,
        user: str,
        password: str,
        *,
        transport: str = "udp",
        register_seconds: int = 60,
        options: str = "",
    ) -> None:
        """`server`: its address, with the standard port; `options`: further lines of the account's profile."""
        program = needs_program("twinkle-console", "twinkle-console")
        port = next(first for first in _ports if used_udp_ports().isdisjoint(range(first, first + 20)))
        profile = folder / ".twinkle"
        profile.mkdir(parents=True, exist_ok=True)
        self.folder, self.user, self.server = folder, user, server
        system = _SYSTEM.format(port=port, rtp_port=port + 2)
        account = _USER.format(
            user=user, server=server, password=password, register_seconds=register_seconds, transport=transport
        )
        (folder / ".asoundrc").write_text(_SOUND, encoding="ascii")
        (profile / "twinkle.sys").write_text(system, encoding="ascii")
        (profile / "phone.cfg").write_text(account + options, encoding="ascii")
        self._printed = folder / "printed"
        self._seen = 0
        with self._printed.open("wb") as printed:
            self.process = subprocess.Popen(
                [program, "phone.cfg"],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=subprocess.STDOUT,
                env={**os.environ, "HOME": str(folder), "TERM": "dumb", "LC_ALL": "C"},
            )

    def __enter__(self) -> Twinkle:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if kind is not None:
            print(f"--- Twinkle of {self.user}\n{self.printed()[-3000:]}\n{self.log()[-6000:]}")
        self.close()

    def printed(self) -> str:
        """What its console has shown."""
        return self._printed.read_text(encoding="utf-8", errors="replace")

    def log(self) -> str:
        """Every SIP message, with notes."""
        log = self.folder / ".twinkle" / "twinkle.log"
        return log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""

    def command(self, text: str) -> None:
        """Type a line, such as `call 101`."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def wait_for(self, text: str, seconds: float = 10.0) -> None:
        """Wait until the console shows this, after what was waited for before."""

        def shown() -> bool:
            place = self.printed().find(text, self._seen)
            if place >= 0:
                self._seen = place + len(text)
            return place >= 0

        wait_until(shown, f"'{text}' from the phone of {self.user}", seconds)

    def close(self) -> None:
        """End the phone; it ends its calls and unregisters."""
        if self.process.poll() is None:
            try:
                self.command("quit")
                self.process.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait(10)
        if self.process.stdin is not None:
            self.process.stdin.close()
