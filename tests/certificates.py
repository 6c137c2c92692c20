"""Certificates for tests: an authority, and what it has signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


class Authority:
    """Signs certificates, which only those trust who know its own."""

    def __init__(self, name: str) -> None:
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        signed = self._begun(self._name, self._key.public_key(), -1, 3650)
        signed = signed.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = signed.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def _begun(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, since_days: float, until_days: float
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=since_days))
            .not_valid_after(now + timedelta(days=until_days))
        )

    def sign(self, *names: str, since_days: float = -2, until_days: float = 30) -> str:
        """Return a key and a certificate for it, as one PEM text.

        Args:
            names: names and addresses that it is for.
            since_days: when it begins to be valid, from now.
            until_days: when that ends, from now.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        signed = self._begun(x509.Name([]), key.public_key(), since_days, until_days)
        if names:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            signed = signed.add_extension(alternatives, critical=True)
        certificate = signed.sign(self._key, hashes.SHA256())
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return (secret + certificate.public_bytes(serialization.Encoding.PEM)).decode()


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
