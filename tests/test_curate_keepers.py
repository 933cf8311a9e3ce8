"""Which copy of a repeated stretch stays: one, by the policy's order, among the rows that it keeps; and no word is lost."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog import spans
from catalog.files import DataFile, Snapshot, read
from catalog.stage import Bound
from curate import duplicates, verdicts
from curate.policy import Policy, load
from mixer.shards import edits
from tests.plain_substring import cut, stretches
from tests.spark_making import corpus, joined

WORDS = " ".join(f"w{i}" for i in range(12))


def searched(root: Path, texts: Sequence[str], tokens: int, files: int = 1, jobs: Sequence[Bound] = (), ids: Sequence[str] | None = None) -> list[DataFile]:
    ids = ids or [f"d{i:03d}" for i in range(len(texts))]
    made = corpus(root, [{"doc_id": doc_id, "text": text} for doc_id, text in zip(ids, texts, strict=True)], files)
    bound = [*jobs, Bound("curate.substring:job", {"tokens": tokens, "inside": True})]
    return joined(made, duplicates.find(made, bound, str(root / "annotations/made/dup"), workers=0).annotations)


def policy(root: Path, text: str) -> Policy:
    (root / "p.yaml").write_text(text, encoding="utf-8")
    return load(root / "p.yaml")


def cut_texts(root: Path, files: Sequence[DataFile], asked: Policy, **hands: Any) -> dict[str, str]:
    """The texts that a policy keeps, as they go on, by doc_id."""
    judged = joined(files, verdicts.judge(files, asked, str(root / "annotations/made/verdicts"), workers=0, **hands).annotations)
    snapshot = Snapshot("c", 1, "", None, "document", "", tuple(judged), (asked.body,), datetime(2026, 1, 1), 0, 0, 0, (), str(root))
    changes = edits(snapshot)
    assert changes["cut"] == ["verdict.cuts"]
    rows = pl.concat([read(file, ["doc_id", "text"], ["verdict"]) for file in judged])
    rows = rows.filter(pl.col("verdict").struct.field("kept")).with_columns(whole=pl.col("text"))
    rows = rows.with_columns(spans.apply(rows, changes))
    for whole, left, said in rows.select("whole", "text", pl.col("verdict").struct.field("cuts")).iter_rows():
        gone = {place for span in said or () for place in range(span["start"], span["end"])}
        assert left == "".join(letter for place, letter in enumerate(whole) if place not in gone), "what the verdict says is cut, is cut, and nothing else"
    return dict(rows.select("doc_id", "text").iter_rows())


def test_the_policys_first_copy_stays_and_another_policy_chooses_again(tmp_path: Path) -> None:
    """Three pages have the same twelve words; which one keeps them is the policy's to say, without a second search."""
    files = searched(tmp_path, [f"one {WORDS} a", f"two {WORDS} b b", f"three {WORDS} c c c", "nothing of that"], 10)
    whole = {"d000": f"one {WORDS} a", "d001": f"two {WORDS} b b", "d002": f"three {WORDS} c c c", "d003": "nothing of that"}
    bare = {"d000": "one  a", "d001": "two  b b", "d002": "three  c c c"}
    asked = {
        "cut: [dup.spans]": "d000",
        "cut: [dup.spans]\nkeep: [length(text) DESC]": "d002",
        "cut: [dup.spans]\nkeep: [length(text) DESC]\ndrop: {three: length(text) > 45}": "d001",
    }
    for text, stays in asked.items():
        there = cut_texts(tmp_path, files, policy(tmp_path, text))
        assert there == {doc_id: said if doc_id in (stays, "d003") else bare[doc_id] for doc_id, said in whole.items() if doc_id in there}
    assert "d002" not in there


def test_a_text_that_repeats_itself_keeps_its_first_words(tmp_path: Path) -> None:
    files = searched(tmp_path, ["ha " * 60 + "end", f"{WORDS} and {WORDS}"], 10)
    assert cut_texts(tmp_path, files, policy(tmp_path, "cut: [dup.spans]")) == {"d000": "ha " * 10 + "end", "d001": f"{WORDS} and "}


def test_what_is_dropped_as_a_copy_keeps_nothing(tmp_path: Path) -> None:
    """The smaller of two equal pages is the copy that goes: what it shares with a third is kept by the one that stays."""
    texts = [f"{WORDS} tail", f"{WORDS} tail", f"{WORDS} other"]
    for jobs in ([Bound("curate.exact:job", {"by": ("text",)})], []):
        (root := tmp_path / str(len(jobs))).mkdir()
        files = searched(root, texts, 10, jobs=jobs, ids=["d2", "d1", "d3"])
        there = cut_texts(root, files, policy(root, "cut: [dup.spans]"))
        assert there == ({"d1": texts[0], "d3": " other"} if jobs else {"d1": texts[0], "d2": "", "d3": " other"})


