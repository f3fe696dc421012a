"""What players make of a live stream's disturbances: each is watched while a stream is cut, changed and ended."""
