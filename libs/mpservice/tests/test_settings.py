"""Settings: one that could do nothing is refused with a sentence of advice; a fitting one takes effect."""

from pathlib import Path
from typing import Any

import pytest
from mpbus.errors import Unusable
from mpservice.settings import (
    BusSettings,
    NatsSettings,
    ProvisionSettings,
    RedisSettings,
    read_settings,
    secret_from,
    sentences,
    with_password,
)
from mpservice.values import Operators, Origins, PostgresDsn, TrustedProxies, WebAddress
from pydantic import SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings
from redis.exceptions import AuthenticationError

TLS = "rediss://h:1/0"


def refusal(kind: type[BaseSettings], **given: Any) -> str:
    """The one sentence about settings that do not fit."""
    with pytest.raises(ValidationError) as refused:
        kind(**given)
    (said,) = sentences(refused.value)
    return said


def refused_value(kind: Any, text: str) -> str:
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(kind).validate_python(text)
    (said,) = sentences(refused.value)
    return said


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"nats_user": "me"}, "MP_NATS_USER needs MP_NATS_PASSWORD_FILE"),
        ({"nats_password_file": "p"}, "MP_NATS_PASSWORD_FILE needs MP_NATS_USER"),
        ({"nats_tls_key_file": "k"}, "MP_NATS_TLS_KEY_FILE needs MP_NATS_TLS_CERT_FILE"),
        ({"nats_nkey_seed_file": "s", "nats_creds_file": "c"}, "MP_NATS_NKEY_SEED_FILE and MP_NATS_CREDS_FILE: NATS"),
        ({"nats_url": "nats://u:secret@h", "nats_nkey_seed_file": "s"}, "a user in MP_NATS_URL and MP_NATS_NKEY"),
        ({"nats_url": "http://h:4222"}, "MP_NATS_URL: http://h:4222 is no address of NATS: write nats://HOST:PORT"),
        ({"nats_url": "nats://a:1,,nats://b:2"}, "MP_NATS_URL: nats:// is no address of NATS"),
        ({"nats_url": "nats://a:99999"}, "MP_NATS_URL: nats://a:99999 is no address"),
        ({"nats_url": "nats://me:sec/ret@h:1"}, "MP_NATS_URL: nats://***@h:1 is no address"),
        ({"nats_url": "nats://a,ws://b"}, "MP_NATS_URL: write all servers with nats:// and tls://"),
    ],
)
def test_nats_is_told_whole(given: dict[str, str], said: str) -> None:
    assert said in refusal(NatsSettings, **given)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"log_level": "verbose"}, "MP_LOG_LEVEL: Input should be 'debug', 'info', 'warning' or 'error'"),
        ({"log_format": "xml"}, "MP_LOG_FORMAT: Input should be 'json' or 'console'"),
        ({"shard": "a.b"}, "MP_SHARD: write 1 to 64 letters"),
    ],
)
def test_a_service_is_told_what_it_knows(given: dict[str, str], said: str) -> None:
    assert said in refusal(BusSettings, **given)


def test_what_fits_is_taken() -> None:
    assert BusSettings(log_level="WARNING", log_format="console").log_level == "warning"
    NatsSettings(nats_url="nats://me:secret@a:1, tls://b", nats_user="", nats_password_file=Path())
    NatsSettings(nats_url="localhost:4222", nats_tls_server_name="nats", nats_tls_cert_file=Path("c"))
    NatsSettings(nats_user="me", nats_password_file=Path("p"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"redis_tls_ca_file": "ca"}, "MP_REDIS_TLS_CA_FILE needs TLS: write MP_REDIS_URL with rediss://"),
        ({"redis_user": "me"}, "MP_REDIS_USER needs MP_REDIS_PASSWORD_FILE"),
        ({"redis_url": "redis://me:pw@h", "redis_password_file": "p"}, "MP_REDIS_URL does not fit Redis's client"),
        ({"redis_url": "redis://h?unheard_of=1"}, "unheard_of"),
        ({"redis_url": "redis://h/zero"}, "MP_REDIS_URL is no address of Redis: write redis://HOST:PORT/NUMBER"),
        ({"redis_url": "redis://:sec/ret@h"}, "MP_REDIS_URL is no address of Redis"),
        ({"redis_url": ""}, "MP_REDIS_URL is no address of Redis"),
        ({"redis_url": "h:6379"}, "MP_REDIS_URL is no address of Redis"),
    ],
)
def test_what_the_client_of_redis_would_refuse_at_each_connection_ends_the_start(
    given: dict[str, str], said: str
) -> None:
    told = refusal(RedisSettings, **given)
    assert said in told
    assert "sec" not in told


