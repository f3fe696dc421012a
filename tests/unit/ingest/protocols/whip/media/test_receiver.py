import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bucketcast.stream.encoder_report import InputFault
from bucketcast.stream.identifiers import BitsPerSecond
from ingest.feed.frames import AudioCodec, CodecConfiguration, EncodedFrame, FeedItem, Track, VideoCodec
from ingest.protocols.whip.media import MediaReceiver, TrackFormat, TrackStatistics
from ingest.protocols.whip.media.clock import MAX_HOLD, TOGETHER
from ingest.protocols.whip.media.groups import CONCEAL_AFTER
from ingest.protocols.whip.media.opus import opus_head
from ingest.protocols.whip.media.track import SOURCE_SECONDS
from tools.rtp_link import Link, Played, rtcp_packets
from tools.rtp_streams import (
    Arrival,
    RtpSource,
    VideoFrame,
    doubled,
    filling,
    h264_frames,
    h264_packets,
    h264_payloads,
    jittered,
    length_prefixed,
    lossy,
    opus_packet,
    picture_set,
    sent,
    sequence_set,
    slice_unit,
    vp8_frame,
    vp8_payloads,
)

VIDEO = TrackFormat(
    track=Track.VIDEO,
    codec=VideoCodec.H264,
    payload_type=96,
    clock_rate=90_000,
    retransmission_payload_type=97,
    ssrc=0x1234,
    retransmission_ssrc=0x5678,
    nack=True,
    pli=True,
    remb=True,
)
PLAIN_VIDEO = TrackFormat(track=Track.VIDEO, codec=VideoCodec.H264, payload_type=96, clock_rate=90_000)
VP8 = TrackFormat(track=Track.VIDEO, codec=VideoCodec.VP8, payload_type=96, clock_rate=90_000, pli=True)
AUDIO = TrackFormat(track=Track.AUDIO, codec=AudioCodec.OPUS, payload_type=111, clock_rate=48_000, channels=2)


def _receiver(*formats: TrackFormat) -> MediaReceiver:
    return MediaReceiver(
        formats or (VIDEO, AUDIO),
        ssrc=99,
        keyframe_interval=timedelta(seconds=2),
        max_bitrate=BitsPerSecond(2_500_000),
    )


def _play(arrivals: Sequence[Arrival], *formats: TrackFormat, after: float = 2.0) -> Played:
    return Link(_receiver(*formats), arrivals).play(after=after)


def _data(frames: Sequence[VideoFrame]) -> list[bytes]:
    return [length_prefixed(frame.units) for frame in frames]


def _received(played: Played) -> list[bytes]:
    return [frame.data for frame in played.frames()]


def _sound(seconds: float, *, ssrc: int = 7, first: int = 0) -> list[Arrival]:
    source = RtpSource(ssrc=ssrc, payload_type=111)
    packets = [
        source.packet(opus_packet(filling(80, number)), timestamp=first + 960 * number)
        for number in range(round(50 * seconds))
    ]
    return sent(packets, clock_rate=48_000)


def _merged(*tracks: Sequence[Arrival]) -> list[Arrival]:
    return sorted((arrival for track in tracks for arrival in track), key=lambda arrival: arrival.at)


def _of(receiver: MediaReceiver, track: Track) -> TrackStatistics:
    return next(statistics for statistics in receiver.statistics if statistics.track is track)


RANDOMS = st.integers(0, 2**32).map(Random)


# What came is what was sent.


@given(st.data(), RANDOMS)
def test_any_packetisation_order_and_duplication_gives_the_pictures_that_were_sent(
    data: st.DataObject, random: Random
) -> None:
    """And where sequence numbers and timestamps wrap makes no difference."""
    frames = h264_frames(
        data.draw(st.integers(1, 12)),
        keyframe_every=data.draw(st.integers(1, 5)),
        bytes_per_frame=data.draw(st.integers(1, 400)),
        keyframe_bytes=data.draw(st.integers(1, 4000)),
        first_timestamp=data.draw(st.one_of(st.integers(0, 2**32 - 1), st.integers(2**32 - 36_000, 2**32 - 1))),
        slices=data.draw(st.integers(1, 3)),
        seed=data.draw(st.integers(0, 1000)),
    )
    source = RtpSource(
        sequence_number=data.draw(st.one_of(st.integers(0, 65_535), st.integers(65_500, 65_535)))
    )
    packets = h264_packets(frames, source, random=random)
    arrivals = doubled(jittered(sent(packets), random, seconds=0.09), random, share=0.2)
    receiver = _receiver(PLAIN_VIDEO)
    played = Link(receiver, arrivals).play(after=1.1)
    assert _received(played) == _data(frames)
    assert [frame.keyframe for frame in played.frames()] == [frame.keyframe for frame in frames]
    assert _of(receiver, Track.VIDEO).lost == 0


