"""The ladder decision: which rungs a source gets, in which size, profile and level."""

from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from bucketcast.stream.bandwidth import buffer_size, max_rate
from bucketcast.stream.configuration import Preset, RungConfiguration, StreamConfiguration
from bucketcast.stream.grid import SegmentGrid
from bucketcast.stream.identifiers import BitsPerSecond, RungName
from bucketcast.stream.session_record import EncodedRung, FrameRate
from ingest.encode.source import SourceFacts, VideoSource

# RFC 6381: MPEG-4 audio, object type 2, which is AAC-LC.
_AUDIO_CODEC = "mp4a.40.2"
# What one thread of x264 encodes with room to spare at the fast presets: 720p at 30 frames a second. Fewer
# threads cost less in all, and each further one adds a frame of delay.
_PIXELS_PER_SECOND_AND_THREAD = 1280 * 720 * 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """An H.264 profile: its name for x264, and the first two bytes of an RFC 6381 codec string.

    *bitrate_factor* is cpbBrNalFactor (ITU-T H.264, table A-2) in relation to table A-1's MaxBR.
    """

    name: str
    code: int
    bitrate_factor: Fraction


# x264 sets constraint_set0_flag and 1 in what it writes as Baseline, and none in High.
_CONSTRAINED_BASELINE = Profile(name="baseline", code=0x42C0, bitrate_factor=Fraction(1))
_HIGH = Profile(name="high", code=0x6400, bitrate_factor=Fraction(5, 4))


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A row of ITU-T H.264, table A-1: macroblocks a second and a picture, kbit/s, kbit of buffer."""

    number: int  # level_idc, ten times the level
    macroblocks_per_second: int
    macroblocks: int
    kilobits_per_second: int
    kilobits_of_buffer: int

    @property
    def name(self) -> str:
        """The level as x264 takes it."""
        return f"{self.number // 10}.{self.number % 10}"


# From 3.0, which every player of HLS decodes, to 5.2, beyond which hardware decoders are rare.
_LEVELS = tuple(
    Level(
        number=number,
        macroblocks_per_second=speed,
        macroblocks=size,
        kilobits_per_second=rate,
        kilobits_of_buffer=buffer,
    )
    for number, speed, size, rate, buffer in (
        (30, 40_500, 1_620, 10_000, 10_000),
        (31, 108_000, 3_600, 14_000, 14_000),
        (32, 216_000, 5_120, 20_000, 20_000),
        (40, 245_760, 8_192, 20_000, 25_000),
        (41, 245_760, 8_192, 50_000, 62_500),
        (42, 522_240, 8_704, 50_000, 62_500),
        (50, 589_824, 22_080, 135_000, 135_000),
        (51, 983_040, 36_864, 240_000, 240_000),
        (52, 2_073_600, 36_864, 240_000, 240_000),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RungPlan:
    """One rung as it is encoded."""

    name: RungName
    width: int
    height: int
    video_bitrate: BitsPerSecond
    profile: Profile
    level: Level
    threads: int
    source_codec: str | None = None  # the source's own, where it is copied instead of encoded

    @property
    def codecs(self) -> str:
        """The rung's CODECS: RFC 6381, 3.3 (avc1 with profile, constraints and level in hexadecimal)."""
        video = self.source_codec or f"avc1.{self.profile.code:04x}{self.level.number:02x}"
        return f"{video},{_AUDIO_CODEC}"

    @property
    def encoded_rung(self) -> EncodedRung:
        """The rung as the session record states it."""
        return EncodedRung(name=self.name, width=self.width, height=self.height, codecs=self.codecs)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingPlan:
    """All that one session's encoders are told; every encoder of the session is told the same."""

    source: SourceFacts
    segment_duration: timedelta
    preset: Preset
    audio_bitrate: BitsPerSecond
    rungs: tuple[RungPlan, ...]
    # By how many frames the source's pictures are decoded before they are shown, where the top rung is the
    # source itself; None where all rungs are encoded.
    source_delay: int | None = None

    @property
    def copies_top(self) -> bool:
        """Whether the top rung is the source itself, copied."""
        return self.source_delay is not None

    @property
    def reordered_pictures(self) -> int:
        """Pictures between two that they refer to in the rungs that are encoded: so many frames' delay."""
        return 0 if self.preset is Preset.ULTRAFAST else 1

    @property
    def delay(self) -> int:
        """By how many frames pictures are decoded before they are shown, in every rung.

        Sound is shared out between segments by decode times, and rungs between which a player changes must
        share it out alike: the rung that needs the largest delay sets it for all.
        """
        return max(self.reordered_pictures, self.source_delay or 0)

    @property
    def sheddable_rung(self) -> RungName | None:
        """The rung that an encoder which is too slow does without: the largest encoded, if not the last.

        It costs as much as all below it together, since pictures halve from step to step; and who watches it
        finds the nearest rung below in its slot. A copied rung costs nothing.
        """
        encoded = self.rungs[1 if self.copies_top else 0 :]
        return encoded[0].name if encoded and len(self.rungs) > 1 else None

    @property
    def frame_rate(self) -> FrameRate:
        """The constant frame rate of every rung."""
        rate = self.source.frame_rate
        return FrameRate(numerator=rate.numerator, denominator=rate.denominator)

    @property
    def grid(self) -> SegmentGrid:
        """The grid that every encoder of the session cuts on."""
        return SegmentGrid(frame_rate=self.source.frame_rate, segment_duration=self.segment_duration)


