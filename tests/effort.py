"""How hard tests that look for the unknown try: `OTIDS_EFFORT=100 pytest ...` once at length."""

import os

EFFORT = int(os.environ.get("OTIDS_EFFORT", "1"))


def examples(normal: int) -> int:
    """How many examples, where so many are tried each day."""
    return normal * EFFORT
