"""What wakes other processes. State is in the record only: everything here may be lost, and work goes on without it."""
