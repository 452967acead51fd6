"""The bounds of one message of the command stream, for producers and for the kernel.

The kernel checks them before it reads a line, and the stream accepts nothing larger. So the cost of one message to all
others is bounded, whoever sent it.
"""

PACK_COMMANDS_MAX = 128
PACK_BYTES_MAX = 256 * 1024
"""The size from which a producer adds nothing to a pack. The last command can exceed it by 64 KiB and its envelope."""
LINES_MAX = 8 * PACK_COMMANDS_MAX
"""The bound of a message that is read: far beyond a producer's packs, so that another release may send more."""
BYTES_MAX = 4 * PACK_BYTES_MAX
"""The same bound in bytes."""
NEWLINE = b"\n"


def excess(data: bytes) -> str:
    """Return the excess of a message over the bounds; empty where there is none. Reads no line of it."""
    if len(data) > BYTES_MAX:
        return f"{len(data)} bytes, more than {BYTES_MAX}"
    lines = data.count(NEWLINE) + 1
    return f"{lines} lines, more than {LINES_MAX}" if lines > LINES_MAX else ""
