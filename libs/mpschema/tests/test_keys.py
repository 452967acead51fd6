"""Hashes of API keys, which logs and installations hold for ever."""

from mpschema.keys import key_hash

PEPPER = b"0123456789abcdef"


def test_the_hash_of_a_key_stays_what_it_was() -> None:
    known = "b850b2f36421acb455df3afe3bc3035028b6db6d302085f59577550d3d1d7a6a"
    assert key_hash(PEPPER, "mpk_laptop_secret") == known


def test_another_pepper_and_another_key_give_another_hash() -> None:
    hashes = {key_hash(pepper, key) for pepper in (PEPPER, b"other") for key in ("mpk_a_1", "mpk_a_2")}
    assert len(hashes) == 4