@given(st.data(), RANDOMS)
def test_any_loss_leaves_whole_groups_that_begin_with_a_keyframe(data: st.DataObject, random: Random) -> None:
    frames = h264_frames(
        data.draw(st.integers(2, 40)),
        keyframe_every=data.draw(st.integers(1, 10)),
        bytes_per_frame=data.draw(st.integers(1, 3000)),
        keyframe_bytes=6000,
        slices=data.draw(st.integers(1, 3)),
    )
    packets = h264_packets(frames, RtpSource(sequence_number=65_530), random=random)
    arrivals = lossy(sent(packets), random, share=data.draw(st.sampled_from([0.01, 0.1, 0.4])))
    _assert_whole_groups(_received(_play(jittered(arrivals, random, seconds=0.02), PLAIN_VIDEO)), frames)


def _assert_whole_groups(received: Sequence[bytes], frames: Sequence[VideoFrame]) -> None:
    """Each run of pictures that were sent in a row begins with a keyframe; all are whole and in order."""
    positions = {data: position for position, data in enumerate(_data(frames))}
    numbers = [positions[data] for data in received]
    assert numbers == sorted(set(numbers))
    for before, after in pairwise([-2, *numbers]):
        assert after == before + 1 or frames[after].keyframe


@given(st.data(), RANDOMS)
def test_vp8_is_put_together_and_damaged_groups_are_dropped_too(data: st.DataObject, random: Random) -> None:
    every = data.draw(st.integers(1, 8))
    frames = [
        vp8_frame(640, 360, filling(size) + bytes((number,)), keyframe=number % every == 0)
        for number, size in enumerate(data.draw(st.lists(st.integers(0, 4000), min_size=1, max_size=20)))
    ]
    source = RtpSource()
    packets = [
        packet
        for number, frame in enumerate(frames)
        for packet in source.packets(
            vp8_payloads(frame, descriptor=bytes((0x90, 0x80, number))), timestamp=3000 * number
        )
    ]
    arrivals = lossy(sent(packets), random, share=data.draw(st.sampled_from([0.0, 0.1])))
    played = _play(jittered(arrivals, random, seconds=0.05), VP8)
    as_sent = [
        VideoFrame(units=(frame,), timestamp=0, keyframe=number % every == 0)
        for number, frame in enumerate(frames)
    ]
    positions = [frames.index(frame.data) for frame in played.frames()]
    assert positions == sorted(set(positions))
    for before, after in pairwise([-2, *positions]):
        assert after == before + 1 or as_sent[after].keyframe
    if len(arrivals) == len(packets):
        assert len(positions) == len(frames)
    assert [item.data for item in played.configurations()] == [frame.data[:10] for frame in played.frames()[:1]]


# The corpus of odd and hostile senders.


@pytest.mark.parametrize("share", [0.02, 0.1])
@pytest.mark.parametrize("retransmits", [True, False])
def test_what_is_lost_is_asked_for_and_comes(share: float, retransmits: bool) -> None:  # noqa: FBT001
    """2 % and 10 % loss, also of the answers: with a stream for them (RFC 4588), and as libdatachannel does."""
    random = Random(4)
    frames = h264_frames(300, keyframe_every=60)
    packets = h264_packets(frames, RtpSource(sequence_number=65_000))
    receiver = _receiver()
    played = Link(
        receiver,
        jittered(lossy(sent(packets), random, share=share), random, seconds=0.01),
        sent=packets,
        retransmission=RtpSource(ssrc=0x5678, payload_type=97) if retransmits else None,
        loses=[random.random() < share for _ in range(10_000)],
    ).play()
    statistics = _of(receiver, Track.VIDEO)
    assert _received(played) == _data(frames)
    assert (statistics.lost, statistics.frames, statistics.frames_dropped) == (0, 300, 0)
    assert statistics.recovered > 1000 * share
    assert statistics.round_trip == pytest.approx(timedelta(milliseconds=50), abs=timedelta(milliseconds=15))
    assert [at for at in played.plis if at < 10.0] == []


def test_without_nack_nothing_is_asked_for_but_keyframes() -> None:
    random = Random(5)
    frames = h264_frames(300, keyframe_every=30, keyframe_bytes=3000)
    plain = TrackFormat(track=Track.VIDEO, codec=VideoCodec.H264, payload_type=96, clock_rate=90_000, pli=True)
    played = _play(lossy(sent(h264_packets(frames, RtpSource())), random, share=0.01), plain)
    assert played.nacks == []
    assert played.plis
    _assert_whole_groups(_received(played), frames)


def test_without_pli_nothing_is_asked_for() -> None:
    frames = h264_frames(300, keyframe_every=300)
    played = _play(lossy(sent(h264_packets(frames, RtpSource())), Random(5), share=0.1), PLAIN_VIDEO)
    assert [packet[1] for _, datagram in played.rtcp for packet in rtcp_packets(datagram)] == [
        201,
        202,
    ] * len(played.rtcp)


