"""One table of predicates, three engines: polars, DuckDB and Spark say the same of every row; the rest is refused."""

import datetime as dt
import math
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.dialects import said, sql
from catalog.errors import PolicyError
from catalog.predicates import columns, functions, parse, typed
from tests.spark_making import local_session

ROWS = 60
NUMBERS = [None, 0.0, -2.5, 2.5, math.nan, 0.285, 1e9, -0.0, math.inf, 3.5, 1 / 3]
COUNTS = [None, 0, -7, 7, 50, 10**12]


def documents() -> pl.DataFrame:
    """Every kind of value a signal or a column may have, nulls and NaN among them, against each other."""

    def cycle(values: list[Any], step: int = 1) -> list[Any]:
        return [values[(i * step) % len(values)] for i in range(ROWS)]

    scores = [
        None if i % 7 == 3 else {"n": n, "r": r, "code": c}
        for i, (n, r, c) in enumerate(zip(cycle(COUNTS, 5), cycle(NUMBERS, 3), cycle(["en", "de", None]), strict=True))
    ]
    return pl.DataFrame(
        {
            "doc_id": [f"{i:03d}" for i in range(ROWS)],
            "domain": cycle(["web", "code", None, "books", "It's"]),
            "text": cycle(["Héllo W", "", None, "日本語 text", "a%b_c", "two\nlines", "🙂"]),
            "x": cycle(NUMBERS),
            "i": cycle(COUNTS),
            "flag": cycle([True, False, None]),
            "date": cycle([dt.date(2020, 1, 1), None, dt.date(2024, 2, 29)]),
            "source": [
                {"fetched_at": f, "path": p} for f, p in zip(cycle([dt.datetime(2020, 1, 1, 5), None]), cycle(["a", "b/c"]), strict=True)
            ],
            "g": scores,
        },
        schema_overrides={"g": pl.Struct({"n": pl.Int64, "r": pl.Float64, "code": pl.String}), "i": pl.Int64},
    )  # fmt: skip


DOCUMENTS = documents()
KNOWN: dict[str, str] = {"doc_id": "string", "domain": "string", "text": "string", "x": "double", "i": "int64", "flag": "bool", "date": "date32[day]"}
KNOWN |= {"source": "struct", "source.fetched_at": "timestamp[us]", "source.path": "string", "g": "struct", "g.n": "int64", "g.r": "double", "g.code": "string"}

