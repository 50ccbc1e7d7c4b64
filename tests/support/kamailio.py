"""Kamailio with any configuration, and as a provider: registrar and proxy with accounts, a network behind it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from support.ports import udp_is_bound
from support.programs import needs_program
from support.waiting import wait_until

_MODULES = ("/usr/lib/x86_64-linux-gnu/kamailio/modules/", "/usr/lib/aarch64-linux-gnu/kamailio/modules/")

# Marks between @ are filled in; everything with a $ is Kamailio's own.
_PROVIDER = """\
#!KAMAILIO
debug=2
log_stderror=yes
fork=yes
children=2
tcp_children=1
auto_aliases=no
dns=no
rev_dns=no
dns_try_ipv6=no
use_dns_cache=off
server_header="Server: provider"
listen=udp:@ADDRESS@:5060
listen=tcp:@ADDRESS@:5060
alias="@DOMAIN@"
mpath="@MODULES@"
loadmodule "kex.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "htable.so"
loadmodule "auth.so"
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", @LONGEST@)
modparam("registrar", "min_expires", 5)
modparam("tm", "fr_timer", 5000)
modparam("auth", "nonce_expire", 300)
modparam("auth", "algorithm", "@ALGORITHM@")
modparam("htable", "htable", "password=>size=4;")
modparam("htable", "htable", "account=>size=4;")

event_route[htable:mod-init] {
@ACCOUNTS@
}

request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    force_rport();
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    if (!is_method("ACK")) { if (t_precheck_trans()) { t_check_trans(); exit; } t_check_trans(); }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { if (t_check_trans()) t_relay(); exit; }
        sl_send_reply("404", "Not here");
        exit;
    }
    if (is_method("REGISTER")) {
        if (!pv_www_authenticate("@REGISTER_REALM@", "$sht(password=>$au)", "0")) {
            auth_challenge("@REGISTER_REALM@", "1");
            exit;
        }
        if ($sht(account=>$au) != $tU) { sl_send_reply("403", "Not your account"); exit; }
        consume_credentials();
        save("location");
        exit;
    }
    if (is_method("INVITE") && $si != "@NETWORK@") {
        if (!pv_proxy_authenticate("@INVITE_REALM@", "$sht(password=>$au)", "0")) {
            auth_challenge("@INVITE_REALM@", "17");
            exit;
        }
        if ($sht(account=>$au) != $fU) { sl_send_reply("403", "Not your number"); exit; }
        consume_credentials();
    }
    if (is_method("INVITE")) record_route();
    if ($si != "@NETWORK@") { $du = "sip:@NETWORK@:5060"; }
    else if (!lookup("location")) { sl_send_reply("404", "Not registered"); exit; }
    if (!t_relay()) sl_reply_error();
}
"""


class Kamailio:
    """Kamailio on an address of its own, UDP port 5060. As a context manager it is ended at the end.

    `config`: its routing script; `@MODULES@` becomes the folder of its modules. `megabytes`: its shared memory.
    """

    def __init__(self, folder: Path, address: str, config: str, megabytes: int = 64) -> None:
        program = needs_program("kamailio", "kamailio")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.address = folder, address
        path = folder / "kamailio.cfg"
        modules = next((path for path in _MODULES if Path(path).is_dir()), _MODULES[0])
        path.write_text(config.replace("@MODULES@", modules), encoding="ascii")
        self._log = folder / "kamailio.log"
        arguments = ["-f", str(path), "-DD", "-E", "-m", str(megabytes), "-M", "4"]
        arguments += ["-w", str(folder), "-Y", str(folder)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, *arguments, "-P", str(folder / "pid")],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Its children are ended together with it.
                start_new_session=True,
            )
        try:
            wait_until(lambda: self.process.poll() is not None or udp_is_bound(address, 5060), "Kamailio")
            assert self.process.poll() is None
        except AssertionError:
            self.close()
            raise AssertionError(f"Kamailio does not start:\n{self.log()}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self.close()
        if kind is not None:
            print(f"--- Kamailio\n{self.log()[-6000:]}")

    def log(self) -> str:
        """What it printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def close(self) -> None:
        """End it and its children."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait(10)


class Provider(Kamailio):
    """A provider with accounts.

    `accounts`: account -> (digest user name, password). `network` is the address of the telephone network: it may call
    accounts without a password, and every other call goes there.
    """

    def __init__(
        self,
        folder: Path,
        address: str,
        network: str,
        accounts: Mapping[str, tuple[str, str]],
        *,
        algorithm: str = "MD5",
        domain: str = "carrier.test",
        register_realm: str = "carrier.test",
        invite_realm: str = "carrier.test",
        longest: int = 3600,
    ) -> None:
        lines = [
            f'    $sht(password=>{user}) = "{password}";\n    $sht(account=>{user}) = "{account}";'
            for account, (user, password) in accounts.items()
        ]
        marks = {
            "ADDRESS": address,
            "NETWORK": network,
            "DOMAIN": domain,
            "LONGEST": str(longest),
            "ALGORITHM": algorithm,
            "REGISTER_REALM": register_realm,
            "INVITE_REALM": invite_realm,
            "ACCOUNTS": "\n".join(lines),
        }
        config = _PROVIDER
        for name, value in marks.items():
            config = config.replace(f"@{name}@", value)
        super().__init__(folder, address, config)
