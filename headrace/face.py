"""The lake in Python: lazy relations over a scratch database of my own, beside the catalogue.

    import headrace as hr
    lake = hr.open("lake")
    lake["corpus@v3"].pl()
"""

from types import TracebackType
from typing import Any

from catalog.errors import QueryError
from catalog.lake import Lake


def open(path: str = "lake") -> "Face":
    """Open a lake for reading. Raises LakeError when there is none."""
    return Face(Lake.open(path))


class Face:
    """A lake for notebooks. Your own tables and views go into `memory`, as in CREATE TABLE memory.mine; the lake is read-only beside it."""

    def __init__(self, lake: Lake) -> None:
        self.lake = lake
        self.db = lake.attached()

    def __getitem__(self, name: str) -> "Dataset":
        return Dataset(self, name)

    def sql(self, query: str) -> Any:
        """Return a lazy DuckDB relation; data.corpus, audit.corpus, funnel ... and your own tables are in sight."""
        return self.db.sql(query)

    def refresh(self) -> bool:
        """See what was published since. Your own tables go on. Returns whether anything was."""
        return self.lake.attach(self.db)

    def datasets(self) -> list[str]:
        """The names of all datasets."""
        return self.lake.datasets()

    def close(self) -> None:
        """Let go of the lake."""
        self.db.close()
        self.lake.close()

    def __enter__(self) -> "Face":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<lake {self.lake.root}, version {self.lake.version}: {', '.join(self.datasets()) or 'empty'}>"


class Dataset:
    """One version of a dataset: a name until it is asked for rows."""

    def __init__(self, face: Face, name: str) -> None:
        self.face, self.name = face, name
        self.snapshot = face.lake.snapshot(name)

    @property
    def relation(self) -> Any:
        """The rows kept, as a lazy DuckDB relation."""
        return self.face.db.sql(self.face.lake.select(self.name))

    def pl(self) -> Any:
        """All rows kept, as a polars DataFrame."""
        return self.relation.pl()

    def df(self) -> Any:
        """All rows kept, as a pandas DataFrame."""
        return self.relation.df()

    def arrow(self) -> Any:
        """All rows kept, as an Arrow table."""
        return self.relation.to_arrow_table()

    def sample(self, n: int = 1000) -> Any:
        """Up to `n` rows kept of the fixed sample that every version has, lowest hash first: the same ones each time, from all files.

        A polars DataFrame. Raises LakeError for a dataset without a sample, QueryError for an `n` under 0.
        """
        import polars as pl

        from catalog.schema import hash_column

        if n < 0:
            raise QueryError(f"sample({n}): n is 0 or more")
        kept = f"({self.face.lake.select(self.name, 'sample')}) WHERE kept"
        ids = self.face.db.sql(f"SELECT doc_id FROM {kept}").pl()["doc_id"]
        order = pl.DataFrame({"doc_id": ids, "hash": hash_column(ids)}).sort("hash", "doc_id").head(n)
        found = self.face.db.sql(f"SELECT * FROM {kept} AND doc_id IN (SELECT unnest(?))", params=[order["doc_id"].to_list()]).pl()
        return order.select("doc_id").join(found, on="doc_id", how="left", maintain_order="left").select(found.columns)

    def __repr__(self) -> str:
        s = self.snapshot
        return f"<{s.name}: {s.kept:,} of {s.rows:,} rows kept, about {s.tokens:,} tokens, of {s.created:%Y-%m-%d %H:%M}>"