def plan_encoding(
    configuration: StreamConfiguration,
    source: SourceFacts,
    *,
    source_delay: int | None = None,
    shed: RungName | None = None,
) -> EncodingPlan:
    """Return how *source* is encoded for a stream of *configuration*.

    With a *source_delay* the top rung is copied: ingest.encode.pass_through says whether that is possible.
    *shed* is the last rung that was too much for an encoder: only what is below it is encoded, if anything is.
    """
    source = at_full_size(configuration, source)
    rungs = plan_ladder(configuration, source)
    copied = () if source_delay is None else (replace(rungs[0], source_codec=source.video.rfc6381_codec),)
    encoded = rungs[len(copied) :]
    if shed is not None:
        names = [rung.name for rung in configuration.rungs]
        smaller = names[names.index(shed) + 1 :]
        encoded = tuple(rung for rung in encoded if rung.name in smaller)
    return EncodingPlan(
        source=source,
        segment_duration=configuration.segment_duration,
        preset=configuration.preset,
        audio_bitrate=configuration.audio_bitrate,
        rungs=(*copied, *encoded) or rungs[-1:],
        source_delay=source_delay,
    )


def plan_ladder(configuration: StreamConfiguration, source: SourceFacts) -> tuple[RungPlan, ...]:
    """Return the rungs of *configuration* that *source* gets, highest first; at least one, none upscaled.

    A slot that is larger than the source is left out; where all are larger, the smallest is encoded at the
    source's size. Sizes are even, pixels square, and portrait stays portrait. An adaptive source is as large as
    it may grow: its smaller pictures are scaled into the rungs.
    """
    width, height = display_size(at_full_size(configuration, source).video)
    fitting = [rung for rung in configuration.rungs if rung.short_side <= min(width, height)]
    return tuple(
        _plan_rung(rung, configuration.preset, source, _size(width, height, rung.short_side))
        for rung in fitting or configuration.rungs[-1:]
    )


def at_full_size(configuration: StreamConfiguration, source: SourceFacts) -> SourceFacts:
    """Return *source*, with a picture as large as it may grow if it is adaptive.

    Where that is not known, it has the first picture's shape and the size of the largest configured rung: the
    ladder lasts for the whole session, so a small beginning must not decide it.
    """
    if not source.adaptive:
        return source
    if source.full_size is not None:
        width, height = source.full_size
    else:
        wide, high = display_size(source.video)
        largest = max(rung.short_side for rung in configuration.rungs)
        scale = max(Fraction(1), largest / min(wide, high))
        width, height = (2 * round(side * scale / 2) for side in (wide, high))
    video = replace(source.video, width=width, height=height, sample_aspect_ratio=Fraction(1))
    return replace(source, video=video, full_size=(width, height))


def display_size(video: VideoSource) -> tuple[Fraction, Fraction]:
    """Return the picture's size in square pixels: never more of them in either direction than were coded."""
    ratio = video.sample_aspect_ratio
    if ratio > 1:
        return Fraction(video.width), video.height / ratio
    return video.width * ratio, Fraction(video.height)


def _size(width: Fraction, height: Fraction, short_side: int) -> tuple[int, int]:
    """The even size with *short_side* and the shape of *width* to *height*; the latter if that is smaller."""
    scale = min(Fraction(1), short_side / min(width, height))
    return _even(width, scale), _even(height, scale)


def _even(side: Fraction, scale: Fraction) -> int:
    """The even number next to *side* at *scale* that is not larger than *side*."""
    return max(2, min(2 * round(side * scale / 2), int(side) // 2 * 2))


def _plan_rung(rung: RungConfiguration, preset: Preset, source: SourceFacts, size: tuple[int, int]) -> RungPlan:
    width, height = size
    # x264's ultrafast uses no tool above Constrained Baseline and says so; all others use High's 8x8 transform.
    profile = _CONSTRAINED_BASELINE if preset is Preset.ULTRAFAST else _HIGH
    pixels_per_second = width * height * source.frame_rate
    return RungPlan(
        name=rung.name,
        width=width,
        height=height,
        video_bitrate=rung.video_bitrate,
        profile=profile,
        level=_level(width, height, source.frame_rate, rung.video_bitrate, profile),
        threads=-(-pixels_per_second // _PIXELS_PER_SECOND_AND_THREAD),
    )


def _level(width: int, height: int, rate: Fraction, bitrate: BitsPerSecond, profile: Profile) -> Level:
    """The lowest level that admits the rung (ITU-T H.264, A.3), else the highest there is."""
    macroblocks = -(-width // 16) * -(-height // 16)
    longest = max(-(-width // 16), -(-height // 16))
    return next(
        (
            level
            for level in _LEVELS
            if macroblocks <= level.macroblocks
            and longest * longest <= 8 * level.macroblocks
            and macroblocks * rate <= level.macroblocks_per_second
            and max_rate(bitrate) <= level.kilobits_per_second * 1000 * profile.bitrate_factor
            and buffer_size(bitrate) <= level.kilobits_of_buffer * 1000 * profile.bitrate_factor
        ),
        _LEVELS[-1],
    )