def test_a_keyframe_is_asked_for_after_loss_and_ends_the_damage() -> None:
    frames = h264_frames(90, keyframe_every=90) + h264_frames(
        60, keyframe_every=60, first_timestamp=270_000, seed=500
    )
    source = RtpSource()
    packets = h264_packets(frames, source)
    lost = next(number for number, packet in enumerate(packets) if packet[4:8] == (90_000).to_bytes(4))
    played = _play(sent(packets[:lost] + packets[lost + 1 :]), VIDEO)
    received = _received(played)
    assert received == _data(frames[:30] + frames[90:])
    assert played.plis[0] == pytest.approx(1.0 + 0.5, abs=0.1)
    assert played.plis[1:3] == pytest.approx([2.0, 3.0], abs=0.1), "again and again until one comes"


def test_a_sender_that_never_sends_another_keyframe_is_shown_concealed() -> None:
    """OBS ignores PLI: bounded, pictures come again."""
    frames = h264_frames(300, keyframe_every=300)
    packets = h264_packets(frames, RtpSource())
    lost = next(number for number, packet in enumerate(packets) if packet[4:8] == (90_000).to_bytes(4))
    receiver = _receiver(PLAIN_VIDEO)
    played = Link(receiver, sent(packets[:lost] + packets[lost + 1 :])).play()
    shown = [_data(frames).index(data) for data in _received(played)]
    assert shown[:30] == list(range(30))
    assert shown[30] == pytest.approx(30 + 30 * CONCEAL_AFTER, abs=3)
    assert shown[30:] == list(range(shown[30], 300))
    assert _of(receiver, Track.VIDEO).frames_dropped == shown[30] - 30


def test_a_keyframe_comes_about_every_interval_from_a_sender_that_answers() -> None:
    receiver = _receiver(VIDEO)
    source, asked, keyframe = RtpSource(), 0, True
    for number in range(600):
        at = number / 30
        units = [slice_unit(filling(50, number), idr=keyframe)]
        units = [sequence_set(640, 360), picture_set(), *units] if keyframe else units
        for packet in source.packets(h264_payloads(units), timestamp=3000 * number):
            receiver.receive_rtp(packet, arrived=at)
        rtcp = [packet for datagram in receiver.poll(now=at).rtcp for packet in rtcp_packets(datagram)]
        keyframe = any(packet[1] == 206 and packet[0] & 0x1F == 1 for packet in rtcp)
        asked += keyframe
    statistics = _of(receiver, Track.VIDEO)
    assert asked == statistics.plis == 8
    assert statistics.keyframe_interval == pytest.approx(timedelta(seconds=2.25), abs=timedelta(seconds=0.05))


def test_split_parameter_sets_are_put_together() -> None:
    """SPS and PPS in packets, and at times, of their own, with and without markers."""
    source = RtpSource()
    sps, pps, idr = sequence_set(1280, 720), picture_set(), slice_unit(filling(9), idr=True)
    packets = [
        source.packet(sps, timestamp=0, marker=True),
        source.packet(pps, timestamp=0),
        source.packet(idr, timestamp=3000, marker=True),
        source.packet(sps, timestamp=6000),
        source.packet(pps, timestamp=6000, marker=True),
        source.packet(idr, timestamp=6000, marker=True),
    ]
    played = _play(sent(packets), VIDEO)
    assert _received(played) == [length_prefixed([sps, pps, idr])] * 2
    assert played.configurations()[0].codec is VideoCodec.H264


def test_senders_without_a_marker_are_understood() -> None:
    frames = h264_frames(10)
    source = RtpSource()
    packets = [
        packet
        for frame in frames
        for packet in source.packets(h264_payloads(frame.units), timestamp=frame.timestamp, marker=False)
    ]
    assert _received(_play(sent(packets), VIDEO)) == _data(frames[:-1])


def test_a_keyframe_of_4_megabytes_passes_also_when_its_first_packet_is_late() -> None:
    units = (sequence_set(3840, 2160), picture_set(), slice_unit(filling(4_000_000), idr=True))
    packets = RtpSource().packets(h264_payloads(units), timestamp=1)
    before = RtpSource(sequence_number=999).packet(b"\x09\xf0", timestamp=0, marker=True)
    arrivals = [*sent([before, *packets[1:]]), Arrival(at=0.2, data=packets[0])]
    assert _received(_play(arrivals, VIDEO)) == [length_prefixed(units)]


def test_a_stream_that_is_joined_in_the_middle_begins_with_the_next_keyframe() -> None:
    frames = h264_frames(60)
    receiver = _receiver(VIDEO)
    played = Link(receiver, sent(h264_packets(frames, RtpSource())[5:])).play()
    assert _received(played) == _data(frames[30:])
    assert played.plis[0] < 0.1
    assert _of(receiver, Track.VIDEO).malformed == 0


