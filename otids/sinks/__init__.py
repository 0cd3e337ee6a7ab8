"""Sinks: one file per place where alerts go."""

from otids.sinks.base import Outbox, RefusedError, Sink, SinkError, deliver_pending

__all__ = ["Outbox", "RefusedError", "Sink", "SinkError", "deliver_pending"]
