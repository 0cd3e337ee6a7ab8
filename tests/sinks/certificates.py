"""An authority for the tests of TLS, made by openssl."""

import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    """A certificate and its key."""

    certificate: Path
    key: Path
    ca: Path

    def server_context(self) -> ssl.SSLContext:
        """Make a context for a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        return context


class Authority:
    """Issues certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ca, self._key = folder / "ca.pem", folder / "ca.key"
        self._openssl(
            *("req", "-x509", "-subj", "/CN=otids test authority", "-days", "2"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign"),
            *self._new_key(self._key, self.ca),
        )

    def issue(self, name: str) -> Pair:
        """Make a certificate for a host name or an address."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        kind = "IP" if name.replace(".", "").isdigit() else "DNS"
        self._openssl(
            *("req", "-x509", "-subj", f"/CN={name}", "-days", "2"),
            *("-CA", str(self.ca), "-CAkey", str(self._key)),
            *("-addext", f"subjectAltName={kind}:{name}"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
            *self._new_key(key, certificate),
        )
        return Pair(certificate, key, self.ca)

    def lock(self, key: Path, locked: Path) -> None:
        """Put a password on a key."""
        self._openssl(
            "ec", "-in", str(key), "-out", str(locked), "-aes256", "-passout", "pass:xyz1"
        )

    @staticmethod
    def _new_key(key: Path, out: Path) -> tuple[str, ...]:
        return (
            *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-keyout", str(key), "-out", str(out)),
        )

    @staticmethod
    def _openssl(*arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("openssl is not installed")
        subprocess.run([program, *arguments], check=True, capture_output=True, timeout=60)
