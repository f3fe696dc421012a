"""From a feed to segments: what the source is, which rungs it gets, one supervised FFmpeg, exact cuts."""

from ingest.encode.ffmpeg import find_ffmpeg
from ingest.encode.intake import SessionOver, SourceChanged
from ingest.encode.ladder import EncodingPlan, RungPlan, plan_encoding, plan_ladder
from ingest.encode.opening import Opening
from ingest.encode.overload import EncoderOverloaded
from ingest.encode.session_encoder import CutSegment, EncoderFailed, SessionEncoder
from ingest.encode.source import Opened, SourceFacts, UnusableSource

__all__ = [
    "CutSegment",
    "EncoderFailed",
    "EncoderOverloaded",
    "EncodingPlan",
    "Opened",
    "Opening",
    "RungPlan",
    "SessionEncoder",
    "SessionOver",
    "SourceChanged",
    "SourceFacts",
    "UnusableSource",
    "find_ffmpeg",
    "plan_encoding",
    "plan_ladder",
]