@pytest.mark.parametrize("ticks", [1500, 18_000], ids=["60 fps", "5 fps"])
def test_times_are_those_of_the_sender_at_any_frame_rate(ticks: int) -> None:
    frames = h264_frames(40, ticks=ticks, first_timestamp=2**32 - 20 * ticks)
    played = _play(jittered(sent(h264_packets(frames, RtpSource())), Random(1), seconds=0.005), VIDEO)
    times = [frame.presentation_time for frame in played.frames()]
    assert timedelta(0) <= times[0] < timedelta(seconds=0.1)
    step = timedelta(seconds=ticks / 90_000)
    assert all(abs(after - before - step) < timedelta(milliseconds=6) for before, after in pairwise(times))


def test_a_picture_that_grows_is_no_new_configuration_and_one_that_turns_is() -> None:
    """Chromium starts at 480x270; a phone is turned."""
    sizes = [(480, 270), (960, 540), (1280, 720), (720, 1280), (540, 960)]
    frames = [
        frame
        for number, size in enumerate(sizes)
        for frame in h264_frames(30, size=size, first_timestamp=90_000 * number, seed=100 * number)
    ]
    played = _play(sent(h264_packets(frames, RtpSource())), VIDEO)
    assert _received(played) == _data(frames)
    positions = [number for number, item in enumerate(played.items) if isinstance(item, CodecConfiguration)]
    assert positions == [0, 91]
    assert sequence_set(720, 1280) in played.configurations()[1].data


def test_another_source_takes_over_and_begins_with_a_keyframe() -> None:
    old = h264_frames(45, keyframe_every=30)
    new = h264_frames(60, keyframe_every=30, first_timestamp=7_000_000, seed=500)[15:]
    first = sent(h264_packets(old, RtpSource()))
    second = sent(h264_packets(new, RtpSource(ssrc=0x9999)), begin=1.5)
    receiver = _receiver(VIDEO)
    played = Link(receiver, first + second).play()
    assert _received(played) == _data(old + new[15:])
    assert _of(receiver, Track.VIDEO).ssrc_changes == 1
    assert played.plis[0] == pytest.approx(1.5, abs=0.05)
    times = [frame.presentation_time for frame in played.frames()]
    assert all(timedelta(0) < after - before < timedelta(seconds=0.6) for before, after in pairwise(times))


def test_what_the_old_source_still_had_comes_before_the_new_one() -> None:
    old = h264_frames(30)
    packets = h264_packets(old, RtpSource())
    hole = next(number for number, packet in enumerate(packets) if packet[4:8] == (87_000).to_bytes(4))
    new = h264_packets(h264_frames(1, first_timestamp=5), RtpSource(ssrc=0x9999))
    played = _play([*sent(packets[: hole - 1] + packets[hole:]), *sent(new, begin=1.0)], VIDEO)
    assert _received(played) == [*_data(old[:28]), *_data(h264_frames(1))]


def test_late_packets_of_the_old_source_do_not_bring_it_back() -> None:
    old, new = sent(h264_packets(h264_frames(30), RtpSource())), RtpSource(ssrc=0x9999)
    frames = h264_frames(90, seed=500)
    arrivals = _merged(old, sent(h264_packets(frames, new), begin=1.0), [Arrival(at=3.0, data=old[-1].data)])
    receiver = _receiver(VIDEO)
    played = Link(receiver, arrivals).play()
    statistics = _of(receiver, Track.VIDEO)
    assert (statistics.ssrc_changes, statistics.malformed) == (1, 1)
    assert _received(played) == _data(h264_frames(30) + frames)


def test_an_old_source_may_come_back_when_the_new_one_is_silent() -> None:
    first, second = RtpSource(), RtpSource(ssrc=0x9999)
    frames = h264_frames(3, keyframe_every=1)
    arrivals = [
        *sent(h264_packets(frames[:1], first)),
        *sent(h264_packets(frames[1:2], second), begin=1.5),
        *sent(h264_packets(frames[2:], first), begin=3.0),
    ]
    assert len(_play(arrivals, VIDEO).frames()) == 3


def test_a_flood_of_sources_changes_nothing_more_than_once_a_second() -> None:
    frames = h264_frames(90)
    flood = [
        Arrival(at=number / 500, data=RtpSource(ssrc=number).packet(b"\x41\x9a", timestamp=number))
        for number in range(2000, 3500)
    ]
    receiver = _receiver(VIDEO)
    Link(receiver, _merged(sent(h264_packets(frames, RtpSource())), flood)).play()
    assert _of(receiver, Track.VIDEO).ssrc_changes <= 7 / SOURCE_SECONDS + 1


def test_silence_that_is_not_transmitted_leaves_the_rest_where_it_belongs() -> None:
    """Opus DTX: a packet of a byte every 400 ms."""
    source = RtpSource(payload_type=111)
    packets = [
        source.packet(opus_packet(b"" if number % 20 else b"sound"), timestamp=960 * number, marker=not number)
        for number in range(200)
        if number < 40 or number % 20 == 0
    ]
    played = _play(sent(packets, clock_rate=48_000), AUDIO)
    frames = played.frames(Track.AUDIO)
    assert played.items[0] == CodecConfiguration(codec=AudioCodec.OPUS, data=opus_head(2))
    assert len(frames) == len(packets)
    assert all(frame.keyframe for frame in frames)
    steps = [after.presentation_time - before.presentation_time for before, after in pairwise(frames)]
    assert [round(step / timedelta(milliseconds=20)) for step in steps] == [1] * 40 + [20] * 7


