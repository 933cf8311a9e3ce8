"""`headrace policy`: try one, apply one, fit one to the languages of a dataset. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from headrace.options import JsonOption, LakeOption, LockOption, lake_path

app = typer.Typer(no_args_is_help=True, help="Try a policy on a dataset's sample, apply it, or fit it to the dataset's languages.", rich_markup_mode=None)

OnOption = Annotated[str, typer.Option("--on", metavar="DATASET", help="The dataset to judge.")]
PolicyArgument = Annotated[str, typer.Argument(help="A policy file, or a name: of one in ./policies, or of headrace's own.")]


ParameterOption = Annotated[list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Override a parameter of the policy, such as min_words=100.")]


@app.command("try")
def policy_try(
    policy: PolicyArgument,
    on: OnOption,
    exact: Annotated[bool, typer.Option("--exact", help="Over every row, not the sample.")] = False,
    settings: ParameterOption = None,
    grid: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN=V,V", help="Try several values of a threshold or a parameter, such as gopher.n_words=50,100.")
    ] = None,
    samples: Annotated[int | None, typer.Option(metavar="N", min=0, help="Documents shown on each side of a threshold; 10, or with --grid none.")] = None,
    json_: JsonOption = False,
    lake: LakeOption = None,
) -> None:
    """Say what a policy would keep and drop, by reason, and what changes, without writing anything."""
    from headrace.trying import Asked, show_try

    show_try(lake_path(lake), Asked(policy, on, exact, tuple(settings or ()), tuple(grid or ()), samples), json_)


@app.command("apply")
def policy_apply(
    policy: PolicyArgument,
    on: OnOption,
    settings: ParameterOption = None,
    lake: LakeOption = None,
    lock_timeout: LockOption = 60.0,
) -> None:
    """Judge a dataset by a policy and publish the verdicts; no signal is computed."""
    from headrace.judging import apply_policy

    apply_policy(lake_path(lake), policy, on, tuple(settings or ()), lock_timeout)


@app.command("fit")
def policy_fit(
    policy: PolicyArgument,
    on: OnOption,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a policy that extends it with what was found.")] = None,
    least: Annotated[int, typer.Option("--least", min=1, help="Documents that a language must have.")] = 100,
    where: Annotated[str | None, typer.Option("--where", metavar="PREDICATE", help="The documents to learn from, such as domain = 'reference'.")] = None,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query and run nothing.")] = False,
    lake: LakeOption = None,
) -> None:
    """Find the parameters of a policy language by language, by one query over a dataset's signals."""
    from headrace.limits import show_fit

    show_fit(str(lake_path(lake)), policy, on, out, least, where, sql)


@app.command("stop-words")
def policy_stop_words(
    on: OnOption,
    out: Annotated[Path | None, typer.Option("--out", metavar="FOLDER", help="Write the lists to a file there, for stop_words.signals.")] = None,
    share: Annotated[float, typer.Option("--share", min=0.0, max=1.0, help="Of a language's words that one must be.")] = 0.008,
    least: Annotated[int, typer.Option("--least", min=1, help="Documents of the sample that a language must have.")] = 100,
    most: Annotated[int, typer.Option("--most", min=1, max=64, help="Words of a language.")] = 24,
    lake: LakeOption = None,
) -> None:
    """Find each language's stop words in a dataset's sample."""
    from headrace.limits import show_stop_words

    show_stop_words(str(lake_path(lake)), on, out, share, least, most)
