"""Asked by test_curate_perplexity and run in .venv-oracles: what kenlm says of sentences under a model in an ARPA file.

    python oracle_kenlm.py MODEL.arpa SENTENCES.json SCORES.json      sentences are lists of words
"""

import json
import sys
from pathlib import Path

import kenlm


def main(arpa: str, sentences: str, scores: str) -> None:
    config = kenlm.Config()
    config.show_progress = False
    model = kenlm.Model(arpa, config)
    said = []
    for words in json.loads(Path(sentences).read_text(encoding="utf-8")):
        text = " ".join(words)
        unknown = sum(oov for _, _, oov in model.full_scores(text))
        said.append({"log10": model.score(text), "perplexity": model.perplexity(text), "unknown": unknown})
    Path(scores).write_text(json.dumps(said), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
