"""How many planted items are found and how many passages are accused, on labelled data: figures that may not get worse."""

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_making import Item, index, named, noisy, said

Data = Callable[[str], Path]
SETS = ("gsm8k", "mmlu", "arc-easy", "humaneval")


def rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def evaluation(data: Data) -> dict[str, list[Item]]:
    """The four sets whose items are planted, asked as they were planted."""
    return {
        "bench.gsm8k": [(row["question"], row["answer"]) for row in rows(data("eval/gsm8k_train.jsonl.gz"))],
        "bench.mmlu": [(" ".join([row["question"], *row["choices"]]), row["choices"][row["answer_index"]]) for row in rows(data("eval/mmlu_dev.jsonl.gz"))],
        "bench.arc-easy": [(row["instruction"], row["output"]) for row in rows(data("eval/arc-easy_train.jsonl.gz"))],
        "bench.humaneval": [(row["prompt"], row["canonical_solution"]) for row in rows(data("eval/humaneval_000_039.jsonl.gz"))],
    }


@pytest.fixture(scope="module")
def sets(data: Data) -> dict[str, list[Item]]:
    return evaluation(data)


@pytest.fixture(scope="module")
def folder(sets: dict[str, list[Item]], tmp_path_factory: pytest.TempPathFactory) -> str:
    return index(tmp_path_factory.mktemp("bench") / "index", sets)


@pytest.fixture(scope="module")
def passages(data: Data) -> list[str]:
    """24,000 windows of 1,000 characters of books, in which no item of these sets stands."""
    texts = [row["text"] for row in rows(data("books/books.jsonl.gz"))]
    return [text[at : at + 1000] for text in texts for at in range(0, len(text) - 1000, 500)][:24_000]


def test_planted_items_are_found_and_clean_texts_are_not_accused(data: Data, sets: dict[str, list[Item]], folder: str) -> None:
    planted = rows(data("eval/decontam_planted.jsonl.gz"))
    found: Counter[str] = Counter()
    for gold, row in zip(planted, said(folder, [one["text"] for one in planted]), strict=True):
        mine = {span["item"] for span in row["spans"]}
        bench = f"bench.{str(gold['benchmark']).rpartition('_train')[0] or str(gold['benchmark']).partition('_')[0]}"
        own = {named(bench, i) for i, (question, _) in enumerate(sets.get(bench, [])) if question == gold["item_text"]}
        found[str(gold["variant"])] += bool(mine & own) if gold["contaminated"] else bool(mine)
    assert found == {"verbatim_q": 33, "verbatim_qa": 33, "whitespace": 33, "light_edit_10pct": 32, "case_punct": 32, "half_question": 29, "None": 0}


def test_items_with_changed_words_are_found(sets: dict[str, list[Item]], folder: str, passages: list[str]) -> None:
    dice, words = random.Random(11), sorted({word for passage in passages[::40] for word in passage.split() if word.isalpha()})
    for share, least in ((0.05, 0.995), (0.10, 0.99), (0.15, 0.98)):
        texts, own = [], []
        for bench, items in sets.items():
            for i in dice.sample(range(len(items)), min(150, len(items))):
                window = dice.choice(passages)
                at = dice.randrange(len(window))
                texts.append(f"{window[:at]}\n\n{noisy(items[i][0], share, dice, words)}\n\n{window[at:]}")
                own.append(named(bench, i))
        hits = [item in {span["item"] for span in row["spans"]} for item, row in zip(own, said(folder, texts), strict=True)]
        assert sum(hits) / len(hits) >= least, (share, sum(hits) / len(hits))


def test_passages_of_books_are_not_accused(folder: str, passages: list[str]) -> None:
    assert len(passages) == 24_000
    assert [row["spans"] for row in said(folder, passages) if row["items"]] == []
