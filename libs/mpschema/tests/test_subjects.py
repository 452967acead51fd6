"""The subject grammar."""

import pytest
from mpschema import subjects


def test_streams_and_subjects_carry_the_shard() -> None:
    assert subjects.command_stream("0") == "MP_CMD_0"
    assert subjects.log_stream("eu-1") == "MP_LOG_eu-1"
    assert subjects.command_subject("0") == "mp.v1.cmd.0"
    assert subjects.log_subject("0") == "mp.v1.log.0"
    assert subjects.lease_subject("kernel-0") == "mp.v1.lease.kernel-0"
    assert subjects.reply_subject("p1") == "mp.v1.reply.p1"
    assert subjects.feed_stream("0") == "MP_EVT_0"
    assert subjects.feed_subject("0", "acme", "task", "t1") == "mp.v1.evt.0.acme.task.t1"
    assert subjects.feed_subjects("0") == "mp.v1.evt.0.>"
    assert subjects.feed_subjects("0", "acme") == "mp.v1.evt.0.acme.>"


@pytest.mark.parametrize("shard", ["", "a.b", "*", ">", "a b", "a\n", "x" * 65, "é"])
def test_a_shard_that_would_change_the_grammar_is_refused(shard: str) -> None:
    for make in (
        subjects.command_stream,
        subjects.log_stream,
        subjects.command_subject,
        subjects.log_subject,
        subjects.lease_subject,
    ):
        with pytest.raises(ValueError, match="shard"):
            make(shard)
    with pytest.raises(ValueError, match="shard"):
        subjects.feed_subject(shard, "acme", "task", "t1")
