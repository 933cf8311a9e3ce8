"""What every test stands on: one thread a library, the labelled data, the oracles' environment."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from absence import absent
from demo_run import DEMO, Said, without_network

ONE = ("test_cluster", "test_demo")
"""Files that ask for the demo: where tests are shared out to processes one of them has both, and runs it once."""
LONG = (
    *ONE, "test_river_kill", "test_river_recrawl", "test_synth_engine", "test_curate_parity", "test_curate_peers", "test_catalog_commits",
    "test_headrace_labels", "test_headrace_ablate", "test_headrace_quality",
)
"""Files that are begun first, so that none of them is left for one process at the end."""

signal.signal(signal.SIGINT, signal.default_int_handler)      # a script that runs the tests in its background hands it on ignored

HOME = Path(__file__).resolve().parent.parent
THREADS = ("OMP_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS", "RAYON_NUM_THREADS", "TOKENIZERS_PARALLELISM")
for variable in THREADS:                                     # before any of them is imported: each reads it once
    os.environ.setdefault(variable, "false" if variable == "TOKENIZERS_PARALLELISM" else "1")
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HOME), os.environ.get("PYTHONPATH", "")]))      # of the processes that tests start


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share tests out by files (pytest -n): what a file's tests stand on is made once."""
    from xdist.scheduler import LoadScopeScheduling

    class Files(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            name = Path(nodeid.partition("::")[0]).stem
            return ONE[0] if name in ONE else name

    return Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: LONG.index(item.path.stem) if item.path.stem in LONG else len(LONG))


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """`data("langid/labels.jsonl")` is that file or folder under HEADRACE_DATA."""

    def find(name: str) -> Path:
        folder = os.environ.get("HEADRACE_DATA", "")
        if not folder or not Path(folder, name).exists():
            absent(f"{name} (HEADRACE_DATA is {folder or 'not set'})")
        return Path(folder, name)

    return find


@pytest.fixture(scope="session")
def oracles() -> Path:
    """The interpreter of .venv-oracles, which `make test` makes."""
    python = HOME / ".venv-oracles" / "bin" / "python"
    if not python.is_file():
        absent(".venv-oracles (python3.11 -m headrace.setup test)")
    return python


@pytest.fixture(scope="session")
def examples() -> Path:
    """The demo corpus, which set-up fetches and unpacks."""
    folder = HOME / "examples" / "data"
    if not (folder / "manifest.json").is_file():
        absent("examples/data (python3.11 -m headrace.setup demo)")
    return folder


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, examples: Path) -> tuple[Path, Said]:
    """The demo, run once with the network denied, for every test that asks something of it: its lake and what the run said."""
    lake = tmp_path_factory.mktemp("demo") / "lake"
    said = without_network("run", DEMO, "--lake", lake)
    assert said.code == 0, said.err[-4000:]
    return lake, said
