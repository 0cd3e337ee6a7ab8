"""Two substations and their control centre, of real IEC 60870-5-104 stacks."""
