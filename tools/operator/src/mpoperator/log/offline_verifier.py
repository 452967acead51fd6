"""Checks an exported segment of a ModuPrompt log, without a server and without anything installed.

    python3 verify_segment.py [--public-key KEY] [--require-signatures] [--json] DIR

Needs Python 3.8 or newer and nothing else. Checked are the content's hash, every commit's hash and link to the one
before, that positions of commits and events have no gaps, and that the checkpoints agree with the chain. Signatures are
checked where the package `cryptography` is installed; where it is not, the answer says so.

KEY is the public key you trust: a file with PEM or 32 bytes in hex, or the 64 hex digits themselves. Without it the
signatures are checked against the key in the manifest, which proves that they belong together and no more.

Exit codes: 0 everything checked is right; 1 something is wrong, and the first bad commit is named; 2 wrong usage;
3 --require-signatures was given and signatures could not be checked.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import sys
import zlib
from pathlib import Path
from typing import Any

FORMAT = "moduprompt/segment/v1"
COMMIT_TAG = "moduprompt/commit/v1\n"
CHECKPOINT_TYPE = "mp.log.LogCheckpointed.v1"
CHECKPOINT_FIELDS = ("seq", "stream_seq", "at_seq", "head", "state_root", "key_id", "signature")
UNREADABLE = (ValueError, KeyError, TypeError, AttributeError)

try:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    CAN_CHECK_SIGNATURES = True
except ImportError:
    CAN_CHECK_SIGNATURES = False


class Wrong(Exception):
    """The first thing that is not what it should be."""


class SegmentChain:
    """Follows the commits of a segment, and the checkpoints among their events."""

    def __init__(self, manifest: dict[str, Any]) -> None:
        self.stream_seq = int(manifest["first_stream_seq"]) - 1
        self.start = self.seq = int(manifest["first_seq"]) - 1
        self.hash = str(manifest["previous_hash"])
        self.subject = str(manifest["subject"])
        self.commits = 0
        self.heads: dict[int, str] = {}
        self.checkpoints: list[dict[str, Any]] = []

    def wrong(self, detail: str) -> Wrong:
        """Return the error about the next commit."""
        return Wrong(f"commit {self.stream_seq + 1} (from event {self.seq + 1} on): {detail}")

    def take(self, raw: bytes) -> None:
        """Check the next commit."""
        try:
            line = json.loads(raw.decode("utf-8"))
            stream_seq, subject, stated = line["stream_seq"], line["subject"], line["hash"]
            data = line["data"].encode("utf-8")
        except UNREADABLE as error:
            raise self.wrong(f"cannot be read: {error}") from None
        if stream_seq != self.stream_seq + 1:
            raise self.wrong(f"commit {stream_seq} stands in its place")
        if subject != self.subject:
            raise self.wrong(f"carries the subject {subject!r}")
        digest = hashlib.sha256(f"{COMMIT_TAG}{self.hash}\n{subject}\n".encode() + data).hexdigest()
        if digest != stated:
            raise self.wrong("the hash of its bytes is not the stated one")
        self._take_events(data)
        self.stream_seq, self.hash = stream_seq, digest
        self.commits += 1
        self.heads[self.seq] = digest

    def _take_events(self, data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        try:
            header = json.loads(head.decode("utf-8"))
            previous, first, count = header["previous_hash"], header["first_seq"], header["count"]
        except UNREADABLE as error:
            raise self.wrong(f"its header cannot be read: {error}") from None
        lines = body.split(b"\n")[:-1]
        if previous != self.hash:
            raise self.wrong(f"names {previous} as the hash before it, not {self.hash}")
        if first != self.seq + 1:
            raise self.wrong(f"begins with event {first}")
        if not body.endswith(b"\n") or len(lines) != count:
            raise self.wrong(f"holds {len(lines)} events, not {count}")
        for seq, line in enumerate(lines, first):
            self._take_event(seq, line)
        self.seq += count

    def _take_event(self, seq: int, line: bytes) -> None:
        try:
            event = json.loads(line.decode("utf-8"))
            stated, data = event["seq"], event["data"]
            if event["type"] == CHECKPOINT_TYPE:
                found = dict(data, seq=seq, stream_seq=self.stream_seq + 1)
                self.checkpoints.append({name: found.get(name) for name in CHECKPOINT_FIELDS})
        except UNREADABLE as error:
            raise self.wrong(f"event {seq} cannot be read: {error}") from None
        if stated != seq:
            raise self.wrong(f"event {seq} says it is event {stated}")


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a segment."""
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        found = manifest["format"]
    except (OSError, *UNREADABLE) as error:
        raise Wrong(f"the manifest cannot be read: {error}") from None
    if found != FORMAT:
        raise Wrong(f"the manifest is of the unknown format {found!r}")
    return manifest


