"""Feature levels: the permitted content of a log, so that builds of two releases can work on it side by side.

A log begins at the newest level of the kernel that founds it, and otherwise stays at its level until an operator raises
it, which is recorded in the log (`mpschema.system.FeatureLevelRaised`). Every commit says its level. A build of a later
release writes at a lower level only what builds of that level can read. A build halts at a commit whose level is above
its own.

| level | what came with it |
| --- | --- |
| 1 | the first release |
| 2 | the log says its feature level; webhooks |
| 3 | a message may end in a later commit than it began in; a line is tried by itself; codes of refusals with a level |
|   | closing a parent says what becomes of its children; names are recorded and compared as people see them |
|   | keys belong to principals; a service's instances are principals of their own; tokens of a session are revoked |
|   | a key that would have ended already is not issued |
|   | a kernel asks where the log listens before it writes |
|   | of a message that no producer sends, one refusal at most is recorded |
| 4 | what follows from an event is commanded by the kernel, in the same commit; sweeps; limits that operators set |
|   | outcomes have one entry, and are remembered for a time; the root does not depend on the order of memory |
"""

FIRST_LEVEL = 1
"""The level of every log that states no other."""
FEATURE_LEVEL = 4
"""The newest level that this build reads, and writes once the log is there."""

WEBHOOKS_LEVEL = 2
"""The level from which the log states its level, and there are webhooks."""
SPLIT_LEVEL = 3
"""The level from which a message may end in a later commit than it began in."""
TRIED_LEVEL = 3
"""The level from which a line that ends kernels is tried by itself, and refused as undecidable."""
CHILDREN_LEVEL = 3
"""The level from which the close of a parent states the fate of its children."""
NAMES_LEVEL = 3
"""The level from which names are recorded and compared as people see them."""
OWNED_LEVEL = 3
"""The level from which idempotency keys belong to principals, not to their workspace."""
SENDER_LEVEL = 3
"""The level from which the sender of a service's command is the instance that its subject names."""
TOKENS_LEVEL = 3
"""The level from which `session.revoke_tokens` exists."""
EXPIRY_LEVEL = 3
"""The level from which a key that would have expired already is not issued."""
ASKS_WHERE_LEVEL = 3
"""The level from which a writer of the log first asks for the subject on which it listens."""
PACKS_LEVEL = 3
"""The level from which unreadable lines, and messages beyond the bounds, get one recorded refusal at most."""
HOUSE_LEVEL = 4
"""The level of follow-ups, sweeps, recorded limits, outcomes that expire, and a state root of another form."""
