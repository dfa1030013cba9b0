"""The command line: one file per noun, each turns arguments into one call."""
