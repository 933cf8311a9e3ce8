"""The versions of a catalogue that a process reads: the one that CURRENT names, and older ones while somebody still reads them."""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from catalog import commits, migrations
from catalog.errors import LakeError
from catalog.open_tables import FILLED

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def one_line(error: BaseException) -> str:
    """Return an engine's error as one line: what it says, and the name it suggests."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    lacking = re.search(r"Table with name (\w+) does not exist", lines[0]) if lines else None
    if lacking and (first := FILLED.get(lacking[1].lower())):
        return first
    hints = [line for line in lines[1:] if line.startswith(("Did you mean", "Candidate bindings", "Candidate functions"))]
    return " ".join([*lines[:1], *hints[:1]]) or type(error).__name__


class Versions:
    """Attaches catalogue files, read-only, to one engine. Threads may share it.

    `number` is the version that was read last, 0 before the first. `errors` is the root of what the engine raises.
    """

    def __init__(self, root: Path, engine: "DuckDBPyConnection", errors: type[Exception]) -> None:
        self.root, self.engine, self._errors = root, engine, errors
        self.number = 0
        self._using: Counter[int] = Counter()
        self._guard = threading.RLock()

    def refresh(self) -> bool:
        """Look at CURRENT and attach what it names. Returns whether that is another version than before. Raises LakeError."""
        with self._guard:
            number, before = commits.current(self.root), self.number
            if number == before and number:
                return False
            self.number = self._attach(number)
            self._let_go(before)
            return True

    @contextmanager
    def reading(self) -> "Iterator[DuckDBPyConnection]":
        """Give a cursor on the version that counts now; it stays on that one."""
        with self._guard:
            self.refresh()
            number = self.number
            self._using[number] += 1
            cursor = self.engine.cursor()
        try:
            cursor.execute(f"USE c{number}")
            yield cursor
        finally:
            cursor.close()
            with self._guard:
                self._using[number] -= 1
                self._let_go(number)

    def close(self) -> None:
        """Let go of every file."""
        self.engine.close()

    def _attach(self, number: int) -> int:
        """Attach a version. It may have been pruned since CURRENT was read, so CURRENT is read once more."""
        for last in (False, True):
            if number == 0:
                raise LakeError(f"{self.root}: CURRENT is missing; `headrace doctor --rebuild` makes it from the log")
            try:
                self.engine.execute(f"ATTACH IF NOT EXISTS '{commits.catalogue(self.root, number)}' AS c{number} (READ_ONLY)")
                break
            except self._errors as error:
                again = commits.current(self.root)
                if last or again == number:
                    raise _unreadable(self.root, number, error) from None
                number = again
        with self.engine.cursor() as cursor:
            cursor.execute(f"USE c{number}")
            level = migrations.level(cursor)
        if level > len(migrations.MIGRATIONS):
            self.engine.execute(f"DETACH c{number}")
            raise _newer(self.root, f"catalogue level {level}, this one reads {len(migrations.MIGRATIONS)}")
        return number

    def _let_go(self, number: int) -> None:
        """Detach a version that nobody reads any more."""
        if number and number != self.number and not self._using[number]:
            self.engine.execute(f"DETACH DATABASE IF EXISTS c{number}")


def _unreadable(root: Path, number: int, error: BaseException) -> LakeError:
    if "version number" in str(error) or "newer version" in str(error):
        return _newer(root, one_line(error))
    return LakeError(f"{root}: catalog-{number}.duckdb cannot be read ({one_line(error)}); `headrace doctor --rebuild` makes it from the log")


def _newer(root: Path, what: str) -> LakeError:
    return LakeError(f"{root}: was written by a newer headrace ({what}); update headrace to open it")