def test_what_an_earlier_version_kept_keeps_its_words(tmp_path: Path) -> None:
    """A longer page comes later: with `append:` it is the one that is cut, though the policy would have it stay."""
    texts = [f"{WORDS} tail", f"{WORDS} and a longer tail"]
    files = searched(tmp_path, texts, 10, 2)
    asked = policy(tmp_path, "cut: [dup.spans]\nkeep: [length(text) DESC]")
    assert cut_texts(tmp_path, files, asked) == {"d000": " tail", "d001": texts[1]}
    before = verdicts.judge(files[:1], asked, str(tmp_path / "annotations/made/before"), workers=0).annotations
    assert cut_texts(tmp_path, files, asked, stood=before) == {"d000": texts[0], "d001": " and a longer tail"}


def test_what_is_dropped_as_a_copy_stands_for_nobody(tmp_path: Path) -> None:
    """The first of two pages of one address stays; what the second one alone shares with a third page is left to that one."""
    rows = [{"doc_id": f"d{i}", "uri": f"https://h/{i // 2}", "text": text} for i, text in enumerate(["short", f"{WORDS} x", f"{WORDS} y"])]
    made = corpus(tmp_path, rows, 1)
    jobs = [Bound("curate.exact:job", {"by": ("url",)}), Bound("curate.substring:job", {"tokens": 10})]
    files = joined(made, duplicates.find(made, jobs, str(tmp_path / "annotations/made/dup"), workers=0).annotations)
    assert cut_texts(tmp_path, files, policy(tmp_path, "cut: [dup.spans]")) == {"d0": "short", "d2": f"{WORDS} y"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=30), min_size=1, max_size=6),
    tokens=st.integers(2, 7), turn=st.integers(0, 5), most=st.integers(0, 60), down=st.booleans(), files=st.integers(1, 3),
)  # fmt: skip
def test_one_copy_stays_and_no_word_is_lost(
    texts: list[list[str]], tokens: int, turn: int, most: int, down: bool, files: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root, ids = tmp_path_factory.mktemp("lake"), [f"d{(i + turn) % len(texts):03d}" for i in range(len(texts))]
    words = dict(zip(ids, texts, strict=True))
    made = searched(root, [" ".join(text) for text in texts], tokens, files, ids=ids)
    asked = policy(root, f"cut: [dup.spans]\nkeep: [length(text){' DESC' if down else ''}]\ndrop: {{long: length(text) > {most}}}")
    kept = [doc_id for doc_id in ids if len(" ".join(words[doc_id])) <= most]
    order = sorted(kept, key=lambda doc_id: (-len(words[doc_id]) if down else len(words[doc_id]), doc_id))
    found = stretches(words, tokens)
    gone = cut(words, order, found)
    there = cut_texts(root, made, asked)
    assert {doc_id: text.split() for doc_id, text in there.items()} == {d: [w for i, w in enumerate(words[d]) if i not in gone[d]] for d in kept}
    nothing_lost(order, found, gone)


def nothing_lost(order: Sequence[str], found: dict[str, Any], gone: dict[str, set[int]]) -> None:
    """Every stretch of a kept document stays whole at most once, and each of its words somewhere, in a kept document."""
    alike: dict[tuple[str, int], set[tuple[str, int]]] = defaultdict(set)
    whole: dict[tuple[str, int], int] = defaultdict(int)
    for doc_id in order:
        for word, count, first, at, _ in found.get(doc_id, []):
            whole[first, at] += not gone[doc_id] & set(range(word, word + count))
            for i in range(count):
                alike[first, at + i].add((doc_id, word + i))
    assert all(count <= 1 for count in whole.values()) or any_touch(order, found)
    joined_up: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for group in alike.values():
        together = set().union(group, *(joined_up.get(place, set()) for place in group))
        joined_up.update(dict.fromkeys(together, together))
    for together in joined_up.values():
        assert any(word not in gone[doc_id] for doc_id, word in together)


def any_touch(order: Sequence[str], found: dict[str, Any]) -> bool:
    """Whether a document has a stretch twice with words in common: what they share stays."""
    for doc_id in order:
        rows = sorted(found.get(doc_id, []))
        if any(a[2:4] == b[2:4] and b[0] < a[0] + a[1] for i, a in enumerate(rows) for b in rows[i + 1 :]):
            return True
    return False
