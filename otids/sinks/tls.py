"""Encrypted connections to sinks: the other side's certificate is always verified."""

import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM; empty: the system's authorities, no certificate of our own."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Make a context that verifies chain and name, from TLS 1.2 on. Raises OSError.

        The files are read anew each time, so that a renewed certificate is taken up.
        """
        context = ssl.create_default_context(cafile=_file(self.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate:
            _file(self.key)
            # Without a password given, OpenSSL would ask for one on the terminal, and wait.
            context.load_cert_chain(_file(self.certificate) or "", self.key or None, str)
        return context


def _file(path: str) -> str | None:
    """Return a path that can be read, or None for an empty one; ssl does not name the file."""
    if path:
        with open(path, "rb"):  # noqa: PTH123 only whether it opens
            pass
    return path or None


def explain(error: Exception) -> str:
    """Say in a few words why a connection failed."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or str(error)).replace('_', ' ').lower()}"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return f"{named}{error.strerror}"
    return str(error) or type(error).__name__
