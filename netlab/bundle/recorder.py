"""What runs on the hosts while a run is recorded: it captures packets, and reads what services wrote.

One file of standard-library Python (3.8 or later), sent over a pipe like the agent, and asked like it:

    requests   stdin, one JSON object a line    {"id": 1, "op": "start", ...}
    answers    stdout, one JSON object a line   {"id": 1, "ok": {...}}  or  {"id": 1, "error": "one line"}

Theory of operation. A packet socket (packet(7)) sees what crosses any interface of the host. The kernel
puts packets into a ring that is shared with this process (Documentation/networking/packet_mmap.rst), so
that a burst of dials loses none; a thread takes them out, and keeps the headers of those that concern the
lab: TCP and UDP from or to its ports, ICMP, ARP and neighbour discovery. What applications say is never
kept: every packet is cut after its last header, also those that an ICMP error quotes. It all goes into a
pcapng file in memory, of a limited size.
"""

# As in the agent, what this file imports costs time on every host:
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import binascii
import errno
import json
import mmap
import os
import re
import select
import signal
import socket
import struct
import sys
import threading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = dict[str, Any]

OUTPUT_BYTES = 64 * 1024  # of what a service wrote, the last ones
# The agent's file for what its service prints: made there, and nameless since.
OUTPUT_FILE = re.compile(r"/netlab-[0-9a-f]{16}/output \(deleted\)$")

# --- Packets: what of one is kept ------------------------------------------------------------------------

ETH_P_ALL, ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0003, 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58  # IANA, protocol numbers
# ICMP errors, which quote the packet that they are about: RFC 792; in ICMPv6 all below 128: RFC 4443, 2.1.
ICMP_ERRORS = frozenset({3, 4, 5, 11, 12})
ICMPV6_FIRST_QUERY = 128
NEIGHBOUR_DISCOVERY = range(133, 138)  # RFC 4861, 4
LISTENER_DISCOVERY = frozenset({130, 131, 132, 143})  # RFC 3810: multicast, of which there is none in labs
ICMP_BYTES, UDP_BYTES, IPV6_BYTES = 8, 8, 40
TCP_BYTES, IPV4_BYTES = 20, 20  # without options
# Hop-by-hop, routing, destination options: a next header, and a length in units of 8 bytes: RFC 8200, 4.
EXTENSIONS, FRAGMENT, MOST_EXTENSIONS = frozenset({0, 43, 60}), 44, 8
FRAGMENT_OFFSET = 0x1FFF  # RFC 791


def headers(protocol: int, packet: bytes, ports: frozenset[int]) -> int:
    """Return how many bytes of a packet are headers; 0 for one that is none of the lab's.

    Args:
        protocol: its Ethernet type.
        packet: from the network header on; maybe cut short.
        ports: those of the services.
    """
    if protocol == ETH_P_ARP:
        return len(packet)
    if protocol == ETH_P_IP:
        return ipv4_headers(packet, 0, ports)
    return ipv6_headers(packet, 0, ports) if protocol == ETH_P_IPV6 else 0


def ipv4_headers(packet: bytes, start: int, ports: frozenset[int] | None) -> int:
    """Return where the headers of an IPv4 packet that begins at `start` end; without `ports`, of any."""
    if len(packet) < start + IPV4_BYTES:
        return 0
    length = (packet[start] & 0x0F) * 4
    offset = int.from_bytes(packet[start + 6 : start + 8], "big") & FRAGMENT_OFFSET
    if offset:  # the ports are in the first fragment
        return start + length
    return transport_headers(packet, start + length, packet[start + 9], ports)


def ipv6_headers(packet: bytes, start: int, ports: frozenset[int] | None) -> int:
    """Return where the headers of an IPv6 packet that begins at `start` end; without `ports`, of any."""
    if len(packet) < start + IPV6_BYTES:
        return 0
    following, place = packet[start + 6], start + IPV6_BYTES
    for _ in range(MOST_EXTENSIONS):
        if len(packet) < place + 8:
            return 0
        if following == FRAGMENT:
            if int.from_bytes(packet[place + 2 : place + 4], "big") >> 3:
                return place + 8
            following, place = packet[place], place + 8
        elif following in EXTENSIONS:
            following, place = packet[place], place + (packet[place + 1] + 1) * 8
        else:
            break
    return transport_headers(packet, place, following, ports)


