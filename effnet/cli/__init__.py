"""The command line `effnet`."""
