"""One sitting at a terminal: a document on the screen, a key for it, the next one. Knows nothing of lakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from headrace.tables import printable
from headrace.terminal import Terminal, wrapped

TAKEN = "wsuq? "
"""Keys that no label gets."""

HELP = """
Each document takes one key: the first letter of a label where it is free, or what stands before it below.

  {keys}
  w      why: type a reason and Enter, then give the label; Esc takes the reason back
  s      skip it: nothing is said, and it comes again another time
  u      undo: go back to the document before, and take its label back
  space  read on in this document
  q      save and quit; Ctrl-C saves too, and after a kill the next `headrace label` does

Any key goes back to the document.
"""


@dataclass(frozen=True)
class Leaf:
    """What is shown of a document: title, a line of facts, its text, and what was said of it in an earlier sitting."""

    title: str
    facts: str
    text: str
    said: str = ""


def keys_of(labels: Sequence[str]) -> dict[str, str]:
    """Return label by key: the first of a label's own letters and digits that is free, else the first free digit or letter."""
    found: dict[str, str] = {}
    for label in labels:
        spare = "123456789abcdefghijklmnopqrtvxyz0"
        free = [c for c in label.lower() + spare if c.isalnum() and c not in TAKEN and c not in found]
        if free:
            found[free[0]] = label
    return found


class Sitting:
    """Where a labeller is: at which document, on which page of it, with which reason in mind, and what came before."""

    def __init__(self, screen: Terminal, about: str, labels: Sequence[str], leaf: Callable[[int], Leaf], count: int) -> None:
        self.screen, self.about, self.keys, self._leaf, self.count = screen, about, keys_of(labels), leaf, count
        self.at = self.start = 0
        self.why: str | None = None
        self.note = ""
        self.labelled: list[bool] = []  # of each document before this one: labelled, or skipped
        self._shown: tuple[int, Leaf] | None = None
        self._more = 0

    @property
    def skipped(self) -> int:
        return self.labelled.count(False)

    def run(self, say: Callable[[int, str, str | None], None], undo: Callable[[int], None]) -> None:
        """Show documents and take keys until q or the end of input. `say` is told the number, label and reason, `undo` the number."""
        while True:
            self._draw()
            key, self.note = self.screen.key(), ""
            key = key.lower()
            if key in ("q", "", "\x04"):
                return
            if key == "u":
                self._back(undo)
            elif key == "?":
                self._help()
            elif self.at == self.count:
                self.note = "that was the last document: q saves and quits, u goes back"
            elif key in self.keys:
                say(self.at, self.keys[key], self.why)
                self._on(True)
            elif key == "s":
                self._on(False)
            elif key == "w":
                self.why = self.screen.line("why: ") or None
            elif key == " ":
                self.start = self._more
            else:
                self.note = "no such key; ? says which there are"

    def _on(self, labelled: bool) -> None:
        self.labelled.append(labelled)
        self.at, self.start, self.why = self.at + 1, 0, None

    def _back(self, undo: Callable[[int], None]) -> None:
        if not self.labelled:
            self.note = "there is nothing to undo"
            return
        self.at, self.start, self.why = self.at - 1, 0, None
        if self.labelled.pop():
            undo(self.at)
            self.note = "its label was taken back"

    def _help(self) -> None:
        keys = "\n  ".join(f"{key:<6} {label}" for key, label in self.keys.items())
        self.screen.page(HELP.format(keys=keys).replace("\n", "\r\n"))
        self.screen.key()

    def _draw(self) -> None:
        """The page: a head, as much of the text as fits, what the keys are."""
        width, height = self.screen.size
        done = f"{self.labelled.count(True)} labelled" + (f", {self.skipped} skipped" if self.skipped else "")
        place = f"{min(self.at + 1, self.count)}/{self.count}"
        labels = [f"{key} {label}" for key, label in self.keys.items()]
        whole = " · ".join([*labels, "w why", "s skip", "u undo", "q quit", "? help"])
        foot = whole if len(whole) <= width else " · ".join(["? help", *labels])
        note = self.note or (f"why: {self.why}" if self.why else "")
        if self.at == self.count:
            text = [f"All {self.count:,} documents have been shown. q saves and quits, u goes back."]
            head = [f"{place} · {self.about} · {done}", ""]
        else:
            leaf = self._read()
            head = [f"{place} · {self.about} · {done}", *([leaf.title] if leaf.title else []), leaf.facts]
            head += [f"said before: {leaf.said}"] if leaf.said else []
            text = self._text(leaf.text, width, max(height - len(head) - 5, 3))
        lines = [*(_one_line(line, width) for line in head), "─" * width, *text, "─" * width, _one_line(note, width), _one_line(foot, width)]
        self.screen.page("\r\n".join(lines))

    def _text(self, text: str, width: int, room: int) -> list[str]:
        lines = list(islice(wrapped(text[self.start :] if self.start else text, width), room))
        end = self.start + (lines[-1][1] if lines else 0)
        more = len(text) - end
        self._more = end if more else 0  # at the end it begins again
        shown = [line for line, _ in lines] or ["(no text)"]
        return [*shown, *([f"… {more:,} characters more: space"] if more else ["(the end; space begins again)"] if self.start else [])]

    def _read(self) -> Leaf:
        if self._shown is None or self._shown[0] != self.at:
            self._shown = (self.at, self._leaf(self.at))
        return self._shown[1]


def _one_line(text: str, width: int) -> str:
    """A text on one line of the screen."""
    return next(wrapped(printable(" ".join(text.split())), width), ("", 0))[0]