def transport_headers(packet: bytes, start: int, protocol: int, ports: frozenset[int] | None) -> int:
    """Return where the transport's header ends; without `ports` what is not known is cut before it."""
    none = start if ports is None else 0
    if protocol in (TCP, UDP):
        if len(packet) < start + 4:
            return none
        pair = {int.from_bytes(packet[at : at + 2], "big") for at in (start, start + 2)}
        if ports is not None and not pair & ports:
            return 0
        if protocol == UDP:
            return start + UDP_BYTES
        own = (packet[start + 12] >> 4) * 4 if len(packet) > start + 12 else 0
        return start + max(own, TCP_BYTES)
    if protocol in (ICMP, ICMPV6):
        return icmp_headers(packet, start, protocol, quoted=ports is None)
    return none


def icmp_headers(packet: bytes, start: int, protocol: int, *, quoted: bool) -> int:
    """Return where an ICMP message's own part ends, with the headers of the packet that an error quotes."""
    if len(packet) < start + ICMP_BYTES:
        return start
    kind = packet[start]
    end = start + ICMP_BYTES
    if quoted:
        return end
    if protocol == ICMP:
        return (ipv4_headers(packet, end, None) or end) if kind in ICMP_ERRORS else end
    if kind in LISTENER_DISCOVERY:
        return 0
    if kind < ICMPV6_FIRST_QUERY:
        return ipv6_headers(packet, end, None) or end
    return len(packet) if kind in NEIGHBOUR_DISCOVERY else end


# --- The file: pcapng (draft-ietf-opsawg-pcapng) ---------------------------------------------------------

SECTION_HEADER = struct.Struct("<IIIHHq")  # type, length, byte order, version, version, section length
INTERFACE_HEADER = struct.Struct("<IIHHI")  # type, length, link type, reserved, snap length
PACKET_HEADER = struct.Struct(
    "<IIIIIII"
)  # type, length, interface, time (high, low), captured, original length
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


# --- Capturing -------------------------------------------------------------------------------------------

SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION, TPACKET_V2 = (
    263,
    5,
    6,
    10,
    1,
)  # linux/if_packet.h
RING_REQUEST = struct.Struct("=IIII")  # tpacket_req: block size, blocks, frame size, frames
STATISTICS = struct.Struct("=II")  # tpacket_stats: packets, dropped
FRAME_HEADER = struct.Struct(
    "=IIIHHII"
)  # tpacket2_hdr: status, length, captured, mac, net, seconds, nanoseconds
LINK_OFFSET = 32  # of the sockaddr_ll behind it: TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
LINK_ADDRESS = struct.Struct(
    "=HHiHBB8s"
)  # sockaddr_ll: family, protocol (big endian), index, type, direction, ...
STATUS = struct.Struct("=I")
STATUS_KERNEL, STATUS_USER = 0, 1
BLOCK_BYTES, BLOCKS, FRAME_BYTES = 1 << 16, 16, 512
FRAMES = BLOCK_BYTES * BLOCKS // FRAME_BYTES
ARPHRD_LOOPBACK, PACKET_OUTGOING = 772, 4
LOOK_S = 0.1


class Link:
    """What the kernel says of a packet: by which interface it came or went, and who sent it there."""

    def __init__(self, frame: memoryview) -> None:
        _, protocol, interface, kind, direction, address_bytes, address = LINK_ADDRESS.unpack_from(frame)
        self.protocol = socket.ntohs(protocol)
        self.interface, self.kind, self.direction = interface, kind, direction
        self.address_bytes, self.address = address_bytes, address


