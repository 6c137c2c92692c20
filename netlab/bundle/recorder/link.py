"""What the kernel says of a captured packet besides its bytes: sockaddr_ll, packet(7)."""

from __future__ import annotations

import socket
import struct

# Family, protocol (big endian), interface, ARP type, packet type, the address's length, the address.
LINK_ADDRESS = struct.Struct("=HHiHBB8s")


class Link:
    """What the kernel says of a packet: by which interface it came or went, and who sent it there."""

    def __init__(self, frame: memoryview) -> None:
        _, protocol, interface, kind, direction, address_bytes, address = LINK_ADDRESS.unpack_from(frame)
        self.protocol = socket.ntohs(protocol)
        self.interface, self.kind, self.direction = interface, kind, direction
        self.address_bytes, self.address = address_bytes, address
