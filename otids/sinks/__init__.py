"""Sinks: one file per place where alerts go."""

from otids.sinks.base import Outbox, Sink, SinkError, deliver_pending

__all__ = ["Outbox", "Sink", "SinkError", "deliver_pending"]
