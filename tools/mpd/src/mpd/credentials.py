"""The credentials of each service: a key, or a password, in a file of its own that only its owner reads.

The same files serve on one machine, in Compose and in Kubernetes: one folder, a file a secret. What is missing is made;
what is there stays. `nats_users.conf` and `redis_users.acl` are written anew from them: the servers read these.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

import nkeys
from mpbus.accounts import server_accounts
from mpbus.feed_users import feed_entry
from mpbus.options import NatsOptions
from mpservice.rights import RESTORE
from mpservice.services import DATABASE_ROLES
from mpservice.users import nats_users, redis_rules

from mpd.keys import ensure_secret, write_private
from mpd.shapes import BadSecret, flaw_of

POSTGRES_ROLES = ("mp_owner", *DATABASE_ROLES)
_FEED = "nats_feed_"
_SEED = ".seed"


class Credentials:
    """The files of one installation. Making this makes those that are missing, and raises BadSecret at what is none."""

    def __init__(self, folder: Path, shards: Sequence[str] = ("0",), known: Mapping[str, str] | None = None) -> None:
        """`known` are passwords of PostgreSQL's roles that an installation has already."""
        self.folder = folder
        self._shards = tuple(shards)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for known_user in nats_users(self._shards):
            self._public_key(self.nats_seed_file(known_user.name))
        for user in redis_rules():
            ensure_secret(self.redis_password_file(user), secrets.token_hex(32))
        self.routes_password = ensure_secret(folder / "nats_routes", secrets.token_hex(32))
        self.postgres = {
            role: ensure_secret(folder / f"postgres_{role}", (known or {}).get(role) or secrets.token_hex(16))
            for role in POSTGRES_ROLES
        }
        self._write("nats_users.conf", self.nats_accounts())
        self._write("redis_users.acl", self._redis_acl())

    @property
    def redis_acl_file(self) -> Path:
        """The file that Redis reads: names, hashes of passwords, rules."""
        return self.folder / "redis_users.acl"

    def nats_seed_file(self, user: str) -> Path:
        """The seed of a user's nkey."""
        return self.folder / f"nats_{user}{_SEED}"

    def nats_options(self, url: str, user: str) -> NatsOptions:
        """The options with which a user connects."""
        return NatsOptions(url, user, nkey_seed_file=self.nats_seed_file(user))

    def redis_password_file(self, user: str) -> Path:
        """The password of a user of Redis."""
        return self.folder / f"redis_{user}"

    def add_feed_user(self, workspace_id: str) -> Path:
        """The seed of a user that may read one workspace's feed, made if need be. It counts from the next start on."""
        path = self.folder / f"{_FEED}{workspace_id}{_SEED}"
        self._public_key(path)
        self._write("nats_users.conf", self.nats_accounts())
        return path

    def nats_accounts(self, others: Mapping[str, Sequence[str]] | None = None) -> str:
        """The accounts of nats-server: the users of the table, the readers of feeds that were added, and `others`."""
        entries = [user.entry(self._public_key(self.nats_seed_file(user.name))) for user in nats_users(self._shards)]
        for path in sorted(self.folder.glob(f"{_FEED}*{_SEED}")):
            workspace_id = path.name.removeprefix(_FEED).removesuffix(_SEED)
            entries.append(feed_entry(workspace_id, self._shards, self._public_key(path)))
        return server_accounts(entries, others)

    def _redis_acl(self) -> str:
        lines = ["user default off"]
        for user, rules in redis_rules().items():
            digest = hashlib.sha256(self.redis_password_file(user).read_bytes()).hexdigest()
            lines.append(f"user {user} on #{digest} resetchannels {rules}")
        return "\n".join(lines) + "\n"

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        if not path.exists() or path.read_text() != text:
            write_private(path, text)

    def _public_key(self, seed_file: Path) -> str:
        """The public half of a seed, which is made if need be: but not where only the seed was taken out of the folder.

        Another one in its place would open nothing that the one that is kept elsewhere opens.
        """
        kept = seed_file.with_suffix(".pub")
        if seed_file == self.nats_seed_file(RESTORE) and kept.exists() and not seed_file.exists():
            if flaw := flaw_of(kept):
                raise BadSecret(kept, flaw)
            return kept.read_text().strip()
        public = self._made(seed_file)
        if seed_file == self.nats_seed_file(RESTORE):
            self._write(kept.name, public)
        return public

    @staticmethod
    def _made(seed_file: Path) -> str:
        fresh = nkeys.encode_seed(os.urandom(32), nkeys.PREFIX_BYTE_USER).decode()
        pair = nkeys.from_seed(bytearray(ensure_secret(seed_file, fresh).encode()))
        return str(pair.public_key.decode())
