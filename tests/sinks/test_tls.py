"""Certificates: read anew each time, mistakes named, and nobody is asked for a password."""

import ssl
from pathlib import Path

import pytest
from sinks.certificates import Authority

from otids.sinks.tls import Tls, explain


def test_chain_and_name_are_always_verified(authority: Authority) -> None:
    for tls in (Tls(), Tls(str(authority.ca))):
        context = tls.context()
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_key_with_a_password_is_an_error_and_no_question(authority: Authority) -> None:
    pair = authority.issue("locked.example")
    locked = pair.key.with_suffix(".locked")
    authority.lock(pair.key, locked)
    with pytest.raises(ssl.SSLError) as caught:
        Tls(str(pair.ca), str(pair.certificate), str(locked)).context()
    assert explain(caught.value).startswith("TLS: ")
    Tls(str(pair.ca), str(pair.certificate), str(pair.key)).context()


def test_what_is_missing_or_no_certificate_is_told(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue("good.example")
    for tls, named in (
        (Tls(str(tmp_path / "ca")), f"{tmp_path}/ca: No such file"),
        (Tls("", str(tmp_path / "c"), str(pair.key)), f"{tmp_path}/c: No such file"),
        (Tls("", str(pair.certificate), str(tmp_path / "k")), f"{tmp_path}/k: No such file"),
    ):
        with pytest.raises(OSError, match="No such file") as caught:
            tls.context()
        assert explain(caught.value).startswith(named)
    (tmp_path / "junk").write_text("junk")
    for tls in (Tls(str(tmp_path / "junk")), Tls("", str(tmp_path / "junk"), str(pair.key))):
        with pytest.raises(ssl.SSLError) as error:
            tls.context()
        assert explain(error.value).startswith("TLS: ")
