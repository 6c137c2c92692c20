"""What is kept of a packet: its headers, and never a byte of what applications say."""

from __future__ import annotations

import io
from typing import Any

import dpkt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netlab.bundle.recorder.headers import headers
from netlab.bundle.recorder.link import LINK_ADDRESS, Link
from netlab.bundle.recorder.pcapng import LINKTYPE_LINUX_SLL2, PacketFile

SECRET = b"Authorization: Basic c2VjcmV0OnNlY3JldA=="
PORTS = frozenset({19500})
HERE, THERE = bytes([198, 18, 1, 11]), bytes([198, 18, 1, 12])
HERE6, THERE6 = b"\x20\x01\x0d\xb8" + bytes(11) + b"\x0b", b"\x20\x01\x0d\xb8" + bytes(11) + b"\x0c"


def ipv4(data: Any, protocol: int) -> bytes:
    return bytes(dpkt.ip.IP(src=HERE, dst=THERE, p=protocol, data=data, len=20 + len(data)))


def ipv6(data: Any, following: int) -> bytes:
    return bytes(dpkt.ip6.IP6(src=HERE6, dst=THERE6, nxt=following, data=data, plen=len(data), hlim=64))


def tcp(port: int = 19500, payload: bytes = SECRET) -> Any:
    options = b"\x02\x04\x05\xb4"
    return dpkt.tcp.TCP(sport=40000, dport=port, off=6, opts=options, data=payload)


def kept(protocol: int, packet: bytes) -> bytes:
    return packet[: headers(protocol, packet, PORTS)]


@pytest.mark.parametrize(
    ("protocol", "packet", "length"),
    [
        (0x0800, ipv4(tcp(), 6), 20 + 24),
        (0x0800, ipv4(dpkt.udp.UDP(sport=19500, dport=1, data=SECRET, ulen=8 + len(SECRET)), 17), 20 + 8),
        (0x0800, ipv4(dpkt.icmp.ICMP(type=8, data=b"\0\1\0\1" + SECRET), 1), 20 + 8),
        (0x86DD, ipv6(tcp(), 6), 40 + 24),
        (0x86DD, ipv6(b"\x80\0\0\0\0\0\0\0" + SECRET, 58), 40 + 8),
        (0x86DD, ipv6(bytes([6, 0]) + bytes(6) + bytes(tcp()), 60), 40 + 8 + 24),
        (0x86DD, ipv6(bytes([6, 0, 0, 1]) + bytes(4) + bytes(tcp()), 44), 40 + 8 + 24),
    ],
    ids=["TCP", "UDP", "ping", "TCP/IPv6", "ping/IPv6", "behind an extension", "in a first fragment"],
)
def test_a_packet_is_cut_after_its_last_header(protocol: int, packet: bytes, length: int) -> None:
    assert len(kept(protocol, packet)) == length
    assert SECRET in packet
    assert SECRET[:4] not in kept(protocol, packet)


def test_of_an_icmp_error_the_quoted_packet_is_cut_likewise() -> None:
    quoting = b"\x03\x03\0\0\0\0\0\0" + ipv4(tcp(), 6)
    assert len(kept(0x0800, ipv4(quoting, 1))) == 20 + 8 + 20 + 24
    quoting6 = b"\x01\x04\0\0\0\0\0\0" + ipv6(tcp(), 6)
    assert len(kept(0x86DD, ipv6(quoting6, 58))) == 40 + 8 + 40 + 24
    unknown = b"\x03\x02\0\0\0\0\0\0" + ipv4(SECRET, 132)
    assert SECRET[:4] not in kept(0x0800, ipv4(unknown, 1))


def test_a_later_fragment_is_cut_after_its_ip_header() -> None:
    fragment = bytearray(ipv4(SECRET, 6))
    fragment[6:8] = (185).to_bytes(2, "big")
    assert len(kept(0x0800, bytes(fragment))) == 20
    assert len(kept(0x86DD, ipv6(bytes([6, 0, 5, 0]) + bytes(4) + SECRET, 44))) == 40 + 8