def test_sound_that_is_lost_is_left_out_and_nothing_waits_long() -> None:
    arrivals = _sound(4)
    played = _play(arrivals[:100] + arrivals[103:], AUDIO)
    frames = played.frames(Track.AUDIO)
    assert len(frames) == 197
    gap = max(after.presentation_time - before.presentation_time for before, after in pairwise(frames))
    assert gap == pytest.approx(timedelta(milliseconds=80), abs=timedelta(milliseconds=1))


def test_sound_goes_on_without_pictures_and_pictures_come_later() -> None:
    """Audio only at first, a muted camera."""
    frames = h264_frames(60)
    played = _play(_merged(_sound(10), sent(h264_packets(frames, RtpSource()), begin=6.0)))
    assert len(played.frames(Track.AUDIO)) == 500
    assert _received(played) == _data(frames)
    assert played.frames()[0].presentation_time == pytest.approx(
        timedelta(seconds=6), abs=timedelta(seconds=0.04)
    )


def test_sound_that_is_no_opus_is_counted_and_left_out() -> None:
    source = RtpSource(payload_type=111)
    receiver = _receiver(AUDIO)
    for payload in (b"\xfb\x00", b"", opus_packet()):
        receiver.receive_rtp(source.packet(payload, timestamp=0), arrived=0.0)
    statistics = _of(receiver, Track.AUDIO)
    assert (statistics.malformed, statistics.frames, statistics.frames_dropped) == (1, 1, 1)
    assert statistics.keyframe_interval is None


def test_a_timestamp_that_leaps_stalls_nothing() -> None:
    frames = h264_frames(60)
    later = h264_frames(60, first_timestamp=60 * 3000 + 2**30, seed=200)
    source = RtpSource()
    arrivals = sent(h264_packets(frames, source)) + sent(h264_packets(later, source), begin=2.0)
    played = _play(arrivals, VIDEO)
    assert _received(played) == _data(frames + later)
    times = [frame.presentation_time for frame in played.frames()]
    assert times == sorted(times)
    assert times[-1] < timedelta(seconds=5)


def test_garbage_is_counted_and_changes_nothing() -> None:
    """Garbage RTP, STUN, other payload types, RTCP in RTP's place, and retransmissions of anything."""
    random = Random(3)
    frames = h264_frames(60)
    stun = b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)
    other = RtpSource(payload_type=50)
    again = RtpSource(ssrc=0x5678, payload_type=97)
    stray = RtpSource(ssrc=0x4444, payload_type=97)
    far = RtpSource(sequence_number=40_000)
    garbage = [
        *[random.randbytes(random.randrange(100)) for _ in range(300)],
        stun,
        other.packet(b"x", timestamp=0),
        again.packet(b"\x00\x01\x65\x88", timestamp=0),
        again.packet(b"", timestamp=0, padding=200),
        stray.packet(b"\x03\xe9\x65\x88", timestamp=0),
        far.packet(b"\x65\x88", timestamp=0),
    ]
    arrivals = sent(h264_packets(frames, RtpSource()))
    mixed = _merged(arrivals, [Arrival(at=random.uniform(0.01, 2), data=data) for data in garbage])
    receiver = _receiver()
    played = Link(receiver, mixed).play()
    assert _received(played) == _data(frames)
    assert receiver.malformed >= 250
    assert _of(receiver, Track.VIDEO).malformed >= 1


def test_a_retransmission_before_anything_else_is_no_packet() -> None:
    receiver = _receiver()
    again = RtpSource(ssrc=0x5678, payload_type=97)
    items = receiver.receive_rtp(again.packet(b"\x00\x01\x65\x88", timestamp=0), arrived=0.0)
    assert not any(isinstance(item, EncodedFrame) for item in items)
    assert receiver.poll(now=0.0).items == []
    assert _of(receiver, Track.VIDEO).packets == 0


