"""The peers run the ingest's own encoder, and their segments are found by what their pictures say."""

from fractions import Fraction

import pytest

from benchmark.peers import encoder_arguments, listed_segments, sent_to_listed
from benchmark.sent_frames import SentFrames
from bucketcast.stream.configuration import StreamConfiguration
from bucketcast.stream.identifiers import SegmentIndex
from ingest.encode.ffmpeg import ffmpeg_arguments
from ingest.encode.ladder import plan_encoding
from ingest.encode.source import AudioSource, SourceFacts, VideoSource

PLAN = plan_encoding(
    StreamConfiguration(),
    SourceFacts(
        video=VideoSource(width=1280, height=720),
        audio=AudioSource(sample_rate=48_000, channels=2),
        frame_rate=Fraction(30),
    ),
)


def test_a_peer_differs_from_the_ingest_in_source_and_outputs_only() -> None:
    ours = ffmpeg_arguments(PLAN, start=SegmentIndex(0), outputs=range(3), progress=1)
    theirs = encoder_arguments(
        ours,
        source=("-i", "rtmp://peer"),
        outputs=["f=hls"] * 3,
        addresses=["a.m3u8", "b.m3u8", "c.m3u8"],
        extra=("-extra",),
    )
    assert theirs[-1] == "|".join(
        rf"[f=hls:select=\'v:{number},a\']{address}"
        for number, address in enumerate(("a.m3u8", "b.m3u8", "c.m3u8"))
    )
    assert set(theirs[:-1]) - set(ours) == {"rtmp://peer", "-extra", "5000000"}
    assert set(ours[:-1]) - set(theirs) == {"-itsoffset", "-10", "pipe:0", "1000000"}


def test_the_segments_of_a_playlist_are_its_lines_that_are_no_tags() -> None:
    assert listed_segments("#EXTM3U\n#EXTINF:2,\na-0.ts\n\n#EXTINF:2,\na-1.ts\n") == ["a-0.ts", "a-1.ts"]


def test_a_segment_ends_with_the_frame_before_the_next_segment_s_first() -> None:
    sent = SentFrames(times=[number / 10 for number in range(60)], clip_frames=40)
    listed = {"0.ts": 2.2, "1.ts": 4.2, "2.ts": 6.2, "unfinished.ts": 6.3}
    # The clip begins again within the second segment.
    numbers = {"0.ts": 0, "1.ts": 20, "2.ts": 0}
    assert sent_to_listed(listed, numbers, sent) == pytest.approx([2.2 - 1.9, 4.2 - 3.9])
