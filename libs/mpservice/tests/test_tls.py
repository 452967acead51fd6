"""TLS to the servers: a right certificate is accepted; any other is refused, and the refusal is reported."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from mpbus.connect import connect
from mpbus.vitals import Vital
from mpd.ports import HOST
from mpd.servers import NatsServer
from mpservice.database import DRIVER_ERRORS, Connector
from mpservice.settings import NatsSettings, with_password

from tests.support import eventually
from tests.support.database import Database

NAME = "servers.example"
SSL_REQUEST = bytes.fromhex("0000000804d2162f")


class Authority:
    """Vouches for others with a certificate of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._key = folder, ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(self._signed(self._name, self._key, x509.BasicConstraints(True, None))))

    def vouches(self, name: str, *subject_names: x509.GeneralName) -> tuple[Path, Path]:
        """A certificate for these names, and its key, in files."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._folder / f"{name}.pem"
        certificate.write_bytes(_pem(self._signed(subject, key, x509.SubjectAlternativeName(subject_names))))
        key_file = self._folder / f"{name}.key"
        plain = serialization.NoEncryption()
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        key_file.write_bytes(key.private_bytes(pem, form, plain))
        return certificate, key_file

    def _signed(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        known_by = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        vouched_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder(self._name, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .add_extension(known_by, critical=False)
            .add_extension(vouched_by, critical=False)
            .sign(self._key, hashes.SHA256())
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


def served_by(tmp_path: Path, block: str) -> NatsServer:
    return NatsServer(tmp_path / "nats", accounts=f"tls {{ {block} }}")


@pytest.fixture
async def nats(authority: Authority, tmp_path: Path) -> AsyncIterator[NatsServer]:
    """Known by a name that is not its address."""
    certificate, key = authority.vouches("nats", x509.DNSName(NAME))
    server = served_by(tmp_path, f'cert_file: "{certificate}", key_file: "{key}"')
    await asyncio.to_thread(server.start)
    yield server
    server.kill()


async def reached(settings: NatsSettings) -> None:
    nc = await asyncio.wait_for(connect(settings.nats(""), "test"), 30)
    assert nc.is_connected
    await nc.flush()
    await nc.close()


async def said(settings: NatsSettings, words: str) -> None:
    """It is not reached, and its state says why."""
    vital = Vital("nats")
    coming = asyncio.create_task(connect(settings.nats(""), "test", vital=vital))
    try:
        await eventually(lambda: words in vital.state, 30)
        assert not coming.done()
    finally:
        coming.cancel()
        await asyncio.wait({coming})


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_nats_is_known_by_our_authority_and_the_name_in_its_certificate(
    scheme: str, nats: NatsServer, authority: Authority
) -> None:
    url = nats.url.replace("nats", scheme, 1)
    await reached(NatsSettings(nats_url=url, nats_tls_ca_file=authority.file, nats_tls_server_name=NAME))


async def test_a_nats_of_another_name_is_refused(nats: NatsServer, authority: Authority) -> None:
    await said(NatsSettings(nats_url=nats.url, nats_tls_ca_file=authority.file), "IP address mismatch")
    wrong = NatsSettings(nats_url=nats.url, nats_tls_ca_file=authority.file, nats_tls_server_name="other.example")
    await said(wrong, "Hostname mismatch")


async def test_a_nats_that_nobody_vouches_for_is_refused(nats: NatsServer, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").file
    other = NatsSettings(nats_url=nats.url, nats_tls_ca_file=stranger, nats_tls_server_name=NAME)
    await said(other, "CERTIFICATE_VERIFY_FAILED")
    await said(NatsSettings(nats_url=nats.url), "CERTIFICATE_VERIFY_FAILED")


async def test_the_name_alone_counts_among_the_authorities_of_the_machine(
    nats: NatsServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    await reached(NatsSettings(nats_url=nats.url, nats_tls_server_name=NAME))


async def test_nats_knows_us_by_our_certificate(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.vouches("nats", x509.IPAddress(ipaddress.ip_address(HOST)))
    ours, our_key = authority.vouches("us", x509.DNSName("us"))
    files = f'cert_file: "{certificate}", key_file: "{key}", ca_file: "{authority.file}", verify: true'
    server = served_by(tmp_path, files)
    await asyncio.to_thread(server.start)
    try:
        known = NatsSettings(
            nats_url=server.url, nats_tls_ca_file=authority.file, nats_tls_cert_file=ours, nats_tls_key_file=our_key
        )
        await reached(known)
        (tmp_path / "both.pem").write_bytes(ours.read_bytes() + our_key.read_bytes())
        both = tmp_path / "both.pem"
        await reached(NatsSettings(nats_url=server.url, nats_tls_ca_file=authority.file, nats_tls_cert_file=both))
    finally:
        server.kill()


async def test_where_tls_is_asked_for_nothing_is_said_in_the_clear(nats_url: str, authority: Authority) -> None:
    for settings in (
        NatsSettings(nats_url=nats_url, nats_tls_ca_file=authority.file),
        NatsSettings(nats_url=nats_url.replace("nats", "tls", 1)),
    ):
        await said(settings, "it offers no TLS, which our settings ask for")


@pytest.fixture
async def before_postgres(database: Database, authority: Authority) -> AsyncIterator[int]:
    """A port at which PostgreSQL is reached by TLS alone. (The server of the wheel has none.)"""
    certificate, key = authority.vouches("postgres", x509.DNSName("localhost"))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(len(SSL_REQUEST)) == SSL_REQUEST
        writer.write(b"S")
        try:
            await writer.start_tls(context)
        except (ssl.SSLError, OSError):
            return
        there, onward = await asyncio.open_connection(HOST, database.server.port)
        await asyncio.gather(_pass(reader, onward), _pass(there, writer), return_exceptions=True)

    server = await asyncio.start_server(serve, HOST)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


async def test_postgres_is_known_by_its_authority_and_its_name(
    before_postgres: int, database: Database, authority: Authority, tmp_path: Path
) -> None:
    password = tmp_path / "password"
    password.write_text(database.server.passwords["mp_gateway"])
    stranger = Authority(tmp_path, "stranger").file

    def dsn(host: str, trusted: Path) -> str:
        place = f"{host}:{before_postgres}/{database.name}?sslmode=verify-full&sslrootcert={trusted}"
        return with_password(f"postgresql://mp_gateway@{place}", password)

    connection = await Connector(dsn("localhost", authority.file), "test").connect()
    assert await connection.fetchval("SELECT current_user") == "mp_gateway"
    await connection.close()
    for host, trusted, words in ((HOST, authority.file, "IP address mismatch"), ("localhost", stranger, "verify")):
        with pytest.raises(DRIVER_ERRORS, match=words) as refused:
            await Connector(dsn(host, trusted), "test").connect()
        assert not isinstance(refused.value, asyncpg.PostgresError)