def test_malformed_pictures_are_dropped_with_their_group() -> None:
    frames = h264_frames(90)
    source = RtpSource()
    packets = h264_packets(frames[:10], source)
    packets.append(source.packet(b"\x5c\x01no fragment began", timestamp=30_000, marker=True))
    packets += h264_packets(frames[11:], source)
    receiver = _receiver(VIDEO)
    played = Link(receiver, sent(packets)).play()
    assert _received(played) == _data(frames[:10] + frames[30:])
    statistics = _of(receiver, Track.VIDEO)
    assert (statistics.malformed, statistics.frames_dropped) == (1, 20)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([96, 97, 111]),
            st.integers(0, 65_535),
            st.integers(0, 2**32 - 1),
            st.binary(max_size=30),
        ),
        max_size=60,
    )
)
def test_arbitrary_packets_raise_nothing(packets: list[tuple[int, int, int, bytes]]) -> None:
    receiver = _receiver()
    items: list[FeedItem] = []
    for number, (payload_type, sequence_number, timestamp, payload) in enumerate(packets):
        source = RtpSource(payload_type=payload_type, ssrc=payload_type, sequence_number=sequence_number)
        data = source.packet(payload, timestamp=timestamp, marker=bool(sequence_number & 1))
        items += receiver.receive_rtp(data, arrived=number / 20)
        items += receiver.poll(now=number / 20).items
    for track in Track:
        times = [item.decode_time for item in items if isinstance(item, EncodedFrame) and item.track is track]
        assert times == sorted(times)


@given(st.lists(st.binary(max_size=80), max_size=20))
def test_arbitrary_datagrams_raise_nothing(datagrams: list[bytes]) -> None:
    receiver = _receiver()
    for number, data in enumerate(datagrams):
        receiver.receive_rtp(data, arrived=float(number))
        receiver.receive_rtcp(data, arrived=float(number))
        receiver.poll(now=float(number))


@pytest.mark.parametrize(
    "attack", ["a hole at the beginning", "one endless picture", "sources", "far numbers", "waiting frames"]
)
def test_memory_is_bounded_whatever_comes(attack: str) -> None:
    """60 MB at once, of packets as large as UDP takes them."""
    receiver = _receiver()
    source = RtpSource()
    for packet in h264_packets(h264_frames(1), source):
        receiver.receive_rtp(packet, arrived=0.0)
    if attack == "a hole at the beginning":
        source.sequence_number += 1
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(1000):
        if attack == "sources":
            source = RtpSource(ssrc=number, sequence_number=2 * number)
        if attack == "far numbers":
            source.sequence_number += 100
        timestamp = number if attack == "waiting frames" else 3000
        payload = b"\x41\x9a" + bytes(1) * 60_000
        receiver.receive_rtp(
            source.packet(payload, timestamp=timestamp, marker=attack == "waiting frames"), arrived=number / 1e5
        )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak - before < 40 * 2**20


# Feedback and what it says.


def test_a_report_and_the_bandwidth_go_out_every_second_and_begin_at_once() -> None:
    """A browser raises its bitrate by what it is told: aiortc's estimate holds it at a tenth."""
    played = _play(_merged(_sound(3), sent(h264_packets(h264_frames(90), RtpSource()))), after=0.1)
    rembs = played.feedback(206, 15)
    assert [round(at) for at, _ in rembs] == [0, 1, 2, 3]
    assert rembs[0][0] < 0.05
    _, last = rembs[-1]
    estimate = int.from_bytes(last[16:20])
    assert (estimate & 0x3FFFF) << (estimate >> 18 & 0x3F) == pytest.approx(2_500_000, rel=1e-4)
    assert {int.from_bytes(last[start : start + 4]) for start in (20, 24)} == {7, 0x1234}
    reports = [packet for _, packet in played.feedback(201) if packet[0] & 0x1F]
    assert len(reports) == 4
    assert all(packet[0] & 0x1F == 2 for packet in reports[1:])


def test_every_datagram_begins_with_a_report() -> None:
    """RFC 3550, 6.1."""
    frames = h264_frames(60)
    played = _play(lossy(sent(h264_packets(frames, RtpSource())), Random(1), share=0.1), VIDEO)
    kinds = [[packet[1] for packet in rtcp_packets(datagram)] for _, datagram in played.rtcp]
    assert all(each[:2] == [201, 202] for each in kinds)
    assert {each[2] for each in kinds} == {205, 206}


def test_more_packets_than_a_request_holds_are_asked_for_in_several() -> None:
    receiver = _receiver(VIDEO)
    source = RtpSource()
    receiver.receive_rtp(source.packet(b"\x41\x9a", timestamp=0), arrived=0.0)
    source.sequence_number += 400
    receiver.receive_rtp(source.packet(b"\x41\x9a", timestamp=0), arrived=0.0)
    played = Link(receiver, []).play(begin=0.1, after=0.0)
    assert [len(numbers) for _, numbers in played.nacks] == [256, 144]
    assert all(len(datagram) < 1200 for _, datagram in played.rtcp)
    assert _of(receiver, Track.VIDEO).nacks == 400


def _sender_report(ssrc: int, *, seconds: float, timestamp: int) -> bytes:
    ntp = round(seconds * 2**32)
    body = ssrc.to_bytes(4) + ntp.to_bytes(8) + timestamp.to_bytes(4) + bytes(8)
    return b"\x80\xc8\x00\x06" + body