class Capture:
    """Captures on every interface from now on.

    Args:
        ports: those of the services.
        snap_bytes: of a packet, no more than that is kept.
        limit_bytes: of the file.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self, ports: frozenset[int], snap_bytes: int, limit_bytes: int) -> None:
        self.file = PacketFile(snap_bytes, limit_bytes)
        self._ports = ports
        # Bound to no interface: it is on all of them, also on those to come.
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        try:
            self._socket.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
            ring = RING_REQUEST.pack(BLOCK_BYTES, BLOCKS, FRAME_BYTES, FRAMES)
            self._socket.setsockopt(SOL_PACKET, PACKET_RX_RING, ring)
            self._ring = mmap.mmap(self._socket.fileno(), BLOCK_BYTES * BLOCKS)
        except BaseException:
            self._socket.close()
            raise
        self._next = 0
        self._ends = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """End it; return how many packets the kernel had to drop."""
        self._ends = True
        self._thread.join()
        _, dropped = STATISTICS.unpack(
            self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, STATISTICS.size)
        )
        self._ring.close()
        self._socket.close()
        return int(dropped)

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            last = self._ends  # what was sent before the end is in the ring by now
            while self._take():
                pass
            if last:
                return
            poll.poll(LOOK_S * 1000)

    def _take(self) -> bool:
        """Take a packet out of the ring; whether there was one."""
        start = self._next * FRAME_BYTES
        status, length, captured, _, net, seconds, nanoseconds = FRAME_HEADER.unpack_from(self._ring, start)
        if not status & STATUS_USER:
            return False
        with memoryview(self._ring) as ring:
            link = Link(ring[start + LINK_OFFSET : start + LINK_OFFSET + LINK_ADDRESS.size])
            packet = bytes(ring[start + net : start + net + captured])
        STATUS.pack_into(self._ring, start, STATUS_KERNEL)
        self._next = (self._next + 1) % FRAMES
        # What crosses the loopback interface is seen twice: as it leaves, and as it arrives.
        if not (link.kind == ARPHRD_LOOPBACK and link.direction == PACKET_OUTGOING):
            end = headers(link.protocol, packet, self._ports)
            if end:
                self.file.add(seconds, nanoseconds, link, packet[:end], length)
        return True


# --- What services wrote ---------------------------------------------------------------------------------


def read_outputs() -> list[Json]:
    """Return what the services that agents started on this host wrote so far: the last of it."""
    here = os.readlink("/proc/self/ns/net")
    found: dict[int, Json] = {}
    for entry in os.listdir("/proc"):
        place = f"/proc/{entry}"
        try:
            if not entry.isdigit() or not OUTPUT_FILE.search(os.readlink(f"{place}/fd/1")):
                continue
            if os.readlink(f"{place}/ns/net") == here:
                with open(f"{place}/fd/1", "rb") as file:
                    status = os.fstat(file.fileno())
                    file.seek(max(0, status.st_size - OUTPUT_BYTES))
                    text = file.read(OUTPUT_BYTES).decode("utf-8", "replace")
                    found[status.st_ino] = {"text": text, "bytes": status.st_size}
        except OSError:  # it has ended, or is another user's
            continue
    return list(found.values())


# --- Requests --------------------------------------------------------------------------------------------


class Recorder:
    """Answers requests."""

    def __init__(self) -> None:
        self._capture: Capture | None = None
        self._operations = {"start": self.start, "outputs": self.outputs, "stop": self.stop}

    def answer(self, line: bytes) -> bytes:
        """Return the answer to a request, whatever it is."""
        answer: Json = {"id": None}
        try:
            request = json.loads(line)
            answer["id"] = request.get("id")
            answer["ok"] = self._operations[request["op"]](request)
        except Exception as error:
            answer["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        return json.dumps(answer).encode() + b"\n"

    def start(self, request: Json) -> Json:
        """Begin to capture, if that is allowed here; and say what runs here."""
        why = ""
        try:
            self._capture = Capture(
                frozenset(request["ports"]), request["snap_bytes"], request["limit_bytes"]
            )
        except OSError as error:
            rights = error.errno in (errno.EPERM, errno.EACCES)
            why = "it takes root's rights there (CAP_NET_RAW)" if rights else f"{error.strerror}"
        system = os.uname()
        return {
            "why": why,
            "python": ".".join(str(part) for part in sys.version_info[:3]),
            "kernel": f"{system.sysname} {system.release}",
            "machine": system.machine,
            "system": system_name(),
        }

    def outputs(self, request: Json) -> Json:
        """Say what services wrote so far."""
        return {"outputs": read_outputs()}

    def stop(self, request: Json) -> Json:
        """End the capture, and hand it over."""
        if self._capture is None:
            raise RuntimeError("nothing is captured")
        dropped = self._capture.stop()
        file = self._capture.file
        self._capture = None
        content = binascii.b2a_base64(file.content, newline=False).decode()
        return {"pcapng": content, "packets": file.packets, "left_out": file.left_out, "dropped": dropped}


def system_name() -> str:
    """Return what the operating system calls itself: os-release(5)."""
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip("\"'")
    except OSError:
        pass
    return ""


def main() -> None:
    """Answer requests until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the controller
    recorder = Recorder()
    try:
        for line in iter(sys.stdin.buffer.readline, b""):
            sys.stdout.buffer.write(recorder.answer(line))
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    main()
