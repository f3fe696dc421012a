"""What an operator does with a stream from a terminal: rebuild it, or ask what its playlists held and why."""
