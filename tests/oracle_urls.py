"""What datatrove's URLFilter says of addresses, with its own lists. Run by test_curate_urls in the oracles' environment.

oracle_urls.py ADDRESSES SUFFIXES ANSWERS: JSON in (a list of addresses), a Public Suffix List, JSON out: for each address the filter's reason for
dropping it (domain, subdomain, url, hard_blacklisted, soft_blacklisted, blacklisted_subword), null where it keeps it.
"""

import json
import sys
import types
from collections.abc import Iterator
from pathlib import Path

from datatrove.data import Document
from tldextract import TLDExtract


class Automaton:
    """Where pyahocorasick is missing: the one thing that the filter asks of it, whether any of its words stands in a text."""

    def __init__(self, store: int) -> None:
        self.words: list[str] = []

    def add_word(self, word: str, value: int) -> None:
        self.words.append(word)

    def __len__(self) -> int:
        return len(self.words)

    def make_automaton(self) -> None:
        return None

    def iter(self, text: str) -> Iterator[str]:
        return iter([word for word in self.words if word in text])


try:
    import ahocorasick
except ImportError:
    ahocorasick = types.ModuleType("ahocorasick")
    ahocorasick.Automaton, ahocorasick.STORE_INTS = Automaton, 1  # type: ignore[attr-defined]
    sys.modules["ahocorasick"] = ahocorasick


def main() -> None:
    from datatrove.pipeline.filters.url_filter import URLFilter
    from datatrove.utils import _import_utils

    if ahocorasick.Automaton is Automaton:                   # datatrove looks for the package before it imports it
        _import_utils.check_required_dependencies = lambda *told: None
        URLFilter._requires_dependencies = [name for name in URLFilter._requires_dependencies if "ahocorasick" not in name]
    judge = URLFilter()
    judge.tldextractor = TLDExtract(suffix_list_urls=(Path(sys.argv[2]).as_uri(),), cache_dir=None)
    told = []
    for address in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        kept = judge.filter(Document(text="", id="", metadata={"url": address}))
        told.append(None if kept is True else kept[1])
    Path(sys.argv[3]).write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
