"""How many, and how many different ones, in a window."""