def test_arp_and_neighbour_discovery_are_kept_whole() -> None:
    arp = bytes(range(28))
    assert kept(0x0806, arp) == arp
    solicitation = ipv6(b"\x87\0\0\0\0\0\0\0" + THERE6 + b"\x01\x01\x02\0\0\0\0\x0a", 58)
    assert kept(0x86DD, solicitation) == solicitation


@pytest.mark.parametrize(
    ("protocol", "packet"),
    [
        (0x0800, ipv4(tcp(443), 6)),
        (0x86DD, ipv6(tcp(443), 6)),
        (0x0800, ipv4(SECRET, 132)),
        (0x86DD, ipv6(b"\x8f\0\0\0\0\0\0\0", 58)),
        (0x88CC, SECRET),
        (0x0800, b""),
        (0x86DD, b"\x60"),
    ],
    ids=["another port", "another port/IPv6", "another protocol", "multicast", "LLDP", "nothing", "cut"],
)
def test_what_does_not_concern_the_lab_is_not_kept(protocol: int, packet: bytes) -> None:
    assert kept(protocol, packet) == b""


MARK = b"\xa5"  # in no header that is made here


@given(
    payload=st.integers(1, 1400),
    port=st.sampled_from([19500, 443]),
    version=st.sampled_from([4, 6]),
    quoted=st.booleans(),
    cut=st.integers(0, 200),
)
def test_whatever_the_packet_no_byte_of_the_payload_is_kept(
    payload: int, port: int, version: int, quoted: bool, cut: int
) -> None:
    protocol, wrap, icmp = (0x0800, ipv4, 1) if version == 4 else (0x86DD, ipv6, 58)
    packet = wrap(tcp(port, MARK * payload), 6)
    if quoted:
        packet = wrap((b"\x03\x03" if version == 4 else b"\x01\x04") + bytes(6) + packet, icmp)
    whole = packet[: len(packet) - cut]
    end = headers(protocol, whole, PORTS)
    # A checksum may have the mark's value; a payload has it many times over.
    assert MARK * 3 not in whole[:end] or payload < 3
    assert packet.index(MARK * payload) >= min(end, len(whole)) or payload < 3


@given(protocol=st.sampled_from([0x0800, 0x0806, 0x86DD, 0]), packet=st.binary(max_size=300))
def test_whatever_comes_it_is_cut_or_not_kept(protocol: int, packet: bytes) -> None:
    assert headers(protocol, packet, PORTS) >= 0


def link(interface: int) -> Link:
    frame = LINK_ADDRESS.pack(17, 0x0008, interface, 1, 4, 6, b"\x02\0\0\0\0\x07\0\0")
    return Link(memoryview(frame))


def test_the_file_is_read_by_others_as_it_was_written() -> None:
    file = PacketFile(256, 1 << 20)
    packet = ipv4(tcp(), 6)
    file.add(1_700_000_000, 123_456_789, link(1), packet[:44], len(packet))
    file.add(1_700_000_001, 0, link(2), packet[:43], len(packet))
    reader = dpkt.pcapng.Reader(io.BytesIO(bytes(file.content)))
    assert reader.datalink() == LINKTYPE_LINUX_SLL2
    (when, first), (_, second) = list(reader)
    assert when == pytest.approx(1_700_000_000.123456789, abs=1e-6)
    cooked = dpkt.sll2.SLL2(first)
    assert (cooked.ethtype, cooked.intindex, cooked.type) == (0x0800, 1, 4)
    assert first[20:] == packet[:44]
    assert second[20:] == packet[:43]
    assert b"lo\0\0" in file.content, "an interface has its name"


def test_a_file_that_is_full_counts_what_it_leaves_out() -> None:
    file = PacketFile(256, 1000)
    for _ in range(50):
        file.add(0, 0, link(1), bytes(44), 1500)
    assert file.packets + file.left_out == 50
    assert 0 < file.packets < 20
    assert len(file.content) < 1000 + 200
    assert len(list(dpkt.pcapng.Reader(io.BytesIO(bytes(file.content))))) == file.packets