def test_sender_reports_put_the_tracks_in_step_and_are_referred_to() -> None:
    """The sender says that its pictures are 300 ms older than their arrival shows."""
    receiver = _receiver(VIDEO, AUDIO)
    frames = h264_frames(90)
    video, audio = sent(h264_packets(frames, RtpSource()), begin=0.3), _sound(3.3)
    for arrival in (video[0], audio[0]):
        receiver.receive_rtp(arrival.data, arrived=0.3)
    receiver.receive_rtcp(_sender_report(0x1234, seconds=5000.0, timestamp=0), arrived=0.3)
    receiver.receive_rtcp(_sender_report(7, seconds=5000.0, timestamp=0), arrived=0.3)
    receiver.receive_rtcp(_sender_report(555, seconds=1.0, timestamp=0), arrived=0.3)
    played = Link(receiver, _merged(video[1:], audio[1:])).play(begin=0.3)
    sound = played.frames(Track.AUDIO)
    offset = played.frames()[30].presentation_time - sound[50].presentation_time
    assert abs(offset) <= timedelta(milliseconds=40)
    block = next(packet for _, packet in played.feedback(201) if packet[0] & 0x1F)
    assert block[24:28] == (5000).to_bytes(4)[2:] + b"\x00\x00"


def test_reports_that_come_before_everything_else_hold_nothing_back() -> None:
    """A bug: FFmpeg's, which are exact, were dropped, for nobody knew yet whose they are."""
    receiver = _receiver()
    for ssrc in (7, 0x1234, *range(20, 24)):
        receiver.receive_rtcp(_sender_report(ssrc, seconds=5000.0, timestamp=0), arrived=0.0)
    frames = h264_frames(30)
    # Sound comes early by itself: only reports tell by how much.
    sound = [replace(arrival, at=arrival.at + 0.1) for arrival in _sound(1)]
    played = Link(receiver, _merged(sound, sent(h264_packets(frames, RtpSource()), begin=0.3))).play(after=0.0)
    assert len(played.frames()) == 30
    pictures, heard = played.frames(), played.frames(Track.AUDIO)
    assert abs(pictures[0].decode_time - heard[0].decode_time) < timedelta(milliseconds=1)


def test_reports_of_sources_that_never_send_are_forgotten() -> None:
    receiver = _receiver(VIDEO, AUDIO)
    tracemalloc.start()
    for ssrc in range(20_000):
        receiver.receive_rtcp(_sender_report(ssrc, seconds=5000.0, timestamp=0), arrived=0.0)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 100_000


# Of frames that come in the order of their times, by what networks and encoders add.
IN_ORDER = timedelta(milliseconds=250)


