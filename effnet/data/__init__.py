"""Shards -> batches: random streams, augmentation, pre-processing, the loader. No MindSpore."""
