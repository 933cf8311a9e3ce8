"""The command line: what each command takes, and how an error is said. The work is done elsewhere."""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from catalog.errors import HeadraceError, InputError, near
from headrace import dedup, policies
from headrace.options import JsonOption, LakeOption, LockOption, Settings, lake_path

ClickError: Any = typer.BadParameter.__mro__[2]
"""What typer's own click raises for a command line that it cannot read; typer does not export it."""

app = typer.Typer(
    name="headrace",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Lead text from the open web to a trained model, and account for every drop on the way.",
    epilog="Exit codes: 0 done, 1 the work failed, 2 the input is wrong, 130 interrupted (run again to go on).",
)
app.add_typer(policies.app, name="policy")
app.add_typer(dedup.app, name="dedup")


@app.command()
def init(
    kind: Annotated[str, typer.Argument(help="curate, pretrain, sft or synth")],
    out: Annotated[Path | None, typer.Option(help="Where to write it; else KIND.yaml here.")] = None,
) -> None:
    """Write a commented recipe for my own files."""
    from headrace.starts import start

    typer.echo(start(kind, out or Path(f"{kind}.yaml")))


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    only: Annotated[str | None, typer.Option(metavar="PART,...", help="Only these parts: curate.corpus, or curate for the section.")] = None,
    settings: Settings = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most N documents an ingest part: a quick look.")] = None,
    force: Annotated[list[str] | None, typer.Option(metavar="PART", help="Do this part again though it is done.")] = None,
    master: Annotated[str | None, typer.Option(metavar="URL", help="Run ingest and curate on this Spark master.")] = None,
    conf: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="A Spark setting.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Go on in the background; `headrace jobs` shows it.")] = False,
    take: Annotated[bool, typer.Option("--take", help="Take over a dataset, or the name of a model, that another recipe made.")] = False,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Run a recipe: what is done is skipped, what was killed goes on where it was."""
    from headrace.river import Options, flow

    options = Options(
        recipe=str(recipe),
        only=tuple(filter(None, (only or "").split(","))),
        settings=tuple(settings or ()),
        limit=limit,
        force=tuple(force or ()),
        master=master,
        conf=tuple(conf or ()),
        take=take,
        lake=lake,
        lock_timeout=lock_timeout,
    )
    flow(options, detach=detach)


@app.command()
def plan(
    recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")],
    settings: Settings = None,
    limit: Annotated[int | None, typer.Option(min=1, help="As for run.")] = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Show the parts, their sizes, the disk and memory needed, and what is done."""
    from headrace.plan import show_plan

    show_plan(str(recipe), tuple(settings or ()), limit, lake, json_)


@app.command()
def ls(lake: LakeOption = None, json_: JsonOption = False) -> None:
    """List the datasets, mixtures and models of the lake."""
    from headrace.look import show_datasets

    show_datasets(lake_path(lake), json_)


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as corpus or corpus@v3.")],
    dropped: Annotated[str | None, typer.Option(metavar="REASON", help="Show documents dropped for this reason; `any` for all.")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many; else 5, and with --out all.")] = None,
    json_: JsonOption = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Export all of them to a .jsonl or .parquet file instead.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of a file that is there.")] = False,
    lake: LakeOption = None,
) -> None:
    """Show or export documents of a dataset, masked and cut as its policy says: kept ones, or those dropped for a reason."""
    from headrace.look import export_documents, show_documents

    if out is not None and json_:
        raise InputError("show: --json prints; with --out the file's name says what it holds: .jsonl or .parquet")
    if out is None and overwrite:
        raise InputError("show: --overwrite is for --out FILE")
    if out is None:
        show_documents(lake_path(lake), dataset, dropped, n or 5, json_)
    else:
        export_documents(lake_path(lake), dataset, out, dropped, n, overwrite)


