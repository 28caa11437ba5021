"""Other people's weights: where from, how read, how renamed."""
