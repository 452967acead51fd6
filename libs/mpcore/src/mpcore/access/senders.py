"""The sender of a command: a gateway's message names its principals, a service's subject names the service.

From level 3 the principal of a service is `system:{service}:{instance}`, taken from the subject of its message, and no
message of a gateway may name one. Below it a service is `system:{service}`, as builds of that level record it, and a
gateway's subject is believed when it names a service of the table: builds of that level send so.
"""

from mpschema.envelope import CommandEnvelope
from mpschema.levels import SENDER_LEVEL
from mpschema.rejections import Code, Rejection
from mpschema.subjects import SYSTEM_PREFIX
from msgspec.structs import replace

from mpcore.access.policy import SYSTEM_COMMANDS, service_of


def attributed(envelope: CommandEnvelope, sender: str, feature_level: int) -> CommandEnvelope:
    """A service's command under the name of the service."""
    return replace(envelope, principal=sender if feature_level >= SENDER_LEVEL else service_of(sender))


def usurped(envelope: CommandEnvelope, sender: str, feature_level: int) -> Rejection | None:
    """Refuse a command that this sender may not send at all, whatever the policy says."""
    principal = envelope.principal
    if sender:
        if envelope.type in SYSTEM_COMMANDS.get(service_of(principal), ()):
            return None
        return Rejection(Code.DENIED, f"{principal} may not {envelope.type}: it is not what this service is for")
    if not principal.startswith(SYSTEM_PREFIX) or (feature_level < SENDER_LEVEL and principal in SYSTEM_COMMANDS):
        return None
    return Rejection(Code.DENIED, f"{principal} may not {envelope.type} here: a service sends on its own subject")