@settings(max_examples=30, deadline=None)
@given(
    rate=st.sampled_from([5, 15, 30]),
    later=st.floats(-2, 2),
    jitter=st.floats(0, 0.05),
    reports=st.booleans(),
    random=RANDOMS,
)
def test_frames_of_both_tracks_come_in_the_order_of_decoding_from_the_first_on(
    *, rate: int, later: float, jitter: float, reports: bool, random: Random
) -> None:
    """Tracks that begin together are held back together; one that begins later, for itself.

    A bug: all pictures that were held came before all sound that was, and silence had taken the sound's place.
    """
    begins = {Track.VIDEO: max(0.0, -later), Track.AUDIO: max(0.0, later)}
    frames = h264_frames(2 * rate, ticks=90_000 // rate, bytes_per_frame=500, keyframe_bytes=500)
    packets = h264_packets(frames, RtpSource())
    video = jittered(sent(packets, begin=begins[Track.VIDEO]), random, seconds=jitter)
    sound = [replace(arrival, at=arrival.at + begins[Track.AUDIO]) for arrival in _sound(2)]
    receiver = _receiver()
    if reports:
        for ssrc, track in ((7, Track.AUDIO), (0x1234, Track.VIDEO)):
            report = _sender_report(ssrc, seconds=5000 + begins[track], timestamp=0)
            receiver.receive_rtcp(report, arrived=0.0)
    played = Link(receiver, _merged(video, jittered(sound, random, seconds=jitter))).play()
    come = [item for item in played.items if isinstance(item, EncodedFrame)]
    assert len(come) == len(frames) + 100
    together = abs(timedelta(seconds=later)) <= TOGETHER
    behind = IN_ORDER if together else IN_ORDER + MAX_HOLD
    latest = come[0].decode_time
    for frame in come:
        assert frame.decode_time >= latest - behind
        latest = max(latest, frame.decode_time)


def test_what_is_no_rtcp_is_counted() -> None:
    receiver = _receiver()
    receiver.receive_rtcp(b"\x80\xc8\x00\x06", arrived=0.0)
    assert receiver.malformed == 1


def test_goodbye_of_every_track_that_sends_is_the_end_until_more_comes() -> None:
    receiver = _receiver()
    assert not receiver.has_ended
    source = RtpSource()
    receiver.receive_rtp(source.packet(b"\x41\x9a", timestamp=0), arrived=0.0)
    receiver.receive_rtcp(b"\x81\xcb\x00\x01" + (5).to_bytes(4), arrived=0.1)
    assert not receiver.has_ended
    receiver.receive_rtcp(b"\x81\xcb\x00\x01" + (0x1234).to_bytes(4), arrived=0.1)
    assert receiver.has_ended
    receiver.receive_rtp(source.packet(b"\x41\x9a", timestamp=0), arrived=0.2)
    assert not receiver.has_ended


@given(st.data(), RANDOMS)
def test_at_the_end_everything_that_waits_comes_out_as_if_it_had_waited_in_vain(
    data: st.DataObject, random: Random
) -> None:
    """And time goes on from there: a bug polled for it with a time to come, which what came next was behind."""
    frames = h264_frames(data.draw(st.integers(1, 12)), keyframe_every=3, bytes_per_frame=2000)
    arrivals = lossy(sent(h264_packets(frames, RtpSource())), random, share=0.2)
    waiting, flushed = _receiver(VIDEO), _receiver(VIDEO)
    come: dict[MediaReceiver, list[FeedItem]] = {waiting: [], flushed: []}
    for arrival in arrivals:
        for receiver in come:
            come[receiver] += receiver.receive_rtp(arrival.data, arrived=arrival.at)
    come[waiting] += waiting.poll(now=arrivals[-1].at + 2).items
    come[flushed] += flushed.flush()
    assert come[flushed] == come[waiting]
    assert flushed.flush() == flushed.poll(now=arrivals[-1].at).items == []


def _faults(receiver: MediaReceiver, arrivals: Sequence[Arrival], **link: object) -> tuple[InputFault, ...]:
    Link(receiver, arrivals, **link).play(after=0.5)  # type: ignore[arg-type] # of the link's own
    return receiver.faults()


@pytest.mark.parametrize("share", [0.02, 0.1])
def test_loss_that_nothing_makes_good_is_told(share: float) -> None:
    packets = h264_packets(h264_frames(150), RtpSource())
    assert _faults(_receiver(), lossy(sent(packets), Random(1), share=share)) == (InputFault.PACKET_LOSS,)
    assert _faults(_receiver(), sent(packets)) == ()


@pytest.mark.parametrize(("share", "faults"), [(0.02, ()), (0.1, (InputFault.PACKET_LOSS,))])
def test_of_loss_that_is_made_good_only_much_is_told(share: float, faults: tuple[InputFault, ...]) -> None:
    packets = h264_packets(h264_frames(150), RtpSource())
    assert _faults(_receiver(), lossy(sent(packets), Random(1), share=share), sent=packets) == faults


@pytest.mark.parametrize("by", ["timestamps", "slices"])
def test_b_frames_are_told_by_their_timestamps_and_by_their_slices(by: str) -> None:
    """Some senders' timestamps are those of decoding: only the slices show it."""
    frames = h264_frames(31)
    if by == "timestamps":
        shown = [0, *(number + step for number in range(1, 31, 3) for step in (2, 0, 1))]
        frames = [replace(frame, timestamp=3000 * at) for frame, at in zip(frames, shown, strict=True)]
    else:
        later = slice_unit(filling(100), kind=6)
        frames = [frame if frame.keyframe else replace(frame, units=(later,)) for frame in frames]
    receiver = _receiver(VIDEO)
    assert _faults(receiver, sent(h264_packets(frames, RtpSource()))) == (InputFault.B_FRAMES,)
    assert 15 <= _of(receiver, Track.VIDEO).b_frames <= 29


def test_parameter_sets_may_come_in_the_offer_and_those_of_the_stream_take_their_place() -> None:
    """GStreamer's payloader sends them there, and may send them nowhere else."""
    offered = replace(VIDEO, parameter_sets=(sequence_set(640, 480), picture_set()))
    frames = h264_frames(40, keyframe_every=20)
    bare = [replace(frame, units=frame.units[-1:]) for frame in frames[:20]] + frames[20:]
    played = _play(sent(h264_packets(bare, RtpSource())), offered)
    assert len(played.frames()) == 40
    old, new = (each.data for each in played.configurations())
    assert sequence_set(640, 480) in old
    assert sequence_set(1280, 720) in new


@pytest.mark.parametrize("offered", [(b"\x67",), (b"\x67\xff", b"\x68"), (sequence_set(640, 480)[:6], b"\x68")])
def test_parameter_sets_of_the_offer_that_say_nothing_harm_nothing(offered: tuple[bytes, ...]) -> None:
    frames = h264_frames(5)
    played = _play(sent(h264_packets(frames, RtpSource())), replace(VIDEO, parameter_sets=offered))
    assert _received(played) == _data(frames)


def test_sound_is_known_before_it_comes() -> None:
    """A bug: sound that began a second after the pictures began another session."""
    receiver = _receiver()
    first = h264_packets(h264_frames(1), RtpSource())[0]
    (known,) = receiver.receive_rtp(first, arrived=0.0)
    assert isinstance(known, CodecConfiguration)
    assert known.codec is AudioCodec.OPUS
