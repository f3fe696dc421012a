"""A WHIP server for publishers (RFC 9725): browsers, OBS, FFmpeg and GStreamer, over WebRTC.

Decisions are pure: `sdp` reads offers, `negotiation` chooses and answers, `endpoint` is HTTP's side, `ice_lite`
answers connectivity checks, and `media` turns packets into a feed. `http`, `udp`, `secure_transport` (the seam
to aiortc), `session` and `server` are the shells that own sockets, tasks and time. Nothing is decoded here.
"""
