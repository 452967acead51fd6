"""The bounds of one message of the command stream, for producers and for the kernel.

The kernel checks them before it reads a line, and the stream accepts nothing larger. So the cost of one message to all
others is bounded, whoever sent it.
"""

PACK_COMMANDS_MAX = 128
PACK_BYTES_MAX = 256 * 1024
"""A producer adds nothing to a pack of this size. One command more than fits is at most 64 KiB and its envelope."""
LINES_MAX = 8 * PACK_COMMANDS_MAX
"""Of a message that is read: far beyond what a producer sends, so that another release may send more."""
BYTES_MAX = 4 * PACK_BYTES_MAX
"""The same, in bytes."""
NEWLINE = b"\n"


def excess(data: bytes) -> str:
    """Return the excess of a message over the bounds; empty where there is none. Reads no line of it."""
    if len(data) > BYTES_MAX:
        return f"{len(data)} bytes, more than {BYTES_MAX}"
    lines = data.count(NEWLINE) + 1
    return f"{lines} lines, more than {LINES_MAX}" if lines > LINES_MAX else ""
