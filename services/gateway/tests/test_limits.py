"""Rate limits: what may come at once, what may come over time, shared by all gateways, and without Redis too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from mpd.servers import ValkeyServer
from mpgateway.limits import GCRA, Rate, RateLimiter
from redis.asyncio import Redis


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


SLOW = 0.01
"""Permits a second: none comes back while a test runs, however slow the machine is."""


@pytest.fixture
async def redis(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Redis]:
    """A Redis that is waited for: a busy machine is no reason to keep the limit alone."""
    monkeypatch.setattr("mpgateway.limits.REDIS_SECONDS", 30.0)
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def _granted(limiter: RateLimiter, subject: str, attempts: int) -> int:
    answers = [await limiter.take(subject) for _ in range(attempts)]
    return answers.count(0.0)


async def test_a_burst_is_granted_and_the_next_must_wait(redis: Redis) -> None:
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    assert await _granted(limiter, "user:bob", 20) == 5
    assert 0 < await limiter.take("user:bob") <= 1 / SLOW


async def test_subjects_do_not_share(redis: Redis) -> None:
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    await _granted(limiter, "user:bob", 20)
    assert await limiter.take("user:alice") == 0


async def test_all_gateways_share_one_limit(redis: Redis) -> None:
    gateways = [RateLimiter(redis, "t", Rate(per_second=SLOW, burst=40)) for _ in range(4)]
    granted = await asyncio.gather(*(_granted(gateway, "user:bob", 40) for gateway in gateways))
    assert sum(granted) == 40


async def test_many_at_once_ask_redis_once_a_chunk(redis: Redis) -> None:
    limiter = RateLimiter(redis, "t", Rate(per_second=1_000, burst=1_000))
    before = (await redis.info("commandstats")).get("cmdstat_evalsha", {}).get("calls", 0)
    answers = await asyncio.gather(*(limiter.take("user:bob") for _ in range(300)))
    after = (await redis.info("commandstats"))["cmdstat_evalsha"]["calls"]
    assert set(answers) == {0.0}
    assert after - before <= 4


async def test_more_than_ever_fits_at_once_costs_the_whole_burst(redis: Redis) -> None:
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=10))
    assert await limiter.take("user:bob", permits=1_000) == 0
    assert await limiter.take("user:bob") > 0


@pytest.mark.parametrize("with_redis", [True, False], ids=["script", "local"])
async def test_script_and_local_rule_agree(redis: Redis, with_redis: bool) -> None:
    limiter = RateLimiter(redis if with_redis else None, "t", Rate(per_second=SLOW, burst=20))
    answers = [await limiter.take("user:bob", permits) for permits in (5, 10, 5, 4)]
    assert [answer == 0 for answer in answers] == [True, True, True, False]
    assert answers[3] == pytest.approx(4 / SLOW, rel=0.1)


async def test_time_gives_permits_back() -> None:
    clock = Clock()
    limiter = RateLimiter(None, "t", Rate(per_second=10, burst=5), clock)
    assert await _granted(limiter, "user:bob", 10) == 5
    clock.seconds += 0.3
    assert await _granted(limiter, "user:bob", 10) == 3


async def test_a_chunk_that_is_not_spent_expires() -> None:
    clock = Clock()
    limiter = RateLimiter(None, "t", Rate(per_second=100, burst=100), clock)
    await limiter.take("user:bob")
    assert limiter.spend("user:bob")
    clock.seconds += 2
    assert not limiter.spend("user:bob")


async def test_without_redis_the_limit_holds_here_and_nothing_fails(own_valkey: ValkeyServer) -> None:
    client = Redis.from_url(own_valkey.url, socket_timeout=0.2)
    limiter = RateLimiter(client, "t", Rate(per_second=SLOW, burst=5))
    own_valkey.kill()
    assert await _granted(limiter, "user:bob", 20) == 5
    await client.aclose()


async def test_losing_what_redis_knew_refuses_nobody(redis: Redis) -> None:
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    await _granted(limiter, "user:bob", 3)
    await redis.flushdb()
    await redis.script_flush()
    assert await limiter.take("user:carol") == 0


@pytest.mark.parametrize("value", ["99999999999999999999", "inf", "nan", "-inf", "poison", "1", ""])
async def test_a_value_that_was_never_ours_locks_nobody_out(redis: Redis, value: str) -> None:
    await redis.set("mp:limit:t:user:bob", value)
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    assert await _granted(limiter, "user:bob", 20) == 5
    assert limiter.blocked("user:bob") <= 6 / SLOW


async def test_a_value_of_another_kind_is_as_good_as_none(redis: Redis) -> None:
    await redis.rpush("mp:limit:t:user:bob", "poison")
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    assert await _granted(limiter, "user:bob", 20) == 5


async def test_what_has_happened_blocks_when_it_is_too_much() -> None:
    clock = Clock()
    limiter = RateLimiter(None, "t", Rate(per_second=10, burst=5), clock)
    for _ in range(5):
        limiter.count("user:bob")
    assert limiter.blocked("user:bob") == 0
    limiter.count("user:bob")
    assert limiter.blocked("user:bob") > 0
    clock.seconds += 1
    assert limiter.blocked("user:bob") == 0


async def test_no_number_of_other_names_makes_it_forgotten_what_one_did(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpgateway.limits.SUBJECTS_MAX", 20)
    clock = Clock()
    limiter = RateLimiter(None, "t", Rate(per_second=10, burst=50), clock)
    for _ in range(50):
        limiter.count("user:bob")
    for number in range(300):
        await limiter.take(f"user:{number}")
        clock.seconds += 0.01
    for _ in range(40):
        limiter.count("user:bob")
    assert limiter.blocked("user:bob") > 0


async def test_who_waits_for_permits_while_many_others_come_gets_an_answer(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mpgateway.limits.SUBJECTS_MAX", 2)
    limiter = RateLimiter(redis, "t", Rate(per_second=SLOW, burst=5))
    answers = await asyncio.wait_for(asyncio.gather(*(limiter.take(f"user:{n}") for n in range(200))), 30)
    assert set(answers) == {0.0}


async def test_keys_leave_redis_by_themselves(redis: Redis) -> None:
    await redis.eval(GCRA, 1, "mp:limit:t:user:bob", "1000", "10", "5", "5")
    assert 0 < await redis.pttl("mp:limit:t:user:bob") <= 1_100


async def test_what_nobody_foresaw_of_the_client_of_redis_is_redis_away() -> None:
    """An option of TLS without TLS: each connection fails with an error that is not of the client's own."""
    client = Redis.from_url("redis://127.0.0.1:1/0", ssl_ca_certs="ca.pem")
    limiter = RateLimiter(client, "t", Rate(per_second=SLOW, burst=5))
    assert await _granted(limiter, "user:bob", 20) == 5
    await client.aclose()
