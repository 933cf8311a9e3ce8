"""The lake: datasets, snapshots, commits, questions. The one door to duckdb.

    lake = Lake.open("lake", create=True)
    snapshot = lake.commit(draft)              # the whole of it or nothing; the same key again gives the same snapshot
    lake.snapshot("corpus@v3"); lake.query("SELECT count(*) FROM data.corpus"); lake.locate("https://example.org/")

A lake is read through one immutable file, catalog-<n>.duckdb, so readers never wait and never see half of a commit. Every
method looks at CURRENT first, so a Lake that is held for hours reads what is there now.

Every process of the house imports this module, so nothing heavy is imported at the top: the engine when a lake is opened,
what reads and writes rows where it is used.
"""

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from catalog import commits, migrations
from catalog.errors import LakeError, WorkError
from catalog.versions import Versions, one_line

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from catalog.commits import Entry
    from catalog.files import DataFile, Draft, Snapshot
    from catalog.footers import Stat
    from catalog.garbage import Garbage
    from catalog.locator import Place
    from catalog.query import Limits

FOLDERS = ("data", "annotations")
"""What views read, and all that a question may read, with the ledger where it is asked for."""

LEDGER = "ledger"

VERSIONED = r'"([a-z][a-z0-9_./-]*@[a-z0-9]+)"'
"""A version that a statement names, as in data."corpus@v3"."""


def connect(*, threads: int = 1) -> "duckdb.DuckDBPyConnection":
    """Return a connection in memory that loads no extension, sees no Python variable and spills outside the lake.

    One thread: a catalogue is small, and writing one with two costs twice the time.
    """
    off = ("allow_community_extensions", "autoinstall_known_extensions", "autoload_known_extensions", "python_enable_replacements")
    import duckdb

    spill = os.path.join(tempfile.gettempdir(), f"headrace-{os.getpid()}")
    return duckdb.connect(":memory:", config={"threads": threads, "temp_directory": spill, **dict.fromkeys(off, "false")})


def engine_error() -> type[Exception]:
    """Return the root of the engine's errors, for who asks it directly."""
    import duckdb

    return duckdb.Error


