"""Digits, folders, archives, downloads -> shards: what `prepare` runs."""
