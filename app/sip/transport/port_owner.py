"""Who has a port: the name of the process that a wanted port belongs to, where the system tells it."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_TCP_LISTEN, _TCP_TIME_WAIT = "0A", "06"


def owner_of_port(transport: str, host: str, port: int) -> str:
    """Describe the owner of a port, such as `kamailio (process 4711)`; empty when the system does not tell.

    Looks through /proc on Linux and asks the IP helper library on Windows. Never raises.
    """
    protocol = "udp" if transport == "udp" else "tcp"
    try:
        if sys.platform == "linux":
            return _linux_owner(protocol, host, port)
        if sys.platform == "win32":
            return _windows_owner(protocol, port)
    except (OSError, ValueError, AttributeError, struct.error):
        pass
    return ""


def _linux_owner(protocol: str, host: str, port: int) -> str:
    inodes: dict[str, int] = {}
    # A connection that some program has made from this very port is in the way, too.
    for states in ({_TCP_LISTEN}, None) if protocol == "tcp" else (None,):
        for table in (protocol, f"{protocol}6"):
            inodes.update(_sockets_on_port(Path("/proc/net") / table, states, host, port))
        if inodes:
            break
    else:
        return ""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    own = str(os.getpid())
    for process, links in _descriptors():
        if wanted.intersection(links):
            name = (Path("/proc") / process / "comm").read_text(encoding="utf-8", errors="replace").strip()
            return f"{name} (process {process}{', this program itself' if process == own else ''})"
    return f"a process of {_user_name(next(iter(inodes.values())))}"


def _sockets_on_port(table: Path, states: set[str] | None, host: str, port: int) -> Iterator[tuple[str, int]]:
    """The (inode, user id) of every socket of a /proc/net table in these states that is in the way of host and port."""
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or fields[3] == _TCP_TIME_WAIT or (states is not None and fields[3] not in states):
            continue
        local_hex, _, port_hex = fields[1].partition(":")
        if int(port_hex, 16) != port:
            continue
        bound, wanted = _address_from_hex(local_hex), ipaddress.ip_address(host)
        if bound.is_unspecified or wanted.is_unspecified or bound == wanted:
            yield fields[9], int(fields[7])


def _address_from_hex(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The kernel prints the address as 32-bit words in the byte order of the machine."""
    words = struct.pack(f"={len(text) // 8}I", *(int(text[at : at + 8], 16) for at in range(0, len(text), 8)))
    return ipaddress.ip_address(words)


def _descriptors() -> Iterator[tuple[str, set[str]]]:
    """Every process whose descriptors we may see, with what they link to; our own last."""
    processes = [name for name in os.listdir("/proc") if name.isdigit()]
    own = str(os.getpid())
    for process in sorted(processes, key=lambda name: (name == own, int(name))):
        links: set[str] = set()
        with contextlib.suppress(OSError):
            folder = f"/proc/{process}/fd"
            for descriptor in os.listdir(folder):
                with contextlib.suppress(OSError):
                    links.add(os.readlink(f"{folder}/{descriptor}"))
        yield process, links


def _user_name(user_id: int) -> str:
    if sys.platform == "win32":
        return f"user {user_id}"
    import pwd

    try:
        return f"the user {pwd.getpwuid(user_id).pw_name}"
    except KeyError:
        return f"the user with number {user_id}"


def _windows_owner(protocol: str, port: int) -> str:
    """GetExtendedUdpTable / GetExtendedTcpTable with the table classes that carry the owner's process id."""
    library = ctypes.WinDLL("iphlpapi")  # type: ignore[attr-defined,unused-ignore]
    function = library.GetExtendedUdpTable if protocol == "udp" else library.GetExtendedTcpTable
    # UDP_TABLE_OWNER_PID is 1, TCP_TABLE_OWNER_PID_LISTENER is 3; rows of 3 and of 6 double words.
    table_class, row_words, port_at, process_at = (1, 3, 1, 2) if protocol == "udp" else (3, 6, 2, 5)
    size = ctypes.c_ulong(0)
    function(None, ctypes.byref(size), False, 2, table_class, 0)
    table = ctypes.create_string_buffer(size.value + 4096)
    size = ctypes.c_ulong(len(table))
    if function(table, ctypes.byref(size), False, 2, table_class, 0) != 0:
        return ""
    (count,) = struct.unpack_from("<I", table.raw, 0)
    for row in range(count):
        words = struct.unpack_from(f"<{row_words}I", table.raw, 4 + row * row_words * 4)
        if (words[port_at] & 0xFF) << 8 | (words[port_at] >> 8) & 0xFF == port:
            # The process 0 is none: the system keeps the port itself.
            return _windows_process_name(words[process_at]) if words[process_at] else ""
    return ""


def _windows_process_name(process_id: int) -> str:
    kernel = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined,unused-ignore]
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = kernel.OpenProcess(0x1000, False, process_id)  # PROCESS_QUERY_LIMITED_INFORMATION
    if not handle:
        return f"process {process_id}"
    try:
        name = ctypes.create_unicode_buffer(1024)
        length = ctypes.c_ulong(len(name))
        if not kernel.QueryFullProcessImageNameW(ctypes.c_void_p(handle), 0, name, ctypes.byref(length)):
            return f"process {process_id}"
        return f"{name.value.rsplit(chr(92), 1)[-1]} (process {process_id})"
    finally:
        kernel.CloseHandle(ctypes.c_void_p(handle))