@app.command()
def sql(
    query: Annotated[str | None, typer.Argument(help="One SELECT; else it is read from standard input.")] = None,
    format_: Annotated[str, typer.Option("--format", metavar="table|csv|json", help="How to print it.")] = "table",
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a .parquet or .csv file instead.")] = None,
    with_: Annotated[list[str] | None, typer.Option("--with", metavar="NAME=FILE", help="Load a CSV, JSONL or Parquet file as a table first.")] = None,
    lake: LakeOption = None,
) -> None:
    """Query the catalogue: data.corpus, audit.corpus, stats.corpus, funnel, run, model ... in DuckDB's SQL."""
    from headrace.look import show_query

    show_query(lake_path(lake), query if query is not None else sys.stdin.read(), format_, out, tuple(with_ or ()))


@app.command()
def label(
    dataset: Annotated[str, typer.Argument(help="A dataset, such as corpus or corpus@v3.")],
    where: Annotated[str | None, typer.Option(metavar="SQL", help="Only documents of which this is true, such as \"kept AND domain = 'web'\".")] = None,
    n: Annotated[int | None, typer.Option("-n", min=1, help="How many to show; else all of the sample, until q.")] = None,
    labels: Annotated[str, typer.Option(metavar="NAME,NAME...", help="What there is to say.")] = "keep,drop",
    seed: Annotated[int, typer.Option(help="Another order.")] = 0,
    as_: Annotated[str, typer.Option("--as", metavar="SET", help="The set that the labels belong to.")] = "default",
    from_: Annotated[Path | None, typer.Option("--from", metavar="FILE", help="Take doc_id, label and reason from a CSV, JSONL or Parquet file.")] = None,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Label documents, one key a document: keep, drop, and why. `headrace sql "FROM label"` has them."""
    from headrace.labelling import Asked, label_by_hand, label_from_file

    asked = Asked(dataset, where, n, tuple(filter(None, labels.split(","))), seed, as_)
    if from_ is None:
        label_by_hand(lake_path(lake), asked, lock_timeout)
    elif where is not None or n is not None:
        raise InputError(f"label: --from {from_} names the documents itself; leave --where and -n out")
    else:
        label_from_file(lake_path(lake), asked, from_, lock_timeout)


@app.command()
def why(
    document: Annotated[str, typer.Argument(metavar="DOC_ID|URI", help="A document's id, or its URI.")],
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Tell where a document came from, every signal, verdict and duplicate, and where it went."""
    from headrace.why import show_why

    show_why(lake_path(lake), document, json_)


@app.command()
def contamination(
    name: Annotated[str | None, typer.Argument(metavar="DATASET|MIX", help="A dataset, or a mixture such as mix.base; else all that was scored.")] = None,
    json_: JsonOption = False,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a report, .html or .json, instead.")] = None,
    lake: LakeOption = None,
) -> None:
    """Show which items of evaluation sets stand in what is trained on."""
    from headrace.contamination import show_contamination

    show_contamination(lake_path(lake), name, json_, out)


@app.command()
def trace(
    model: Annotated[str, typer.Argument(help="A model of the lake.")],
    step: Annotated[int | None, typer.Option(help="The documents in that step's batch; else the sources with shares and licences.")] = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Trace a model to the documents that made it."""
    from headrace.trace import show_trace

    show_trace(lake_path(lake), model, step, json_)


@app.command("train-quality")
def train_quality(
    name: Annotated[str, typer.Argument(help="What the model is called; a stage then names it, as in `quality.score: {model: NAME}`.")],
    positive: Annotated[str | None, typer.Option(metavar="SELECT", help="Texts of the wanted kind: a SELECT that answers `text` (and `doc_id`).")] = None,
    negative: Annotated[str | None, typer.Option(metavar="SELECT", help="Texts of the other kind.")] = None,
    scores: Annotated[str | None, typer.Option(metavar="SELECT", help="Instead: `text` and a number `score` to learn.")] = None,
    target: Annotated[str | None, typer.Option(metavar="SELECT", help="Instead, with --raw: an importance weight towards these texts.")] = None,
    raw: Annotated[str | None, typer.Option(metavar="SELECT", help="The pool that the importance weight is against.")] = None,
    texts: Annotated[str | None, typer.Option(metavar="SELECT", help="Instead: an n-gram language model of these texts.")] = None,
    values: Annotated[str | None, typer.Option(metavar="SELECT", help="Instead: quantiles of these columns of numbers.")] = None,
    embed: Annotated[str | None, typer.Option(metavar="SELECT", help="Instead: word vectors of these texts.")] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="A knob of the fit, such as ngrams=3.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is held out.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Fit it again though nothing that it reads has changed.")] = False,
    take: Annotated[bool, typer.Option("--take", help="Take over the name of a model that a recipe made.")] = False,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Train a quality model in place from SQL, and store it in the lake with its metrics and lineage."""
    from headrace.fitting import train_quality as fit

    given = {"positive": positive, "negative": negative, "scores": scores, "target": target, "raw": raw, "texts": texts, "values": values, "embed": embed}
    fit(lake_path(lake), name, {key: query for key, query in given.items() if query is not None}, tuple(settings or ()), seed, force, take, lock_timeout)


@app.command()
def export(
    model: Annotated[str, typer.Argument(help="An n-gram language model of the lake (`texts:` of a quality part), or the folder of one.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file; gzip where it ends in .gz.")],
    to: Annotated[str, typer.Option(metavar="arpa", help="The form: ARPA, as KenLM and SRILM read and write it.")] = "arpa",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Take the place of a file that is there.")] = False,
    lake: LakeOption = None,
) -> None:
    """Write an n-gram language model as an ARPA file. One that others wrote is named in a recipe: `perplexity.signals: {model: ./en.arpa}`."""
    from headrace.arpa import export_model

    export_model(lake_path(lake), model, to, out, overwrite)


@app.command()
def ablate(
    variants: Annotated[list[str], typer.Argument(metavar="VARIANT...", help="Datasets, such as raw, corpus/strict or corpus@v3; the first is compared with.")],
    seeds: Annotated[int, typer.Option(help="Runs of each variant.")] = 3,
    budget: Annotated[str, typer.Option(metavar="TOKENS", help="Tokens of each run.")] = "400k",
    model: Annotated[str, typer.Option(metavar="PRESET", help="The model's shape.")] = "tiny",
    context: Annotated[int, typer.Option(min=2, help="Tokens a row.")] = 256,
    vocab: Annotated[str, typer.Option(metavar="N", help="Tokens of the tokenizer that all share.")] = "4096",
    weights: Annotated[str, typer.Option(metavar="same|natural|D=SHARE", help="Shares of domains: the first variant's, its own, or these.")] = "same",
    held_out: Annotated[str | None, typer.Option(metavar="DATASET", help="Judge on this; else on what all variants keep.")] = None,
    hold_out: Annotated[str | None, typer.Option(metavar="SHARE", help="How much of it; else about 100k tokens, or all of DATASET.")] = None,
    tokenizer: Annotated[str | None, typer.Option(metavar="DATASET", help="What the tokenizer is trained on; else the first variant.")] = None,
    max_epochs: Annotated[float, typer.Option(metavar="N", help="How often a domain may be read.")] = 4.0,
    confidence: Annotated[str, typer.Option(metavar="SHARE", help="Of the intervals.")] = "95%",
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="KNOB=VALUE", help="A knob of pre-training, such as batch=8.")] = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Train the same small model on equal tokens of each variant and say which text was better, and what is noise."""
    from headrace.ablating import Asked
    from headrace.ablating import ablate as do

    asked = Asked(
        tuple(variants), seeds, budget, model, context, vocab, weights, held_out, hold_out, tokenizer, max_epochs, confidence, tuple(settings or ()),
    )  # fmt: skip
    do(lake_path(lake), asked, json_, lock_timeout)


@app.command()
def adopt(
    part: Annotated[str, typer.Argument(help="A part, such as curate.corpus, whose output is still right.")],
    recipe: Annotated[Path, typer.Option("--recipe", help="The recipe that it belongs to.")],
    settings: Settings = None,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Accept a part's existing output after a harmless change, on the record."""
    from headrace.adopt import adopt_part

    adopt_part(str(recipe), part, tuple(settings or ()), lake, lock_timeout)


@app.command()
def jobs(json_: JsonOption = False, lake: LakeOption = None) -> None:
    """List the runs of this lake with their state and progress."""
    from headrace.jobs import show_jobs

    show_jobs(lake_path(lake), json_)


@app.command()
def logs(
    run: Annotated[str, typer.Argument(help="A run, as `headrace jobs` names it; `last` for the latest.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it grows.")] = False,
    lake: LakeOption = None,
) -> None:
    """Print the log of a run."""
    from headrace.jobs import show_log

    show_log(lake_path(lake), run, follow)


@app.command()
def cancel(run: Annotated[str, typer.Argument(help="A run, as `headrace jobs` names it.")], lake: LakeOption = None) -> None:
    """Stop a run; what it finished stays, and running again goes on from there."""
    from headrace.jobs import cancel_run

    cancel_run(lake_path(lake), run)


@app.command()
def gc(
    apply: Annotated[bool, typer.Option("--apply", help="Delete; else only list.")] = False,
    grace: Annotated[float, typer.Option(metavar="HOURS", help="Spare files younger than this.")] = 24.0,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """List the files that no snapshot refers to; with --apply, delete them."""
    from headrace.look import collect_garbage

    collect_garbage(lake_path(lake), apply, grace, lock_timeout)


@app.command()
def fetch(
    packages: Annotated[list[str], typer.Argument(metavar="NAME==VERSION...", help="Packages of the Python index.")],
    to: Annotated[Path, typer.Option(help="The folder for their files.")] = Path("packages"),
) -> None:
    """Fetch packages as files for a `code:` part to read, where pip looks for them; nothing of them is run."""
    from headrace.packages import fetch_packages

    for path in fetch_packages(packages, to):
        typer.echo(path)


@app.command()
def ship(
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("dist"),
    env: Annotated[bool, typer.Option("--env", help="Pack the worker environment too.")] = False,
) -> None:
    """Pack the rooms into one zip that Spark executors can import."""
    from headrace.ship import ship_rooms

    typer.echo(ship_rooms(out, env=env))


@app.command()
def doctor(
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build the catalogue anew from its commit log.")] = False,
    moved: Annotated[bool, typer.Option("--moved", help="Build the views anew after the lake's folder moved.")] = False,
    json_: JsonOption = False,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Check this machine: what is missing, and how to get it."""
    if rebuild and moved:
        raise InputError("doctor: --rebuild makes the views anew too; give it or --moved, not both")
    if rebuild or moved:
        from headrace.look import repair

        repair(lake_path(lake), rebuild, lock_timeout)
    else:
        from headrace.doctor import show_doctor

        raise typer.Exit(show_doctor(json_))


def main() -> NoReturn:
    """Run a command. An error of the user's is one line on stderr and exit code 2, never a traceback."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        command = typer.main.get_command(app)
        code: Any = command.main(prog_name="headrace", standalone_mode=False)
        if code == 130:  # typer makes this of a KeyboardInterrupt, and says nothing
            raise KeyboardInterrupt
        sys.exit(code if isinstance(code, int) else 0)
    except HeadraceError as error:
        fail(str(error), error.exit_code)
    except ClickError as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a bare `headrace`: its help is the answer
            typer.echo(error.format_message())
            sys.exit(2)
        fail(_usage(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        fail("interrupted; run the same command to go on where it was", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def fail(line: str, code: int) -> NoReturn:
    """Say one line on stderr and end."""
    print(f"headrace: {' '.join(line.split())}", file=sys.stderr)
    sys.exit(code)


def _usage(error: Any) -> str:
    """What is wrong with a command line, in one line, and where to read about it."""
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "headrace"
    command = path.removeprefix("headrace").strip()
    known = [name for p in context.command.params for name in p.opts] if context else []
    option = getattr(error, "option_name", None)
    said = f"no option {option}{near(option, known)}" if option and "No such option" in str(error) else error.format_message()
    return f"{command + ': ' if command else ''}{said.rstrip('.')} ({path} --help says more)"
