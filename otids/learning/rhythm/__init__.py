"""When things are said: paces, silences, answers."""
