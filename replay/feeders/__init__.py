"""Two feeders and their control centre, which speak DNP3."""
