"""Learn which blocks of a page are its text, and write `ingest/pages/choice.npz`.

    python benchmarks/teach/extraction.py [--out FILE]        in .venv-oracles, with HEADRACE_DATA and the demo corpus; about 3 minutes

Pages with gold text say which words are theirs by alignment (`ingest.pages.align`). Pages with snippets, and those of the demo corpus, are labelled
by trafilatura: a block is text where at least two of its three modes kept it, and weighs less where they differ; the snippets
that must or must not be there overrule. `benchmarks/extraction.py` reports on the same gold, each page by trees
that have seen no page of its host.
"""

import argparse
import glob
import gzip
import io
import json
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

HOME = Path(__file__).resolve().parent.parent.parent
sys.path[:] = [str(HOME), *(path for path in sys.path if Path(path).resolve() != HOME / "benchmarks" / "teach")]

import numpy as np
import numpy.typing as npt
from fastwarc.warc import ArchiveIterator, WarcRecordType

from ingest.charset import decode
from ingest.pages.align import shares
from ingest.pages.blocks import Blocks, scan
from ingest.pages.choice import LEAVES, Trees
from ingest.pages.features import FEATURES, measure
from ingest.pages.plain import shown

MODES: dict[str, dict[str, bool]] = {"balanced": {}, "fast": {"fast": True}, "precise": {"favor_precision": True}}
"""How trafilatura is asked."""
MORE = {"examples/data/web/*.warc.gz": 500, "multilingual.warc.gz": 100}
"""Pages without gold that are taken of each file."""
GOLD_WEIGHT, MORE_WEIGHT = 8.0, 0.1
"""What a page weighs beside one with snippets."""
TREES, DEPTH = 120, 6
LEARNING: dict[str, Any] = {
    "objective": "binary", "num_leaves": 40, "max_depth": DEPTH, "learning_rate": 0.12, "min_data_in_leaf": 30, "lambda_l2": 1.0, "feature_fraction": 0.3,
    "bagging_fraction": 0.7, "bagging_freq": 1, "max_bin": 63, "num_threads": 1, "deterministic": True, "force_row_wise": True, "seed": 0, "verbose": -1,
}  # fmt: skip


class Page(NamedTuple):
    """A page, what is known of its text, and what each of trafilatura's modes found."""

    url: str
    source: str
    html: bytes
    gold: str | None
    must: list[str]
    must_not: list[str]
    found: Blocks
    features: npt.NDArray[np.float32]
    peers: dict[str, str]


def gold_pages(data: str) -> list[Page]:
    """Read the pages with gold."""
    with gzip.open(f"{data}/web/gold.jsonl.gz") as file:
        rows = {(row["warc"], row["url"]): row for row in map(json.loads, file)}
    return [
        _page(url, html, row["source"], row["text"], row["must_contain"] or [], row["must_not_contain"] or [])
        for path in sorted(glob.glob(f"{data}/web/pages-*.warc.gz"))
        for url, html in _answers(path)
        if (row := rows.pop((os.path.basename(path), url), None))
    ]


def more_pages(data: str) -> list[Page]:
    """Read pages that have no gold, the same ones each time."""
    found = []
    for pattern, most in MORE.items():
        for path in sorted(glob.glob(str(HOME / pattern)) + glob.glob(f"{data}/web/{pattern}")):
            pages = list(_answers(path))
            random.Random(1).shuffle(pages)
            found += [_page(url, html, "demo", None, [], []) for url, html in pages[:most]]
    return found