GOLDEN = (Path(__file__).parent / "golden" / "predicates.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("predicates") / "documents.parquet"
    DOCUMENTS.write_parquet(path)
    assert {f.name for f in pq.read_schema(path)} == {name for name in KNOWN if "." not in name}
    return str(path)


def plain(values: list[Any]) -> list[Any]:
    """Values as they compare: NaN equals NaN, 2 equals 2.0."""
    return ["nan" if isinstance(v, float) and math.isnan(v) else float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]


def by_polars(node: Any) -> list[Any]:
    return plain(said(DOCUMENTS, node).to_list())


def by_duckdb(node: Any, table: str) -> list[Any]:
    return plain([row[0] for row in duckdb.sql(f"SELECT {sql(node)} FROM '{table}' ORDER BY doc_id").fetchall()])


@pytest.mark.parametrize("text", GOLDEN)
def test_polars_and_duckdb_say_the_same(text: str, table: str) -> None:
    node = typed(parse(text), KNOWN)
    assert by_polars(node) == by_duckdb(node, table)


@pytest.mark.spark
@pytest.mark.slow
def test_spark_says_the_same(table: str) -> None:
    nodes = [typed(parse(text), KNOWN) for text in GOLDEN]
    read = local_session().read.parquet(table).orderBy("doc_id")
    rows = read.selectExpr(*[f"{sql(node)} AS said_{i}" for i, node in enumerate(nodes)]).collect()
    for i, (text, node) in enumerate(zip(GOLDEN, nodes, strict=True)):
        assert plain([row[i] for row in rows]) == by_polars(node), text


def test_what_a_person_expects() -> None:
    """Not only equal everywhere, but right: NULL is unknown, NaN is the greatest number, a struct that is null has null fields."""
    texts = ("x > 0", "NOT domain = 'web'", "domain = 'web' AND g.n > 5", "i % 3", "round(x)", "length(text)")
    found = {text: by_polars(typed(parse(text), KNOWN)) for text in texts}
    assert found["x > 0"][:6] == [None, False, False, True, True, True]
    assert found["NOT domain = 'web'"][:4] == [False, True, None, True]
    assert found["domain = 'web' AND g.n > 5"][1] is False
    assert found["i % 3"][:5] == [None, 0.0, -1.0, 1.0, 2.0]
    assert found["round(x)"][:4] == [None, 0.0, -3.0, 3.0]
    assert found["length(text)"][:7] == [7.0, 0.0, None, 8.0, 5.0, 9.0, 1.0]


REFUSED = {
    "x > 0; DROP TABLE t": "';' is not shared SQL; one predicate, no ;",
    'domain = "web"': "strings take single quotes",
    "Domain = 'web'": "write names in small letters",
    "regexp_matches(text, 'a')": "no function 'regexp_matches' that all engines share",
    "lenght(text) > 3": "did you mean 'length'",
    "isnan(x)": "'isnan' is not in the SQL that all engines share",
    "i IN (SELECT 1)": "'SELECT' is not in the SQL",
    "text ILIKE 'a'": "'ILIKE' is not in the SQL",
    "cast(i AS double) > 1": "'cast' is not in the SQL",
    "text LIKE 'a\\%'": "without a backslash",
    "text LIKE domain": "LIKE takes a string",
    "i / 0 > 1": "takes a constant that is not zero",
    "i / x > 1": "takes a constant that is not zero",
    "x % 0.1 < 0.05": "% takes a whole number",
    "x = 1e400": "too large for a double",
    "i % g.n = 1": "takes a constant that is not zero",
    "i IN (1, NULL)": "not expected here",
    "i IN (x)": "IN takes numbers and strings",
    "i = NULL": "not expected here",
    "1 = 1": "reads no column",
    "round(x, 2) > 1": "round takes 1 arguments, not 2",
    "x >": "ends too early",
    "x > 0 x": "'x' is not expected here",
    "(x > 0": ") expected, not the end",
    "x NOT > 3": "NOT stands before",
    "x IS 3": "IS takes [NOT] NULL",
    "CASE x WHEN 1 THEN 2 END": "CASE takes WHEN",
    "i > 99999999999999999999": "too large for a bigint",
    "x > 1.2.3": "not shared SQL",
    "domian = 'web'": "no column 'domian'; did you mean 'domain'",
    "g.m > 1": "'g' has no signal 'm'",
    "gofer.n > 1": "no family 'gofer'",
    "domain > 5": "string and number do not compare",
    "x + domain > 1": "+ takes a number, not a string",
    "lower(x) = 'a'": "lower takes a string, not a number",
    "x AND flag": "AND takes a boolean, not a number",
    "g > 1": "nested and number do not compare",
    "date > 'yesterday'": "'yesterday' is not a date",
    "source.fetched_at > '2020-01-01T00:00:00+02:00'": "times are UTC",
    "CASE WHEN flag THEN 1 ELSE 'a' END = 1": "CASE takes a number, not a string",
    "x > 0 AND " * 500 + "x > 0": "longer than 4000",
    "(" * 80 + "x > 0" + ")" * 80: "nested too deep",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_engines_do_not_share_is_refused(text: str) -> None:
    with pytest.raises(PolicyError) as refused:
        typed(parse(text, "p.yaml:3: "), KNOWN, "p.yaml:3: ")
    assert REFUSED[text] in str(refused.value) and str(refused.value).startswith("p.yaml:3: ")


def test_what_a_predicate_reads() -> None:
    node = parse("domain = 'web' AND (g.n < 5 OR length(text) > 3) AND g.n > 1")
    assert columns(node) == ("domain", "g.n", "text") and functions(node) == {"length"}


numbers = st.sampled_from(["x", "i", "g.n", "g.r", "2", "0.5", "-7", "1e3"])
strings = st.sampled_from(["domain", "g.code", "source.path", "'web'", "'en'", "''"])


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(inner, st.sampled_from(["/ 3", "/ -2.5", "/ 7", "% 3", "% -2", "% 7"])).map(" ".join).map("({})".format),
        inner.map("abs({})".format), inner.map("round({})".format), inner.map("- ({})".format),
        st.tuples(inner, inner).map(lambda t: f"greatest({t[0]}, {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"coalesce({t[0]}, {t[1]})"),
        st.tuples(inner, inner).map(lambda t: f"CASE WHEN flag THEN {t[0]} ELSE {t[1]} END"),
    )  # fmt: skip


reals = st.recursive(st.sampled_from(["x", "g.r", "2.5", "1e3"]), larger, max_leaves=4)
compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
atoms = st.one_of(
    st.tuples(reals, compare, reals).map(" ".join),
    st.tuples(numbers, compare, numbers).map(" ".join),
    st.tuples(strings, compare, strings).map(" ".join),
    st.tuples(numbers, numbers, numbers).map(lambda t: f"{t[0]} NOT BETWEEN {t[1]} AND {t[2]}"),
    st.sampled_from(["flag", "text LIKE '%l_o%'", "text NOT LIKE 'a%'", "domain IN ('web', 'It''s')", "g.n NOT IN (7, -7)", "g IS NULL", "x IS NOT NULL"]),
)
wholes = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"), inner.map("NOT ({})".format)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(text=wholes)
def test_any_predicate_says_the_same(text: str, table: str) -> None:
    """Double arithmetic alone: a bigint that overflows is an error to DuckDB and Spark, and no signal comes near one."""
    try:
        node = typed(parse(text), KNOWN)
    except PolicyError as refused:
        assert "reads no column" in str(refused)
        return
    assert by_polars(node) == by_duckdb(node, table)


def test_arrow_types_have_kinds() -> None:
    """The names that predicates are checked against are Arrow's own."""
    for kind, text in ((pa.int32(), "i = 1"), (pa.float32(), "i = 1"), (pa.large_string(), "i = 'a'"), (pa.timestamp("us"), "i = '2020-01-01'")):
        assert typed(parse(text), {"i": str(kind)}).kind == "boolean"
