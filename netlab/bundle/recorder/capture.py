"""Capturing packets on every interface of a host.

The kernel puts packets into a ring that is shared with this process, so that a burst of dials loses none; a
thread takes them out.

Source: Linux `Documentation/networking/packet_mmap.rst`; packet(7).
"""

from __future__ import annotations

import mmap
import select
import socket
import struct
import threading

from netlab.bundle.recorder.headers import ETH_P_ALL, headers
from netlab.bundle.recorder.link import LINK_ADDRESS, Link
from netlab.bundle.recorder.pcapng import PacketFile

# linux/if_packet.h
SOL_PACKET, PACKET_RX_RING, PACKET_STATISTICS, PACKET_VERSION = 263, 5, 6, 10
TPACKET_V2 = 1
RING_REQUEST = struct.Struct("=IIII")  # tpacket_req: block size, blocks, frame size, frames
STATISTICS = struct.Struct("=II")  # tpacket_stats: packets, dropped
# tpacket2_hdr: status, length, captured, mac, net, seconds, nanoseconds.
FRAME_HEADER = struct.Struct("=IIIHHII")
LINK_OFFSET = 32  # of the sockaddr_ll behind it: TPACKET_ALIGN(sizeof(struct tpacket2_hdr))
STATUS = struct.Struct("=I")
STATUS_KERNEL, STATUS_USER = 0, 1
BLOCK_BYTES, BLOCKS, FRAME_BYTES = 1 << 16, 16, 512
FRAMES = BLOCK_BYTES * BLOCKS // FRAME_BYTES
ARPHRD_LOOPBACK, PACKET_OUTGOING = 772, 4
LOOK_S = 0.1


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
