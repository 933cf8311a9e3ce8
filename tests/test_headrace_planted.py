"""Evaluation items that stand in a corpus are found by asking the lake: one is planted in a document, and is found; without it nothing is."""

import gzip
import json
from pathlib import Path

from demo_run import headrace
from river_making import prose

RECIPE = """
name: planted
seed: 1
lake: lake
ingest:
  pages: {{tables: {{paths: [pages.jsonl]}}, domain: web}}
  humaneval: {{tables: {{paths: ["{items}"], columns: {{text: prompt}}}}, domain: code, publish_as: bench.humaneval}}
curate:
  corpus: {{from: pages, stages: []}}
"""
OVERLAP = 'SELECT c.uri, b.uri AS item FROM data.corpus c, data."bench.humaneval" b WHERE contains(c.text, trim(b.text, chr(10)))'


def found(home: Path, pages: list[str]) -> list[dict[str, str]]:
    """Run the recipe over some pages, and return the pages that hold an item, with the item."""
    rows = [{"text": text, "uri": f"https://h.example/{i}"} for i, text in enumerate(pages)]
    (home / "pages.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = headrace("run", home / "planted.yaml")
    assert done.code == 0, done.err
    asked = headrace("sql", OVERLAP, "--format", "json", "--lake", home / "lake")
    assert asked.code == 0, asked.err
    return [json.loads(line) for line in asked.out.splitlines()]


def test_a_planted_item_is_found_and_nothing_without_it(examples: Path, tmp_path: Path) -> None:
    items = examples / "bench" / "HumanEval.jsonl.gz"
    (tmp_path / "planted.yaml").write_text(RECIPE.format(items=items), encoding="utf-8")
    pages = [prose(f"page {i}", 6) for i in range(6)]
    assert found(tmp_path, pages) == []
    with gzip.open(items, "rt", encoding="utf-8") as file:
        item = [json.loads(line) for line in file][41]
    pages[3] = f"{pages[3]}\n\n{item['prompt'].strip()}\n\n{prose('after', 3)}"
    (only,) = found(tmp_path, pages)
    assert only["uri"] == "https://h.example/3" and only["item"].endswith("#42")
