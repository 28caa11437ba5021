"""Measurements beside a named peer: each module ends in one line of JSON, and `python -m bench.run` keeps it."""
