"""What durable work is: states, the retry policy, lanes, identity and the ports to clock and randomness."""
