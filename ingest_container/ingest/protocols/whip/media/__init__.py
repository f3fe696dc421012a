"""What a WHIP publisher sends, from decrypted datagrams to a feed, without any I/O, clock or chance.

`rtp` reads packets, `reception` counts those of one source, and `reordering` puts them in order and says which
to ask for again. `assembly` gathers a picture's packets, `h264` and `vp8` make encoded pictures of them, and
`groups` says which of those loss has damaged and when to ask for a keyframe: all that is `video`; `audio` is
the same for Opus. `clock` relates the tracks to each other and `timing` gives their frames their times. `track`
is one track from its packets to its frames, `faults` says what is wrong with them, `rtcp` reads and writes
reports, and `receiver.MediaReceiver` is what a session talks to.
"""

from ingest.protocols.whip.media.formats import TrackFormat
from ingest.protocols.whip.media.receiver import MediaReceiver, Poll
from ingest.protocols.whip.media.track import TrackStatistics

__all__ = ["MediaReceiver", "Poll", "TrackFormat", "TrackStatistics"]