def _answers(path: str) -> list[tuple[str, bytes]]:
    pages = []
    with open(path, "rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            try:
                html = decode(record.reader.read(), None)[0]
            except UnicodeError:
                continue
            pages.append((record.headers["WARC-Target-URI"], html.encode("utf-8", "replace")))
    return pages


def _page(url: str, html: bytes, source: str, gold: str | None, must: list[str], must_not: list[str]) -> Page:
    import trafilatura

    found = scan(html)
    peers = {}
    for mode, asked in MODES.items():
        peers[mode] = trafilatura.extract(html.decode("utf-8", "replace"), include_comments=False, **asked) or ""
    return Page(url, source, html, gold, [one for one in must if one], [one for one in must_not if one], found, measure(found, html).T, peers)


def labels(page: Page) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Return which blocks are the page's text, and how much each says."""
    words = page.features[:, 0]
    if page.gold is not None:
        share = shares(page.found, page.html, page.gold)
        assert share is not None, f"{page.url}: too long to align"
        return share > 0.5, _weights(words, np.ones(len(words))) * GOLD_WEIGHT
    votes = [share for peer in page.peers.values() if (share := shares(page.found, page.html, peer)) is not None] or [np.zeros(len(words), np.float32)]
    share, weight = np.median(votes, 0), np.where(np.ptp(votes, 0) > 0.5, 0.3, 0.6)
    for block, text in enumerate(shown(page.found, page.html)):
        for snippets, answer in ((page.must, 1.0), (page.must_not, 0.0)):
            if any(snippet in text for snippet in snippets):
                share[block], weight[block] = answer, 2.0
    return share > 0.5, _weights(words, weight) * (MORE_WEIGHT if page.source == "demo" else 1.0)


def _weights(words: npt.NDArray[np.float32], weight: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """A page weighs the same however long it is; a block, as the root of its words."""
    root = np.sqrt(words + 1)
    return weight * root / max(root.sum(), 1)


def learn(pages: Sequence[Page]) -> Trees:
    """Fit the trees to pages."""
    import lightgbm

    pages = [page for page in pages if len(page.features)]
    found = [labels(page) for page in pages]
    weight = np.concatenate([weights for _, weights in found])
    features, text = np.concatenate([page.features for page in pages]), np.concatenate([text for text, _ in found]).astype(int)
    data = lightgbm.Dataset(features, text, weight=weight / weight.mean())
    return _flat(lightgbm.train(LEARNING, data, TREES).dump_model()["tree_info"])


def _flat(trees: list[dict[str, Any]]) -> Trees:
    """Lay LightGBM's trees out as questions, each with the leaves that are left where a value is above."""
    questions: list[tuple[int, float, int]] = []
    first, value = [0], np.zeros((len(trees), LEAVES), np.float32)

    def add(node: dict[str, Any], tree: int, leaf: int) -> int:
        """Add a node, of whose leaves the first has this number. Returns the number behind its last."""
        if "leaf_value" in node:
            value[tree, leaf] = node["leaf_value"]
            return leaf + 1
        assert node["decision_type"] == "<=", node["decision_type"]
        middle = add(node["left_child"], tree, leaf)
        questions.append((node["split_feature"], node["threshold"], 2**64 - 1 - ((1 << middle) - (1 << leaf))))
        return add(node["right_child"], tree, middle)

    for number, tree in enumerate(trees):
        add(tree["tree_structure"], number, 0)
        first.append(len(questions))
    feature, most, kept = zip(*questions, strict=True)
    return Trees(np.array(feature, np.int32), np.array(most, np.float32), np.array(kept, np.uint64), np.array(first, np.int32), value)


def write(trees: Trees, path: Path) -> None:
    """Write trees with the names of their features."""
    out = io.BytesIO()
    np.savez_compressed(out, names=np.array("\n".join(FEATURES)), **trees._asdict())
    path.write_bytes(out.getvalue())


def host(url: str) -> str:
    """Return the site of a page: the last two names of its host."""
    return ".".join((urlsplit(url).hostname or url).split(".")[-2:])


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--out", type=Path, default=HOME / "ingest" / "pages" / "choice.npz")
    out = asked.parse_args().out
    if "HEADRACE_DATA" not in os.environ:
        raise SystemExit("HEADRACE_DATA names no folder: the gold pages are read from its web/")
    data = os.environ["HEADRACE_DATA"]
    pages = gold_pages(data) + more_pages(data)
    write(learn(pages), out)
    print(f"{out}: {TREES} trees from {len(pages)} pages, {sum(len(page.features) for page in pages)} blocks, {out.stat().st_size:,} bytes")
