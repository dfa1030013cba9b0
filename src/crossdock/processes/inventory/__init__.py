"""What stock should be, where it disagrees and why, and what may be promised of it. Pure."""
