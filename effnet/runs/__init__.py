"""A training run: what it is (its identity), what it keeps, and when it is taken up again."""
