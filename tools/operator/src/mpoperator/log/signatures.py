"""`mpctl log checkpoints`: which checkpoints the log holds, and whose signature is under each."""

from __future__ import annotations

from pathlib import Path

from mpcli.progress import meter

from mpoperator.copies.chain import Chain
from mpoperator.copies.checkpoints import INVALID, UNKNOWN_KEY, UNSIGNED, Checkpoint, Collector, PublicKeys
from mpoperator.copies.stream import LogStream, follow
from mpoperator.errors import Disproved, Finding
from mpoperator.run import ToolResult
from mpoperator.site.connections import bus
from mpoperator.site.settings import OperatorSettings


class Judged(Checkpoint, frozen=True, kw_only=True):
    """A checkpoint, and what its signature is worth."""

    verdict: str


class Listed(ToolResult, frozen=True, kw_only=True):
    """Every checkpoint of the log, each in agreement with the chain."""

    shard: str
    head_seq: int
    keys: list[str]
    checkpoints: list[Judged]

    def told(self) -> str:
        """See the base class."""
        last = f", the last at event {self.checkpoints[-1].at_seq:,} of {self.head_seq:,}" if self.checkpoints else ""
        by = f"checked with key {', '.join(self.keys)}" if self.keys else "no public key given: signatures not checked"
        return f"{len(self.checkpoints)} checkpoints agree with the chain of shard {self.shard}{last} ({by})"

    def details(self) -> list[list[str]]:
        """See the base class."""
        if not self.checkpoints:
            return []
        rows = [
            [str(each.at_seq), each.head[:16], each.state_root[:16], each.key_id or "-", each.verdict]
            for each in self.checkpoints
        ]
        return [["AT EVENT", "HEAD", "STATE ROOT", "KEY", "SIGNATURE"], *rows]


async def list_checkpoints(settings: OperatorSettings, key_files: list[Path], *, signed: bool) -> Listed:
    """Read the whole log, verified, and judge each checkpoint. With `signed` an unsigned one is not accepted.

    Raises `Disproved` for a checkpoint that does not agree with the chain, or whose signature does not verify.
    """
    paths = key_files or ([settings.public_key_file] if settings.public_key_file else [])
    keys = PublicKeys.read(paths)
    async with bus(settings.nats()) as nc:
        stream = LogStream(nc, settings.shard)
        last = (await stream.existing()).last_seq
        chain, collector = Chain("stream", stream.subject), Collector()
        with meter("reading", last, "commits") as bar:
            async for commits in follow(stream, chain, last):
                collector.take(commits)
                bar.advance(len(commits))
    judged = judge(keys, settings.shard, collector.found, signed=signed)
    return Listed(shard=settings.shard, head_seq=chain.position.seq, keys=[*keys.by_id], checkpoints=judged)


def judge(keys: PublicKeys, shard: str, checkpoints: list[Checkpoint], *, signed: bool = False) -> list[Judged]:
    """Judge each signature. Raises `Disproved` for the first that is not what it should be."""
    wrong = {INVALID: "does not verify", UNKNOWN_KEY: "is by a key that was not given"}
    if signed:
        wrong[UNSIGNED] = "is missing"
    judged = []
    for each in checkpoints:
        verdict = keys.judge(shard, each)
        if verdict in wrong:
            detail = f"the signature of the checkpoint at event {each.at_seq} {wrong[verdict]} (key {each.key_id})"
            raise Disproved(Finding(where="checkpoint", detail=detail, stream_seq=each.stream_seq, seq=each.seq))
        judged.append(Judged(**{name: getattr(each, name) for name in each.__struct_fields__}, verdict=verdict))
    return judged
