"""Server-sent events out of the text of an answer, as the HTML standard reads them ("Interpreting an event stream")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

STREAM_TYPE = "text/event-stream"


class ServerSentEvent(NamedTuple):
    """One server-sent event."""

    event: str
    data: str
    id: str
    """The last id in the stream, with this event or before it."""


class Lines:
    """Lines out of pieces of text, each handed out once it is whole. Only CR, LF and CR LF end a line."""

    def __init__(self) -> None:
        self._begun: list[str] = []
        self._after_cr = False

    def take(self, piece: str) -> Iterator[str]:
        """Take a piece; generate the lines that it completes."""
        if self._after_cr:
            piece, self._after_cr = "\r" + piece, False
        if piece.endswith("\r"):  # The LF of this line may come with the next piece.
            piece, self._after_cr = piece[:-1], True
        *whole, begun = piece.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in whole:
            self._begun.append(line)
            yield "".join(self._begun)
            self._begun.clear()
        if begun:
            self._begun.append(begun)

    def end(self) -> Iterator[str]:
        """Generate the line that stood at the end without its own end."""
        if self._begun or self._after_cr:
            yield "".join(self._begun)
            self._begun.clear()
            self._after_cr = False


class Frames:
    """Frames out of pieces of text. What stands at the end without an empty line behind it is no frame."""

    def __init__(self) -> None:
        self._lines = Lines()
        self._event = ""
        self._data: list[str] = []
        self._id = ""

    def take(self, piece: str) -> Iterator[ServerSentEvent]:
        """Take a piece; generate the frames that it completes."""
        yield from self._framed(self._lines.take(piece))

    def end(self) -> Iterator[ServerSentEvent]:
        """Generate the frame that only the end of the text completes."""
        yield from self._framed(self._lines.end())

    def _framed(self, lines: Iterator[str]) -> Iterator[ServerSentEvent]:
        for line in lines:
            if line:
                self._read(line)
            elif self._event or self._data or self._id:
                yield ServerSentEvent(self._event, "\n".join(self._data), self._id)
                self._event, self._data = "", []

    def _read(self, line: str) -> None:
        """Read one field; a comment is a field without a name."""
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
