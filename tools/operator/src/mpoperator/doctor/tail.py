"""The end of the log, judged: a mending of it that was cut off, and who knows of more than it holds.

Half a log verifies. What it lost may stand in the archive or in the feed alone, so that nobody is told to make those
anew before the log is put back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mpbus.errors import BusError, LogUnavailable, NoLog
from mpbus.reader import HASH_HEADER, Commit
from mpschema import subjects
from mpschema.codec import MalformedCommit
from mpstore.archive import ArchiveUnavailable
from mpstore.archive.postgres import PostgresArchive
from nats.js.errors import NotFoundError

from mpoperator.doctor.report import DoctorCheck, follows, ok, problem, unknown
from mpoperator.errors import ServerGone
from mpoperator.log.marks import Mark, read_mark
from mpoperator.site.cluster import Cluster

MENDING, LOG = "mending", "log"
"""The lines that say why what follows from them must not be mended by itself."""
_PAGE = "context/operations/prove-the-log.md"
_VERIFY = "`mpctl log verify --against archive`"
_LOST = f"let no kernel lead, and put it back before all else: {_VERIFY}, then `Get a lost log back` in {_PAGE}"


@dataclass(frozen=True)
class Seen:
    """The end of the log as somebody else saw it."""

    name: str
    seq: int


def only_then(command: str) -> str:
    """Advice that deletes what was seen of a log, behind the advice to look whether the log lacks it."""
    first = f"first {_VERIFY}, and put back what the log lost ({_PAGE})"
    return f"{first}; only where it holds all there was, or its end is given up: `{command}`"


def waits_for(line: str) -> str:
    """Instead of that, where the log is known not to be whole."""
    return f"wait for the line `{line}` here: what the log lost may stand here alone"


async def mending_checks(cluster: Cluster) -> list[DoctorCheck]:
    """Of a mending that was begun."""
    if cluster.nc is None:
        return [unknown(MENDING, "NATS does not answer", because="nats")]
    try:
        mark = await read_mark(cluster.nc, cluster.shard)
    except ServerGone as error:
        return [unknown(MENDING, str(error), because="readers")]
    if mark is None:
        return [judge_mending(None, 0)]
    try:
        head = await newest(cluster)
    except LogUnavailable:
        raise
    except (BusError, MalformedCommit):
        return [judge_mending(mark, None)]
    return [judge_mending(mark, head.position.seq if head else 0)]


def judge_mending(mark: Mark | None, end: int | None) -> DoctorCheck:
    """Judge a mark beside a log with that end; None where its end cannot be read."""
    if mark is None:
        return ok(MENDING, "no mending was begun")
    if end is not None and end > mark.seq:  # The commit that begins the new epoch is there.
        return ok(MENDING, f"the log is put back: its copy ends with event {mark.seq:,}, and it goes on to {end:,}")
    ends = "cannot be read to its end" if end is None else f"ends with event {end:,} of {mark.seq:,}"
    detail = f"the log is being put back, and {ends}: a run was cut off, if none is at work"
    where = mark.told().removeprefix(mark.command)
    return problem(MENDING, detail, f"`{mark.command}`{where}" if where else mark.command)


async def newest(cluster: Cluster) -> Commit | None:
    """The newest commit; None where there is none, or no stream. Raises `BusError` or `MalformedCommit`."""
    try:
        return await cluster.head()
    except NoLog:
        return None


async def ends_seen(cluster: Cluster) -> list[Seen]:
    """Return the ends of the archive and of the feed. Asked before the log is: it may grow meanwhile."""
    found = []
    try:
        if cluster.database is not None and (row := await PostgresArchive(cluster.database).newest()):
            found.append(Seen("the archive", row[1]))
    except ArchiveUnavailable:
        pass  # Lines of the database say it.
    if feed := await cluster.stream(subjects.feed_stream(cluster.shard)):
        found.append(Seen("the feed", int(feed["state"]["last_seq"])))
    return found


async def beyond(cluster: Cluster, seen: Sequence[Seen], head: Commit | None) -> list[Seen]:
    """Those who saw this log, and more of it than there is. Who holds another commit at its end saw another log."""
    end = head.position.seq if head else 0
    agree = {"the archive": _archived, "the feed": _fed}
    return [each for each in seen if each.seq > end and await agree[each.name](cluster, each, head)]


async def _archived(cluster: Cluster, _: Seen, head: Commit | None) -> bool:
    assert cluster.database is not None
    try:
        return head is None or await PostgresArchive(cluster.database).hash_at(head.stream_seq) == head.hash
    except ArchiveUnavailable:
        return False


async def _fed(cluster: Cluster, seen: Seen, head: Commit | None) -> bool:
    """Look whether the feed's event is ours: one that the server was made to send lacks an event's name."""
    assert cluster.nc is not None
    js, name = cluster.nc.jetstream(timeout=5), subjects.feed_stream(cluster.shard)
    try:
        last = (await js.get_msg(name, seq=seen.seq)).headers or {}
        there = (await js.get_msg(name, seq=head.position.seq)).headers or {} if head else {}
    except NotFoundError:
        return False
    of, _, rest = last.get("Nats-Msg-Id", "").partition(":")
    ours = of == cluster.shard and rest.endswith(f":{seen.seq}")
    return ours and (head is None or there.get(HASH_HEADER, "") == head.hash)


def judge_tail(end: int, lost: Sequence[Seen]) -> DoctorCheck | None:
    """Judge that somebody saw more of the log than there is; None where nobody did."""
    if not lost:
        return None
    saw = " and ".join(f"{each.name} saw event {each.seq:,}" for each in lost)
    return follows(problem(LOG, f"ends with event {end:,}, and {saw}: its tail is lost", _LOST), MENDING)
