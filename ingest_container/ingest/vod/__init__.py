"""The VOD job: one recording becomes HLS for later, in better compression than live encoding has time for.

A Cloud Run job runs it as `python -m ingest.vod`, in one task or many. Each task encodes a range of segments;
whichever finds that all are there makes the playlists and pictures, checks everything, and writes the facts,
whose existence is the announcement. Every object is created once, so tasks may die, be doubled or begin again.
"""
