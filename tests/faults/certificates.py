"""Certificates of a server, by OpenSSL."""

import shutil
import subprocess
from pathlib import Path

_NEW = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")


class Authority:
    """Signs certificates for the server whose data are in `folder`. Its own certificate is `file`."""

    def __init__(self, folder: Path, name: str, owner: str | None) -> None:
        self.file = folder / f"{name}.crt"
        self._folder = folder
        self._key = folder / f"{name}.key"
        self._owner = owner
        _run(*_NEW, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.file)

    def sign(self) -> None:
        """Give the server a new key, and a certificate for 127.0.0.1."""
        key, certificate = self._folder / "server.key", self._folder / "server.crt"
        signed = ["-CA", self.file, "-CAkey", self._key, "-subj", "/CN=server"]
        _run(*_NEW, *signed, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        key.chmod(0o600)
        if self._owner:
            shutil.chown(key, self._owner)
            shutil.chown(certificate, self._owner)


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)