def check_content(folder: Path, manifest: dict[str, Any]) -> SegmentChain:
    """Check every commit; returns the chain at its end."""
    chain, digest, size = SegmentChain(manifest), hashlib.sha256(), 0
    try:
        with gzip.open(str(folder / "commits.jsonl.gz"), "rb") as file:
            for raw in file:
                chain.take(raw)
                digest.update(raw)
                size += len(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise chain.wrong(f"cannot be unpacked: {error}") from None
    if chain.stream_seq < manifest["last_stream_seq"]:
        raise chain.wrong(f"it is missing: the segment should go on to commit {manifest['last_stream_seq']}")
    found = {
        "last_stream_seq": chain.stream_seq,
        "last_seq": chain.seq,
        "last_hash": chain.hash,
        "commits": chain.commits,
        "events": chain.seq - chain.start,
        "content_sha256": digest.hexdigest(),
        "content_bytes": size,
    }
    for name, value in found.items():
        if manifest.get(name) != value:
            raise Wrong(f"the content verifies, but the manifest says {name} {manifest.get(name)!r}, not {value!r}")
    return chain


def check_checkpoints(chain: SegmentChain, manifest: dict[str, Any]) -> None:
    """Check that the checkpoints name the chain's hashes, and that the manifest lists the same ones."""
    for each in chain.checkpoints:
        if each["at_seq"] > chain.start and chain.heads.get(each["at_seq"]) != each["head"]:
            place = f"the checkpoint in commit {each['stream_seq']} (event {each['seq']})"
            raise Wrong(f"{place} names a hash the chain never had at event {each['at_seq']}")
    listed = [{name: each.get(name) for name in CHECKPOINT_FIELDS} for each in manifest.get("checkpoints", [])]
    if chain.checkpoints != listed:
        raise Wrong("the manifest lists other checkpoints than the log holds")


def read_key(given: str) -> bytes:
    """The 32 bytes of a public key, from a file or from the text itself. Raises `ValueError`."""
    text = Path(given).read_text(encoding="ascii") if Path(given).exists() else given
    if "-----BEGIN" not in text:
        raw = bytes.fromhex(text.strip())
    else:
        # The DER of an Ed25519 key is a fixed beginning, then the 32 bytes.
        der = base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-----")))
        raw = der[12:] if der[:12] == bytes.fromhex("302a300506032b6570032100") else b""
    if len(raw) != 32:
        raise ValueError("neither an Ed25519 public key as PEM nor 32 bytes in hex")
    return raw


def check_signature(shard: str, each: dict[str, Any], keys: dict[str, bytes]) -> None:
    """Check one signature."""
    place = f"the signature of the checkpoint at event {each['at_seq']} (in commit {each['stream_seq']})"
    raw = keys.get(each["key_id"])
    if raw is None:
        raise Wrong(f"{place} is by key {each['key_id']}, which is not trusted here")
    message = f"moduprompt/checkpoint/v1\n{shard}\n{each['at_seq']}\n{each['head']}\n{each['state_root']}"
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(base64.b64decode(each["signature"]), message.encode())
    except (InvalidSignature, ValueError):
        raise Wrong(f"{place} does not verify") from None


def check_signatures(chain: SegmentChain, manifest: dict[str, Any], trusted: bytes | None) -> tuple[str, str]:
    """Judge the signatures: a word for programs, and a sentence."""
    signed = [each for each in chain.checkpoints if each["signature"]]
    raws = [trusted] if trusted else [bytes.fromhex(each["ed25519"]) for each in manifest.get("public_keys", [])]
    keys = {hashlib.sha256(raw).hexdigest()[:16]: raw for raw in raws}
    if not signed:
        return "none", f"SIGNATURES: none of {len(chain.checkpoints)} checkpoints is signed"
    if not CAN_CHECK_SIGNATURES:
        return "unchecked", f"SIGNATURES NOT CHECKED: `cryptography` is not installed here ({len(signed)} are there)"
    if not keys:
        return "unchecked", "SIGNATURES NOT CHECKED: no public key was given, and the manifest names none"
    for each in signed:
        check_signature(manifest["shard"], each, keys)
    what = f"SIGNATURES: {len(signed)} of {len(chain.checkpoints)} checkpoints verify with key {', '.join(keys)}"
    if trusted:
        return "valid", f"{what}, which you gave"
    return "self", f"{what} of the manifest: compare it with one kept elsewhere, or give --public-key"


def verify(folder: Path, trusted: bytes | None) -> dict[str, Any]:
    """Check a segment; returns what to tell. Raises `Wrong`."""
    manifest = read_manifest(folder)
    try:
        chain = check_content(folder, manifest)
        check_checkpoints(chain, manifest)
        verdict, sentence = check_signatures(chain, manifest, trusted)
    except UNREADABLE as error:
        raise Wrong(f"the manifest lacks or misspells something: {error!r}") from None
    return {
        "verified": True,
        "shard": manifest["shard"],
        "first_seq": chain.start + 1,
        "last_seq": chain.seq,
        "commits": chain.commits,
        "head": chain.hash,
        "checkpoints": len(chain.checkpoints),
        "signatures": verdict,
        "signatures_told": sentence,
    }


def tell(text: str) -> None:
    """One line of the answer."""
    sys.stdout.write(text + "\n")


def main(arguments: list[str]) -> int:
    """Returns the exit code."""
    about, _, epilog = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="the segment")
    parser.add_argument("--public-key", metavar="KEY", help="the key you trust")
    parser.add_argument("--require-signatures", action="store_true", help="do not accept unchecked or missing ones")
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    options = parser.parse_args(arguments)
    try:
        trusted = read_key(options.public_key) if options.public_key else None
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the public key cannot be read: {error}\n")
        return 2
    try:
        found = verify(options.folder, trusted)
    except Wrong as wrong:
        tell(json.dumps({"verified": False, "detail": str(wrong)}) if options.json else f"WRONG: {wrong}")
        return 1
    if options.json:
        tell(json.dumps(found))
    else:
        stretch = f"events {found['first_seq']} to {found['last_seq']} of shard {found['shard']}"
        tell(f"VERIFIED: {stretch}, {found['commits']} commits, head {found['head']}")
        tell(found["signatures_told"])
    return 3 if options.require_signatures and found["signatures"] in ("none", "unchecked") else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
