"""Where the other Python runs, and how the two get a channel: each place has a room."""
