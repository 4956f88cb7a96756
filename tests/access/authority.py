"""Certificates for tests: an authority, and what it vouches for."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates; `folder` holds its own, and each pair that it makes."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self._name, self._key).add_extension(x509.BasicConstraints(True, None), critical=True)
        self.certificate = made.sign(self._key, hashes.SHA256())
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.certificate.public_bytes(_PEM))

    def pair(self, name: str, *alternative: x509.GeneralName, password: bytes | None = None) -> tuple[Path, Path]:
        """Files of a certificate for a common name, for this machine where nothing else is said, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = alternative or (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key).add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = made.add_extension(x509.BasicConstraints(False, None), critical=True)
        certificate, keys = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        how = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        keys.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, how))
        return certificate, keys

    def revocations(self, *pairs: tuple[Path, Path]) -> bytes:
        """Its revocation list, of these pairs' certificates."""
        now = datetime.datetime.now(datetime.UTC)
        made = x509.CertificateRevocationListBuilder().issuer_name(self._name)
        made = made.last_update(now - datetime.timedelta(hours=1)).next_update(now + datetime.timedelta(days=1))
        for certificate, _ in pairs:
            number = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
            revoked = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now)
            made = made.add_revoked_certificate(revoked.build())
        return made.sign(self._key, hashes.SHA256()).public_bytes(_PEM)

    @property
    def key_file(self) -> Path:
        """Where its own key may be written."""
        return self.folder / "authority.key"

    @property
    def key_bytes(self) -> bytes:
        """Its own key."""
        return self._key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    def below(self, signer: tuple[Path, Path], name: str) -> tuple[Path, Path]:
        """Files of a certificate that one of its own signed, which may not sign, with that one behind it; its key."""
        certificate = x509.load_pem_x509_certificate(signer[0].read_bytes())
        signing = serialization.load_pem_private_key(signer[1].read_bytes(), None)
        assert isinstance(signing, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(subject, key, certificate.subject)
        file, keys = self.folder / f"below-{name}.crt", self.folder / f"below-{name}.key"
        file.write_bytes(made.sign(signing, hashes.SHA256()).public_bytes(_PEM) + certificate.public_bytes(_PEM))
        keys.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return file, keys

    def odd(self, name: str, *usages: x509.ObjectIdentifier, days: tuple[float, float] = (-1, 1)) -> tuple[Path, Path]:
        """Files of a certificate that holds for other days, or for other uses, and of its key."""
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        begins, ends = (now + datetime.timedelta(days=each) for each in days)
        made = x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number(), begins, ends)
        made = made.add_extension(x509.BasicConstraints(False, None), critical=True)
        if usages:
            made = made.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        certificate, keys = self.folder / f"odd-{name}.crt", self.folder / f"odd-{name}.key"
        certificate.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(_PEM))
        keys.write_bytes(key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return certificate, keys

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name | None = None
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return x509.CertificateBuilder(
            issuer or self._name,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            now - datetime.timedelta(hours=1),
            now + datetime.timedelta(days=1),
        )
