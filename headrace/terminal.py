"""A terminal that is asked key by key: keys come in, a page of text goes out. What a document says to it is shown harmless."""

import codecs
import os
import re
import select
import shutil
import signal
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rich.cells import cell_len, get_character_cell_size

from catalog.errors import InputError
from headrace.tables import printable

SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|[^\[O])?", re.DOTALL)
"""What an arrow, a function key or Alt sends: no key that is asked for."""

CLEAR = "\x1b[H\x1b[2J\x1b[3J"
PAUSE = 0.05
"""Seconds between the bytes of one key, at most; after Esc alone nothing comes so soon."""

ENTER, ERASE, LEAVE, WIPE = ("\r", "\n"), ("\x7f", "\x08"), ("", "\x04"), "\x15"


class Terminal:
    """The terminal of this process. Make it with `terminal()`."""

    def __init__(self) -> None:
        self._in, self._out, self._waiting = sys.stdin.fileno(), sys.stdout.fileno(), ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._dumb = os.environ.get("TERM", "dumb") == "dumb"

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = shutil.get_terminal_size()
        return max(found.columns, 20), max(found.lines, 10)

    def page(self, text: str) -> None:
        """Show a page in place of what stands there."""
        self._write(f"\r\n{text}" if self._dumb else f"{CLEAR}{text}")

    def _write(self, text: str) -> None:
        rest = text.encode("utf-8", "replace")
        while rest:
            rest = rest[os.write(self._out, rest) :]

    def key(self) -> str:
        """Wait for a key and return its character: Esc alone is "\\x1b", an arrow and its like "?\\x1b", the end of input the empty text."""
        while not self._waiting:
            more = self._read()
            if not more:
                return ""
            self._waiting += self._decoder.decode(more)
        if self._waiting in ("\x1b", "\x1b[", "\x1bO") and select.select([self._in], [], [], PAUSE)[0]:
            self._waiting += self._decoder.decode(self._read())  # the rest of what one key sends
        found = SEQUENCE.match(self._waiting)
        length = found.end() if found else 1
        key, self._waiting = self._waiting[:length], self._waiting[length:]
        return key if length == 1 else "?\x1b"

    def _read(self) -> bytes:
        select.select([self._in], [], [])  # which Ctrl-C breaks off: polars' own handler makes the kernel go on with a read
        try:
            return os.read(self._in, 4096)
        except OSError:  # the terminal is gone
            return b""

    def line(self, prompt: str, most: int = 200) -> str | None:
        """Ask for a line, which can be mended as it is typed; None where Esc or the end of input takes it back."""
        said = ""
        while True:
            width = self.size[0] - cell_len(prompt) - 2
            self._write(f"\r\n{prompt}{said}" if self._dumb else f"\r\x1b[K{prompt}{said[-width:]}")
            key = self.key()
            if key in ENTER:
                return " ".join(said.split())
            if key in LEAVE or key == "\x1b":
                return None
            if key in ERASE:
                said = said[:-1]
            elif key == WIPE:
                said = ""
            elif key.isprintable() and len(said) < most:
                said += key


@contextmanager
def terminal() -> Iterator[Terminal]:
    """Give the terminal, key by key and without echo, and leave it as it was. Raises InputError where there is none."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("label: asks at a terminal, and here is none; give the labels by --from FILE")
    sys.stdout.flush()
    before = termios.tcgetattr(sys.stdin)

    def again(number: int, frame: FrameType | None) -> None:
        """After a stop by Ctrl-Z the shell has set the terminal its own way."""
        tty.setcbreak(sys.stdin, termios.TCSANOW)

    resumed = signal.signal(signal.SIGCONT, again)
    tty.setcbreak(sys.stdin, termios.TCSANOW)
    try:
        yield Terminal()
    finally:
        signal.signal(signal.SIGCONT, resumed)
        termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def wrapped(text: str, width: int) -> Iterator[tuple[str, int]]:
    """Yield (line, characters read up to its end) of a text on a page `width` columns wide: between words where there are some.

    Only what is asked for is read: a line may be 50 MB. Control and format characters are shown as a mark.
    """
    at = 0
    while at < len(text):
        found = text.find("\n", at, at + width + 1)
        piece, rest = _fitting(text[at : found if found >= 0 else at + width], width)
        end = at + rest
        if end == found or end == len(text):
            yield piece, min(end + 1, len(text))
            at = end + 1
            continue
        blank = piece.rfind(" ")
        if text[end] != " " and blank > width // 2:
            piece, end = piece[:blank], at + blank + 1
        yield piece, end
        at = end + (text[end : end + 1] == " " and end == at + rest)


def _fitting(text: str, width: int) -> tuple[str, int]:
    """Return the start of a text that fits into `width` columns, harmless, and its length in the text."""
    shown = printable(text.replace("\t", " ").replace("\r", " "))
    taken = 0
    for length, character in enumerate(shown):
        taken += get_character_cell_size(character)
        if taken > width:
            return shown[:length], max(length, 1)
    return shown, len(shown)