class Lake:
    """One lake, opened. Make it with `Lake.open`; close it, or use it as a context manager."""

    def __init__(self, root: Path, lock_timeout: float) -> None:
        import duckdb

        self.root, self.lock_timeout = root, lock_timeout
        self._versions, self._errors = Versions(root, connect(), duckdb.Error), duckdb.Error

    @classmethod
    def open(cls, path: str | Path, *, create: bool = False, lock_timeout: float = 60.0) -> "Lake":
        """Open the lake at a path. Raises LakeError when there is none (and not `create`) or a newer headrace wrote it."""
        lake = cls(Path(os.path.realpath(path)), lock_timeout)
        if set("*?[]{}'\"") & set(str(lake.root)):
            raise LakeError(f"{lake.root}: a lake's path holds no quote and none of * ? [ ] {{ }}; choose another")
        if lake.root.exists() and not lake.root.is_dir():
            raise LakeError(f"{path}: is a file, and a lake is a folder; name another by --lake PATH")
        if not commits.current(lake.root):
            if not create:
                raise LakeError(f"{path}: there is no lake here; a recipe's run makes one, or name another by --lake PATH")
            lake._create()
        with lake._reading() as db:
            old = migrations.level(db) < len(migrations.MIGRATIONS)
        if old:
            lake._write("upgrade", "upgrading the catalogue")
        return lake

    def _create(self) -> None:
        try:
            for folder in (*FOLDERS, "commits"):
                (self.root / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LakeError(f"{self.root}: cannot be made ({error.strerror}); check who owns the folder above it") from None
        self._write("create", "making the lake")

    def _write(self, kind: str, what: str) -> list[str]:
        """Publish an entry that adds no rows."""
        from catalog.entries import blank

        def make(db: "duckdb.DuckDBPyConnection") -> "Entry | None":
            made_by_another = kind == "create" and commits.current(self.root) > 0
            return None if made_by_another else blank(kind, None)

        return self._publish(make, what)

    @contextmanager
    def _reading(self) -> "Iterator[duckdb.DuckDBPyConnection]":
        """Give a cursor on the catalogue as it is now."""
        with self._sound(), self._versions.reading() as db:
            yield db

    @contextmanager
    def _sound(self) -> Iterator[None]:
        """Say in one line that the catalogue file is spoilt, wherever the engine meets it."""
        try:
            yield
        except self._errors as error:
            if "Corrupt database file" not in str(error):
                raise
            why = f"{self.catalogue.name} is spoilt ({one_line(error)})"
            raise LakeError(f"{self.root}: {why}; `headrace doctor --rebuild` makes it again from the log") from None

    def close(self) -> None:
        """Let go of the catalogue file."""
        self._versions.close()

    def __enter__(self) -> "Lake":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def version(self) -> int:
        """The number of the catalogue that counts: it grows by one with each commit."""
        self.refresh()
        return self._versions.number

    @property
    def catalogue(self) -> Path:
        """The catalogue file that was read last."""
        return commits.catalogue(self.root, self._versions.number)

    def refresh(self) -> bool:
        """Look at CURRENT and read what it names. Returns whether that is another version than before."""
        return self._versions.refresh()

    def snapshot(self, name: str) -> "Snapshot":
        """Return `corpus`, `corpus@v3`, `corpus@head` or `corpus/strict`. Raises LakeError with the nearest name."""
        from catalog.snapshots import load, resolve

        with self._reading() as db:
            return load(db, str(self.root), resolve(db, name))

    def sampled(self, name: str) -> "tuple[tuple[DataFile, ...], int | None]":
        """Return a snapshot's sample: data files with annotations beside them, and the `sample_key` that its rows stay under.

        None: the files hold every row of the snapshot.
        """
        from catalog import snapshots

        with self._reading() as db:
            dataset, version, _ = snapshots.resolve(db, name)
            return snapshots.sample_files(db, str(self.root), dataset, version), snapshots.sample_below(db, dataset, version)

    def has(self, key: str) -> "Snapshot | None":
        """Return the latest snapshot that was published under a key, or None."""
        from catalog.publishing import published
        from catalog.snapshots import Name, load

        with self._reading() as db:
            found = published(db, key)
            return load(db, str(self.root), Name(*found, None)) if found else None

    def head(self, dataset: str) -> int | None:
        """Return the version of a dataset's head, None where there is no such dataset: what a replacement names as `parent`."""
        found = self.rows("SELECT head FROM dataset WHERE dataset = ?", [dataset])
        return int(found[0]["head"]) if found else None

    def datasets(self) -> list[str]:
        """Return the names of all datasets, sorted."""
        return [row["dataset"] for row in self.rows("SELECT dataset FROM dataset ORDER BY dataset")]

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """Return rows of the catalogue's tables for a statement that the house wrote. A user's goes to `query`."""
        with self._reading() as db:
            found = db.execute(sql, list(values))
            names = [column[0] for column in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def has_table(self, name: str) -> bool:
        """Has any row been recorded in an open table yet? Its columns come with its first row."""
        return bool(self.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = ? AND database_name = current_database()", [name]))

    def query(self, sql: str, *, tables: Mapping[str, str] | None = None, limits: "Limits | None" = None) -> "pa.Table":
        """Run one sealed SELECT and return all rows. `tables` loads files first (name -> path). Raises QueryError."""
        with self.stream(sql, tables=tables, limits=limits) as reader:
            return reader.read_all()

    @contextmanager
    def stream(
        self, sql: str, *, tables: Mapping[str, str] | None = None, limits: "Limits | None" = None, pins: Mapping[str, str] | None = None
    ) -> "Iterator[pa.RecordBatchReader]":
        """Run one sealed SELECT and give its rows as a stream; `catalog.query.save` writes them to a file.

        `pins` says which version each dataset's name means (`corpus` -> `corpus@v7`); the SELECT then sees these and no others.
        """
        from catalog import query

        limits, loaded = limits or query.Limits(), query.loadable(tables or {})
        for last in (False, True):
            with query.ask(self._question(sql, loaded, pins), limits) as answer:
                if answer.failed and not last and self.refresh():
                    continue  # a file may have gone with the version that was read: once more, with the one that is there now
                if answer.failed:
                    self._say_if_moved(str(answer.failed))
                yield answer.reader()
                return

    def _say_if_moved(self, error: str) -> None:
        home = self.rows("SELECT root FROM home")[0]["root"]
        if home != str(self.root) and home in error:
            raise LakeError(f"{self.root}: the lake was moved here from {home}; `headrace doctor --moved` makes its views again")

    def _question(self, sql: str, loaded: Mapping[str, str], pins: Mapping[str, str] | None) -> Any:
        from catalog.query import Question

        folders = tuple(str(self.root / folder) for folder in FOLDERS)
        ledger = tuple(str(path) for path in sorted((self.root / LEDGER).glob("*.parquet"))) if LEDGER in sql.lower() else ()
        views = self._views(pins if pins is not None else {label: label for label in re.findall(VERSIONED, sql)})
        return Question(sql, str(self.catalogue), (*folders, str(self.root / LEDGER)) if ledger else folders, loaded, views, ledger, pins is not None)

    def _views(self, labels: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
        """Return the views of some names of snapshots, each under its label."""
        from catalog.snapshots import resolve
        from catalog.views import of_name

        with self._reading() as db:
            return tuple(view for label, name in labels.items() for view in of_name(db, str(self.root), resolve(db, name), label))

    def select(self, name: str, schema: str = "data") -> str:
        """Return the SELECT behind data, audit, sample or stats of a snapshot's name, whole: it refers to no other view."""
        from catalog.snapshots import resolve
        from catalog.views import whole

        with self._reading() as db:
            return whole(db, str(self.root), resolve(db, name), schema)

    def attached(self) -> "duckdb.DuckDBPyConnection":
        """Return a connection of the caller's own, not sealed: the lake read-only, and a scratch database `memory` to write in."""
        import duckdb

        db = duckdb.connect(":memory:")
        self.attach(db)
        return db

    def attach(self, db: "duckdb.DuckDBPyConnection") -> bool:
        """Attach the lake as it is now to such a connection, as `lake`. Returns whether that is another version than it had."""
        self.refresh()
        held = db.execute("SELECT path FROM duckdb_databases() WHERE database_name = 'lake'").fetchone()
        if held is not None and held[0] == str(self.catalogue):
            return False
        db.execute("SET search_path = 'memory.main'")
        db.execute("DETACH DATABASE IF EXISTS lake")
        db.execute(f"ATTACH '{self.catalogue}' AS lake (READ_ONLY)")
        db.execute("SET search_path = 'lake.main,memory.main'")
        return True

    def locate(self, text: str) -> "list[Place]":
        """Return where a doc_id, a URI or the pages of a host lie: (dataset, version, data file, row) in every head that holds them."""
        from catalog.documents import locate

        with self._reading() as db:
            return locate(db, str(self.root), text)

    def why(self, text: str) -> list[dict[str, Any]]:
        """Return each document that `locate` finds with every column and every family: `dataset`, `version`, `path`, `row`, `document`."""
        from catalog.documents import read_one

        return [read_one(place) for place in self.locate(text)]

    def show(self, name: str, *, dropped: str | None = None, n: int = 10) -> list[dict[str, Any]]:
        """Return up to `n` documents of a snapshot, kept ones or those dropped for a reason ('' for any), from its sample first."""
        from catalog.documents import show

        with self._reading() as db:
            return show(db, str(self.root), name, dropped, n)

    def commit(self, draft: "Draft", *, take: bool = False) -> "Snapshot":
        """Publish a draft, whole or not at all, and return its snapshot; a key that was published gives the earlier one.

        `draft.parent` is the head that a replacement was made from (None: there was none): when the head has moved since,
        it is refused, while an append goes on top. `take` takes a dataset over from another recipe. Raises LakeError.
        """
        from catalog import entries, publishing

        entries.check_names(draft)
        with self._reading() as db:
            done = publishing.earlier(db, draft)
            if not done:
                publishing.refuse(db, draft, take)
                prepared = publishing.prepare(db, str(self.root), draft)
        if not done:
            finish = partial(publishing.finish, root=self.root, draft=draft, take=take, prepared=prepared)
            self._publish(finish, f"committing {draft.dataset}", prepared.stats)
        snapshot = self.has(draft.key)
        assert snapshot is not None, f"{draft.key} was published and is not there"
        return snapshot

    def record(self, tables: dict[str, list[dict[str, Any]]], run: str) -> None:
        """Add rows to open tables (run, mixture, train_run, model ...) of no dataset. The same rows twice are there once."""
        from catalog import entries, publishing

        entry = entries.record(tables, run)
        self._publish(lambda db: None if publishing.recorded(db, entry["key"]) else entry, f"recording {', '.join(tables)}")

    def _publish(
        self, make: "Callable[[duckdb.DuckDBPyConnection], Entry | None]", what: str, stats: "Sequence[Stat]" = ()
    ) -> list[str]:
        """Commit what `make` returns (None: nothing) for the catalogue as it is under the lock. Returns warnings about views."""
        from catalog.publishing import write

        with commits.hold(self.root, what, self.lock_timeout), self._sound():
            commits.reach("locked")
            number = commits.recover(self.root)
            engine = self._versions.engine
            with self._reading() if number else engine.cursor() as db:
                entry = make(db)
            lines = write(engine, self.root, number, entry, stats) if entry is not None else []
        self.refresh()
        return lines

    def moved(self) -> list[str]:
        """Make every view again for where the lake's folder is now. Returns one line for each that cannot be made."""
        return self._write("moved", "making the views again")

    def rebuild(self) -> list[str]:
        """Make the catalogue again from the log; see `rebuild`, which needs no lake that opens."""
        return rebuild(self.root, lock_timeout=self.lock_timeout)

    def gc(self, *, apply: bool = False, grace: float | None = None) -> "list[Garbage]":
        """Return the files that no snapshot refers to and that are older than `grace` seconds (a day); delete them only on `apply`."""
        from catalog import garbage

        grace = garbage.GRACE if grace is None else grace
        if not grace >= 0:
            raise LakeError(f"a grace of {grace / 3600:g} hours is not 0 or more")
        if not apply:
            return garbage.find(self.root, self._named(), grace)
        with commits.hold(self.root, "collecting garbage", self.lock_timeout):
            found = garbage.find(self.root, self._named(), grace)
            garbage.remove(self.root, found)
            return found

    def _named(self) -> set[str]:
        named = "SELECT path FROM member UNION SELECT path FROM locator UNION SELECT path FROM quarantine_file"
        return {row["path"] for row in self.rows(named)}


def rebuild(path: str | Path, *, lock_timeout: float = 60.0) -> list[str]:
    """Make a lake's catalogue again from its log. Returns one line for each dataset whose views cannot be made."""
    import duckdb

    from catalog import publishing

    root = Path(os.path.realpath(path))
    if not (root / "commits").is_dir():
        raise LakeError(f"{path}: there is no lake here, not even its log")
    try:
        with connect() as engine:
            return publishing.rebuild(engine, root, lock_timeout)
    except duckdb.Error as error:
        raise WorkError(f"{root}: the log cannot be applied: {one_line(error)}") from error
