"""The accounts of NATS: one for the streams and their keepers, and one for each other user.

JetStream answers where a request says, and asks no permission for that: inside of one account whoever may ask for a
message can have the server send on any subject of the account, and so delete a stream. So the streams live in an
account with those alone that may have all of them. Everybody else is alone in an account, out of which only what it
may say itself leads to the streams: an answer that it asks for can do no more than it can.
See `context/decisions/0017-streams-in-an-account-of-their-own.md`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

STREAMS_ACCOUNT = "MP_STREAMS"
"""The account of the streams and of the users that keep them."""
INBOX = "_INBOX"
"""The beginning of the subjects on which a client gets answers."""
_EVERYBODY_ASKS = "$JS.API.INFO"
"""Without it the server adds an API of streams to each account, which answers that there are none."""
ABOUT_US = "$SYS.REQ.USER.INFO"
"""The server answers with the name of the asker's account. Every account has it."""
NOBODYS_ACCOUNT = "$G"
"""The account of all users, where nats-server is configured without accounts."""
_OF_THE_SERVER = "$SYS."
_ANSWERED_OFTEN = "$JS.API.CONSUMER.MSG.NEXT."
_SILENCE_SECONDS = 30
"""The silence after which the server forgets a request, which takes memory. Our readers get a heartbeat each second."""


@dataclass(frozen=True)
class Entry:
    """One user in nats-server's configuration: its key, its account, and its publish and subscribe permissions."""

    account: str
    public_key: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    pushed: bool = False
    """True where consumers push into its inboxes. Answers to its requests come there in any case."""


def inbox_prefix(user: str) -> str:
    """The prefix that a user's client must use for its inboxes."""
    return f"{INBOX}.{user}" if user else INBOX


def server_accounts(entries: Iterable[Entry], others: Mapping[str, Sequence[str]] | None = None) -> str:
    """Return the `accounts { … }` of nats-server's configuration, with all users.

    `others` are users who may do whatever can be done in an account, by its name, as the configuration says them.
    """
    accounts: dict[str, list[Entry]] = {STREAMS_ACCOUNT: []}
    for entry in entries:
        accounts.setdefault(entry.account, []).append(entry)
    outside = [entry for name, members in accounts.items() if name != STREAMS_ACCOUNT for entry in members]
    kept = accounts.pop(STREAMS_ACCOUNT)
    blocks = [_block(STREAMS_ACCOUNT, kept, ("jetstream: enabled", f"exports: {_exports(outside)}"), others)]
    blocks += [_block(name, members, (f"imports: {_imports(members)}",), others) for name, members in accounts.items()]
    return f"accounts {{\n{''.join(blocks)}}}\n"


def _block(name: str, members: list[Entry], settings: Sequence[str], others: Mapping[str, Sequence[str]] | None) -> str:
    known = [*map(_user, members), *(others or {}).get(name, ())]
    users = "".join(f"      {user}\n" for user in known)
    lines = "".join(f"    {setting}\n" for setting in settings)
    return f'  "{name}": {{\n{lines}    users: [\n{users}    ]\n  }}\n'


def _user(entry: Entry) -> str:
    allowed = [", ".join(f'"{subject}"' for subject in each) for each in (entry.publish, entry.subscribe)]
    return (
        f"{{ nkey: {entry.public_key}, permissions: {{ publish: {{ allow: [{allowed[0]}] }}, "
        f"subscribe: {{ allow: [{allowed[1]}] }} }} }}"
    )


def _exports(entries: list[Entry]) -> str:
    services = [f'{{ service: "{subject}"{_response(subject)} }}' for subject in _asked(entries)]
    streams = [f'{{ stream: "{subject}" }}' for subject in _heard(entries)]
    return _list([*services, *streams])


def _imports(entries: list[Entry]) -> str:
    services = [f'{{ service: {{ account: {STREAMS_ACCOUNT}, subject: "{each}" }} }}' for each in _asked(entries)]
    streams = [f'{{ stream: {{ account: {STREAMS_ACCOUNT}, subject: "{each}" }} }}' for each in _heard(entries)]
    return _list([*services, *streams])


def _asked(entries: list[Entry]) -> list[str]:
    asked = (subject for entry in entries for subject in entry.publish if not subject.startswith(_OF_THE_SERVER))
    return list(dict.fromkeys([_EVERYBODY_ASKS, *asked]))


def _heard(entries: list[Entry]) -> list[str]:
    heard = (each for entry in entries for each in entry.subscribe if entry.pushed or not each.startswith(INBOX))
    return list(dict.fromkeys(heard))


def _response(subject: str) -> str:
    """A request for messages is answered by many, all other requests by one. The server forgets it after a silence."""
    if not subject.startswith(_ANSWERED_OFTEN):
        return ""
    return f', response_type: stream, response_threshold: "{_SILENCE_SECONDS}s"'


def _list(items: list[str]) -> str:
    return "[\n" + "".join(f"      {item}\n" for item in items) + "    ]"
