"""A control centre and two stations, of real IEC 60870-5-104 stacks."""
