"""Pictures: archives and folders -> shards -> batches."""
