"""`headrace dedup`: ask what the lake has already. The work is done elsewhere."""

from typing import Annotated

import typer

from headrace.options import JsonOption, LakeOption, lake_path

app = typer.Typer(no_args_is_help=True, help="Ask by text, not by name: have we this already, and where.", rich_markup_mode=None)


@app.callback()
def dedup() -> None:
    """Ask by text, not by name: have we this already, and where."""


@app.command("query")
def dedup_query(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A text, an HTML page, a .jsonl(.gz), .csv or .parquet table of documents; - reads a text.")],
    in_: Annotated[list[str] | None, typer.Option("--in", metavar="DATASET", help="Look into this one, such as corpus@v3; else all with dedup:.")] = None,
    least: Annotated[float, typer.Option("--least", min=0.0, max=1.0, metavar="JACCARD", help="The smallest share of word n-grams that is shown.")] = 0.5,
    n: Annotated[int, typer.Option("-n", min=1, help="Documents shown for each that is asked about.")] = 5,
    column: Annotated[str | None, typer.Option("--column", metavar="NAME", help="The table's column of text; else `text`.")] = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Say where the lake has a text, exactly or nearly, and what became of it there.

    The text is sketched as the dataset's own documents were when `dedup:` searched them; what shares a band with it is read and
    compared word n-gram by word n-gram, so each Jaccard is a true one. Shown are dataset and version, doc_id, URI, whether it was
    kept or for what reason it was dropped, and its cluster. The last lines say how surely a document is found at which Jaccard: what
    is less like than the dataset's bands were made for may be missed. Nothing is written. Exit code 0 with hits and without.
    """
    from headrace.having import query

    query(lake_path(lake), file, tuple(in_ or ()), least, n, column, json_)
