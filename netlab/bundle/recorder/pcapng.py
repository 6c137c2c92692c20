"""A file of packets: pcapng (draft-ietf-opsawg-pcapng), with Linux's cooked headers."""

from __future__ import annotations

import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from netlab.bundle.recorder.link import Link

SECTION_HEADER = struct.Struct("<IIIHHq")  # type, length, byte order, version, version, section length
INTERFACE_HEADER = struct.Struct("<IIHHI")  # type, length, link type, reserved, snap length
# Type, length, interface, time (high, low), captured, original length.
PACKET_HEADER = struct.Struct("<IIIIIII")
OPTION, LENGTH = struct.Struct("<HH"), struct.Struct("<I")
SECTION, INTERFACE, ENHANCED_PACKET = 0x0A0D0D0A, 1, 6
BYTE_ORDER = 0x1A2B3C4D
IF_NAME, IF_TSRESOL, NANOSECONDS = 2, 9, b"\x09"
# Linux cooked capture, version 2, has for any link the interface, and whether the packet came in or went out.
LINKTYPE_LINUX_SLL2 = 276
COOKED_HEADER = struct.Struct("!HHIHBB8s")  # protocol, reserved, interface, ARP type, packet type, address


class PacketFile:
    """A pcapng file in memory.

    Args:
        snap_bytes: of a packet, the cooked header not counted, no more than that is kept.
        limit_bytes: of the file.
    """

    def __init__(self, snap_bytes: int, limit_bytes: int) -> None:
        self._snap, self._limit = snap_bytes, limit_bytes
        self._interfaces: dict[int, int] = {}
        self.packets, self.left_out = 0, 0
        self.content = bytearray(SECTION_HEADER.pack(SECTION, 28, BYTE_ORDER, 1, 0, -1) + LENGTH.pack(28))

    def add(self, seconds: int, nanoseconds: int, link: Link, packet: bytes, length: int) -> None:
        """Add a packet, or count it as left out where the file is full.

        Args:
            seconds: when, since the epoch.
            nanoseconds: and this long after.
            link: what the kernel says of it.
            packet: its headers, from the network's on.
            length: of the whole of it.
        """
        if len(self.content) >= self._limit:
            self.left_out += 1
            return
        if link.interface not in self._interfaces:
            self._add_interface(link.interface)
        cooked = COOKED_HEADER.pack(
            link.protocol, 0, link.interface, link.kind, link.direction, link.address_bytes, link.address
        )
        kept = cooked + packet[: self._snap]
        time = seconds * 1_000_000_000 + nanoseconds
        total = PACKET_HEADER.size + padded(len(kept)) + LENGTH.size
        self.content += PACKET_HEADER.pack(
            ENHANCED_PACKET,
            total,
            self._interfaces[link.interface],
            time >> 32,
            time & 0xFFFFFFFF,
            len(kept),
            len(cooked) + length,
        )
        self.content += kept.ljust(padded(len(kept)), b"\0") + LENGTH.pack(total)
        self.packets += 1

    def _add_interface(self, index: int) -> None:
        self._interfaces[index] = len(self._interfaces)
        options = option(IF_NAME, interface_name(index)) + option(IF_TSRESOL, NANOSECONDS) + OPTION.pack(0, 0)
        total = INTERFACE_HEADER.size + len(options) + LENGTH.size
        snap = COOKED_HEADER.size + self._snap
        self.content += INTERFACE_HEADER.pack(INTERFACE, total, LINKTYPE_LINUX_SLL2, 0, snap)
        self.content += options + LENGTH.pack(total)


def padded(length: int) -> int:
    """Blocks and options begin at multiples of four."""
    return (length + 3) & ~3


def option(code: int, value: bytes) -> bytes:
    """Return an option of a block."""
    return OPTION.pack(code, len(value)) + value.ljust(padded(len(value)), b"\0")


def interface_name(index: int) -> bytes:
    """Return an interface's name; one that is gone has its number."""
    try:
        return os.fsencode(socket.if_indextoname(index))
    except OSError:
        return b"%d" % index
