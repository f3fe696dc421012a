"""What is written is read back here by a reader of its own, made from the RFCs' figures."""

from dataclasses import dataclass
from datetime import timedelta
from struct import pack, unpack_from

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.protocols.whip.media.rtcp import (
    MAX_NACKED,
    MAX_REMB_SSRCS,
    MAX_REPORT_BLOCKS,
    MAX_RTCP_BYTES,
    Goodbye,
    InvalidRtcp,
    ReportBlock,
    SenderReport,
    nack,
    parse_rtcp,
    pli,
    receiver_report,
    remb,
)

WORD = st.integers(0, 2**32 - 1)
SSRC = 0x01020304
MEDIA_SSRC = 0xA0B0C0D0


@dataclass(frozen=True)
class Packet:
    kind: int
    count: int
    body: bytes


def packets(data: bytes) -> list[Packet]:
    found = []
    while data:
        first, kind, words = unpack_from(">BBH", data)
        assert first & 0xE0 == 0x80  # version 2, no padding
        end = 4 + 4 * words
        assert len(data) >= end
        found.append(Packet(kind, first & 0x1F, data[4:end]))
        data = data[end:]
    return found


def packet(kind: int, count: int, body: bytes) -> bytes:
    return pack(">BBH", 0x80 | count, kind, len(body) // 4) + body


def sender_report_packet(report: SenderReport, blocks: int = 0) -> bytes:
    body = pack(">IQIII", report.ssrc, report.ntp, report.rtp_timestamp, report.packets, report.bytes)
    return packet(200, blocks, body + bytes(24 * blocks))


SENDER_REPORTS = st.builds(
    SenderReport, ssrc=WORD, ntp=st.integers(0, 2**64 - 1), rtp_timestamp=WORD, packets=WORD, bytes=WORD
)


@st.composite
def known_packets(draw: st.DrawFn) -> tuple[bytes, SenderReport | Goodbye | None]:
    kind = draw(st.sampled_from(("report", "goodbye", "other")))
    if kind == "report":
        report = draw(SENDER_REPORTS)
        return sender_report_packet(report, draw(st.integers(0, 2))), report
    if kind == "goodbye":
        ssrcs = tuple(draw(st.lists(WORD, max_size=5)))
        reason = draw(st.sampled_from((b"", b"\x03end")))
        return packet(203, len(ssrcs), b"".join(pack(">I", ssrc) for ssrc in ssrcs) + reason), Goodbye(
            ssrcs=ssrcs
        )
    other = draw(st.sampled_from((0, 192, 201, 202, 204, 205, 206, 207, 255)))
    return packet(other, draw(st.integers(0, 31)), draw(st.binary(max_size=8)) * 4), None


@given(st.lists(known_packets(), min_size=1, max_size=8))
def test_reports_and_goodbyes_are_read_in_any_company_and_order(
    given_packets: list[tuple[bytes, SenderReport | Goodbye | None]],
) -> None:
    data = b"".join(octets for octets, _ in given_packets)
    assert parse_rtcp(data) == tuple(meaning for _, meaning in given_packets if meaning is not None)


@given(SENDER_REPORTS, st.integers(1, 63))
def test_padding_is_no_part_of_a_packet(report: SenderReport, words: int) -> None:
    padding = bytes(4 * words - 1) + bytes((4 * words,))
    octets = bytearray(packet(200, 0, sender_report_packet(report)[4:] + padding))
    octets[0] |= 0x20
    assert parse_rtcp(bytes(octets)) == (report,)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "empty"),
        (bytes(MAX_RTCP_BYTES + 4), "too long"),
        (b"\x80\xc9\x00", "a header cut short"),
        (b"\x40\xc9\x00\x00", "version 1"),
        (b"\x80\xc9\x00\x01\x00\x00\x00", "a body cut short"),
        (packet(201, 0, bytes(4)) + b"\x80", "a rest"),
        (packet(200, 0, bytes(20)), "a sender report without its counts"),
        (packet(200, 1, bytes(24)), "a sender report without its block"),
        (packet(203, 2, bytes(4)), "a goodbye without its second source"),
        (b"\xa0\xc9\x00\x01\x00\x00\x00\x08", "more padding than body"),
        (b"\xa0\xc9\x00\x01\x00\x00\x00\x03", "padding of no whole words"),
        (b"\xa0\xc9\x00\x04", "padding cut short"),
    ],
)
def test_what_is_no_rtcp_is_refused(data: bytes, what: str) -> None:
    with pytest.raises(InvalidRtcp):
        parse_rtcp(data)


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda rest: b"\x81\xc8\x00\x06" + rest))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse_rtcp(data)
    except InvalidRtcp:
        return


