"""What lm-eval's own task class makes of rows. Run by test_ingest_items in the oracles' environment.

oracle_tasks.py ASKED ANSWERS: JSON in (a list of {row, text, target, choice}), JSON out: for each question, answer and choices as lm-eval has them.
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from lm_eval.api.task import ConfigurableTask


def asked(row: dict[str, Any], text: Any, target: Any, choice: Any) -> dict[str, Any]:
    config = SimpleNamespace(doc_to_text=text, doc_to_target=target, doc_to_choice=choice)
    task = SimpleNamespace(prompt=None, features=list(row), config=config, _config=config)
    choices = ConfigurableTask.doc_to_choice(task, row) if choice is not None else []
    said = ConfigurableTask.doc_to_target(task, row) if target is not None else None
    return {"text": ConfigurableTask.doc_to_text(task, row), "answer": said, "choices": choices}


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(json.dumps([asked(**one) for one in given]), encoding="utf-8")
