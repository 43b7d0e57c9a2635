"""From videos to poses."""
