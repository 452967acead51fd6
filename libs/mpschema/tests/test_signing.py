"""Signatures are those of the Standard Webhooks specification, and secrets are as many as there are webhooks."""

import base64
import itertools

from mpschema.signing import signature, webhook_secret

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_signature_is_that_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    signed = signature(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_is_the_same_again_and_no_other_webhook_has_it() -> None:
    places = list(itertools.product(("acme", "else"), ("w1", "w2"), (1, 2)))
    secrets = {webhook_secret(b"key", *place) for place in places}
    assert len(secrets) == len(places)
    assert secrets == {webhook_secret(b"key", *place) for place in places}
    assert webhook_secret(b"other", "acme", "w1", 1) not in secrets


def test_a_secret_has_the_form_that_libraries_expect() -> None:
    secret = webhook_secret(b"key", "acme", "w1", 1)
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
