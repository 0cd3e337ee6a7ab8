"""The asset inventory: which devices there are, what they are called, and what they do."""
