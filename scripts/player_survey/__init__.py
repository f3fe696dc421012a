"""What players make of a live stream's disturbances: cuts, changes, gaps, ends."""
