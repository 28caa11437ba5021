"""What an evaluation leaves: exact figures, tables, the worst mistakes, and where all of it comes from."""