def test_redis_is_told_whole(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("hush\n")
    ca = tmp_path / "ca"
    options = RedisSettings(
        redis_url=TLS, redis_user="me", redis_password_file=file, redis_tls_ca_file=ca
    ).redis_options()
    assert options["credential_provider"].get_credentials() == ("me", "hush")
    assert options["ssl_ca_certs"] == str(ca)
    file.write_text("\n")
    with pytest.raises(AuthenticationError, match="is empty"):
        options["credential_provider"].get_credentials()
    RedisSettings(redis_url="unix:///run/redis.sock", redis_user="", redis_password_file=Path())


@pytest.mark.parametrize(
    ("dsn", "complete"),
    [
        ("postgresql://u@h:1/db", "postgresql://u:p%2Fw@h:1/db"),
        ("postgresql://h/db", "postgresql://:p%2Fw@h/db"),
        ("postgresql://h/db?user=x", "postgresql://:p%2Fw@h/db?user=x"),
        ("postgresql://u:@h/db", "postgresql://u:p%2Fw@h/db"),
        ("postgresql://u@h/db?options=a@b", "postgresql://u:p%2Fw@h/db?options=a@b"),
        ("postgresql:///db?host=h&user=x", "postgresql://:p%2Fw@/db?host=h&user=x"),
        ("postgresql://u:own@h/db", "postgresql://u:own@h/db"),
        ("postgresql://h/db?user=u&password=own", "postgresql://h/db?user=u&password=own"),
    ],
)
def test_a_password_of_a_file_counts_wherever_the_address_names_none(dsn: str, complete: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p/w\n")
    assert with_password(dsn, file) == complete
    assert with_password(dsn, Path()) == dsn


def test_an_empty_secret_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(Unusable, match="empty is empty"):
        with_password("postgresql://u@h/db", tmp_path / "empty")
    with pytest.raises(Unusable, match="empty is empty"):
        secret_from(None, tmp_path / "empty")
    assert secret_from(SecretStr(""), None) is None


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (PostgresDsn, "host=h user=x", "write an address: postgresql://USER@HOST:PORT/DATABASE"),
        (PostgresDsn, "postgresql:h", "write an address"),
        (PostgresDsn, "postgresql://h/db?sslmode=verify", "sslmode=verify is none: write one of"),
        (WebAddress, "example.com/keys", "write http://HOST:PORT or https://HOST"),
        (TrustedProxies, "10.0.0.0/33", "'10.0.0.0/33' is no address or network: write 192.0.2.7 or 10.0.0.0/8"),
        (TrustedProxies, "my proxy", "'my proxy' is no address or network"),
        (TrustedProxies, "10.0.0.1, 10.1.2.300", "'10.1.2.300' is no address or network"),
        (TrustedProxies, "10.1.2.3/8", "write 10.0.0.0/8 for all of it"),
        (Origins, "example.com", "example.com is no origin: write https://HOST"),
        (Origins, "https://a.b/path", "write https://a.b"),
        (Origins, "https://A.b", "write https://a.b"),
        (Origins, "HTTPS://a.b", "write https://a.b"),
        (Origins, "https://a.b:443", "write https://a.b"),
        (Origins, "https://bücher.example", "write https://xn--bcher-kva.example"),
        (Origins, "https://*.example.com", "with no path and no *"),
        (Operators, "user:root,ada", "'ada' can be nobody: write user:NAME"),
    ],
)
def test_what_could_match_nothing_is_refused(kind: Any, text: str, said: str) -> None:
    assert said in refused_value(kind, text)


@pytest.mark.parametrize(
    ("kind", "text", "taken"),
    [
        (TrustedProxies, "10.0.0.0/8, 192.0.2.7,,fd00::/8", "10.0.0.0/8,192.0.2.7,fd00::/8"),
        (TrustedProxies, "*", "*"),
        (TrustedProxies, "", ""),
        (Origins, "https://a.b/, http://localhost:3000,*", "https://a.b,http://localhost:3000,*"),
        (Origins, "http://[::1]:3000,chrome-extension://abc,null", "http://[::1]:3000,chrome-extension://abc,null"),
        (Operators, "user:root, user:ada", "user:root,user:ada"),
        (Operators, "", ""),
        (WebAddress, "", ""),
        (WebAddress, "https://id.example/keys", "https://id.example/keys"),
    ],
)
def test_what_can_match_is_taken(kind: Any, text: str, taken: str) -> None:
    assert TypeAdapter(kind).validate_python(text) == taken


def test_an_unfit_start_ends_with_a_sentence_for_each_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MP_SHARD", "a b")
    monkeypatch.setenv("MP_REPLICAS", "six")
    with pytest.raises(SystemExit) as ended:
        read_settings(ProvisionSettings)
    assert ended.value.code == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "settings: MP_SHARD: write 1 to 64 letters, digits, _ or -"
    assert second.startswith("settings: MP_REPLICAS: Input should be a valid integer")


def test_settings_are_the_options_and_show_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MP_NATS_URL", "tls://a:1,tls://b:2")
    monkeypatch.setenv("MP_NATS_USER", "me")
    monkeypatch.setenv("MP_NATS_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("MP_NATS_CREDS_FILE", "")
    (tmp_path / "password").write_text("hush\n")
    options = NatsSettings().nats("kernel")
    assert options.client_options() == {"user": "me", "password": "hush", "inbox_prefix": "_INBOX.kernel"}
    assert "hush" not in repr(options)