def test_longest_datagram_is_read() -> None:
    assert parse_rtcp(packet(201, 0, b"") * (MAX_RTCP_BYTES // 4)) == ()


def test_report_block_refers_to_a_report_by_its_middle_32_bits() -> None:
    report = SenderReport(ssrc=1, ntp=0x1122_3344_5566_7788, rtp_timestamp=0, packets=0, bytes=0)
    assert report.compact_ntp == 0x3344_5566


BLOCKS = st.builds(
    ReportBlock,
    ssrc=WORD,
    fraction_lost=st.integers(0, 255),
    packets_lost=st.integers(-(2**23), 2**23 - 1),
    highest_sequence_number=WORD,
    jitter=WORD,
    last_sender_report=WORD,
    delay=st.integers(0, 2**32 - 1).map(lambda units: timedelta(seconds=units / 65536)),
)


@given(WORD, st.lists(BLOCKS, max_size=MAX_REPORT_BLOCKS))
def test_receiver_report_holds_its_blocks_and_a_name(ssrc: int, blocks: list[ReportBlock]) -> None:
    report, description = packets(receiver_report(ssrc, blocks))
    assert (report.kind, report.count) == (201, len(blocks))
    assert report.body[:4] == pack(">I", ssrc)
    assert len(report.body) == 4 + 24 * len(blocks)
    for number, block in enumerate(blocks):
        source, lost, highest, jitter, last, delay = unpack_from(">IIIIII", report.body, 4 + 24 * number)
        assert (source, lost >> 24) == (block.ssrc, block.fraction_lost)
        assert (lost & 0xFFFFFF) == block.packets_lost % 2**24
        assert (highest, jitter, last) == (
            block.highest_sequence_number,
            block.jitter,
            block.last_sender_report,
        )
        assert delay == pytest.approx(block.delay.total_seconds() * 65536, abs=1)
    # 6.5: SSRC, then CNAME with its length, then zeros up to the word's end, one at least.
    assert (description.kind, description.count) == (202, 1)
    length = description.body[5]
    assert description.body[:5] == pack(">IB", ssrc, 1)
    assert length > 0
    assert 1 <= len(description.body[6 + length :]) <= 4
    assert not any(description.body[6 + length :])


def test_what_does_not_fit_its_field_is_written_as_near_as_it_goes() -> None:
    def fields(lost: int, fraction: int, delay: timedelta, jitter: int) -> tuple[int, ...]:
        block = ReportBlock(
            ssrc=1,
            fraction_lost=fraction,
            packets_lost=lost,
            highest_sequence_number=2**32 + 7,
            jitter=jitter,
            delay=delay,
        )
        _, lost_field, highest, jitter_field, _, delay_field = unpack_from(
            ">IIIIII", receiver_report(1, [block]), 8
        )
        return lost_field >> 24, lost_field & 0xFFFFFF, highest, jitter_field, delay_field

    assert fields(2**30, 300, timedelta(days=9), 2**40) == (255, 0x7FFFFF, 7, 2**32 - 1, 2**32 - 1)
    assert fields(-(2**30), -1, timedelta(seconds=-1), -1) == (0, 0x800000, 7, 0, 0)


def test_receiver_report_has_room_for_31_blocks() -> None:
    block = ReportBlock(ssrc=1, fraction_lost=0, packets_lost=0, highest_sequence_number=0, jitter=0)
    with pytest.raises(ValueError, match="31"):
        receiver_report(1, [block] * 32)


def nacked(data: bytes) -> list[int]:
    """RFC 4585, 6.2.1."""
    (feedback,) = packets(data)
    assert (feedback.kind, feedback.count) == (205, 1)
    assert unpack_from(">II", feedback.body) == (SSRC, MEDIA_SSRC)
    found = []
    for position in range(8, len(feedback.body), 4):
        first, following = unpack_from(">HH", feedback.body, position)
        found += [first, *((first + 1 + bit) % 2**16 for bit in range(16) if following >> bit & 1)]
    return found


@given(
    st.lists(st.integers(0, 2**40), min_size=1, max_size=MAX_NACKED)
    | st.builds(
        lambda begin, steps: [begin + sum(steps[:n]) for n in range(len(steps))],
        WORD,
        st.lists(st.integers(0, 20), min_size=1, max_size=100),
    )
)
def test_nack_asks_for_these_packets_and_no_others(numbers: list[int]) -> None:
    data = nack(SSRC, MEDIA_SSRC, numbers)
    assert set(nacked(data)) == {number % 2**16 for number in numbers}
    assert len(data) <= 1200 - len(receiver_report(SSRC, [])) - 2 * 24


def test_nack_of_a_burst_takes_one_entry_also_over_a_wrap() -> None:
    assert len(nack(SSRC, MEDIA_SSRC, range(65_530, 65_530 + 17))) == 4 + 8 + 4
    assert len(nack(SSRC, MEDIA_SSRC, range(65_530, 65_530 + 18))) == 4 + 8 + 8


@pytest.mark.parametrize("count", [0, MAX_NACKED + 1])
def test_nack_names_some_packets_but_not_too_many(count: int) -> None:
    with pytest.raises(ValueError, match=str(MAX_NACKED)):
        nack(SSRC, MEDIA_SSRC, range(count))


def test_picture_loss_indication_is_three_words() -> None:
    assert packets(pli(SSRC, MEDIA_SSRC)) == [Packet(206, 1, pack(">II", SSRC, MEDIA_SSRC))]


@given(st.integers(0, 2**81 - 2**63), st.lists(WORD, max_size=MAX_REMB_SSRCS))
def test_estimate_is_written_to_18_bits(bitrate: int, ssrcs: list[int]) -> None:
    (feedback,) = packets(remb(SSRC, bitrate, ssrcs))
    assert (feedback.kind, feedback.count) == (206, 15)
    assert unpack_from(">II4s", feedback.body) == (SSRC, 0, b"REMB")
    count, high, low = unpack_from(">BBH", feedback.body, 12)
    written = ((high & 3) << 16 | low) << (high >> 2)
    assert bitrate - bitrate / 2**17 <= written <= bitrate
    assert list(unpack_from(f">{count}I", feedback.body, 16)) == ssrcs


@pytest.mark.parametrize(("bitrate", "count"), [(-1, 1), (2**81, 1), (1, MAX_REMB_SSRCS + 1)])
def test_estimate_that_has_no_room_is_refused(bitrate: int, count: int) -> None:
    with pytest.raises(ValueError, match="room"):
        remb(SSRC, bitrate, [1] * count)


def test_what_is_sent_is_rtcp_to_our_own_reader() -> None:
    block = ReportBlock(ssrc=1, fraction_lost=0, packets_lost=0, highest_sequence_number=0, jitter=0)
    data = receiver_report(SSRC, [block]) + nack(SSRC, 1, [2]) + pli(SSRC, 1) + remb(SSRC, 10**6, [1])
    assert parse_rtcp(data) == ()
