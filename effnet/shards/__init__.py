"""The format of prepared pictures, and its reader."""
