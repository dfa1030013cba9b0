"""Files in a local directory."""
