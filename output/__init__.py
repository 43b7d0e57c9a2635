"""From rendered frames to the result."""
