"""Parameters of a policy fitted to a corpus, language by language, by one SQL query over its signals (Penedo et al. 2025, sections 4.2 and 4.4.2).

    fit:
      least_score: {of: language.score, rule: median_deviation, low: 0.3, high: 0.9}   # median less deviation, kept between the two
      most_lines: {of: gopher.dup_line_frac, rule: deviations, english: 0.3}           # as many deviations from the mean as .3 is in English
      least_letters: {of: gopher.alpha_words, rule: share, english: 0.8}               # so that the share is dropped that .8 drops in English
      most_newlines: {of: fineweb.newline_ratio, rule: quantile, at: 0.9}              # so that a tenth is dropped
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from catalog.errors import PolicyError, near
from catalog.predicates import parse
from curate.clauses import By, Value, constant, worded
from curate.sheets import Sheet

RULES = {"median_deviation": (), "deviations": ("english",), "share": ("english",), "quantile": ("at",)}
"""What each rule needs to be told."""
BY, REFERENCE = "language.code", "en"
DIGITS = 3


@dataclass(frozen=True)
class Rule:
    """How one parameter is found: `of` is a number of each document."""

    name: str
    of: str
    rule: str
    numbers: Mapping[str, float]


def rules(sheet: Sheet) -> list[Rule]:
    """Return how a policy's parameters are fitted, those of what it extends among them. Raises PolicyError with file and line."""
    found = {rule.name: rule for parent in reversed(sheet.parents) for rule in rules(parent.sheet)}
    for key, given in (sheet.given.get("fit") or {}).items():
        at = f"{sheet.where('fit', str(key))}fit: {key}: "
        found[str(key)] = _rule(str(key), given, at)
        known = [*_declared(sheet)]
        if key not in known:
            raise PolicyError(f"{at}no parameter {key!r}{near(str(key), known) or '; give it a value under params:'}")
    return list(found.values())


def _declared(sheet: Sheet) -> Iterator[str]:
    yield from map(str, sheet.given.get("params") or {})
    for parent in sheet.parents:
        yield from _declared(parent.sheet)


def _rule(name: str, given: Any, at: str) -> Rule:
    if not isinstance(given, dict) or not {"of", "rule"} <= set(given):
        raise PolicyError(f"{at}takes of: a signal, and rule: {', '.join(RULES)}")
    if given["rule"] not in RULES:
        raise PolicyError(f"{at}no rule {given['rule']!r}{near(str(given['rule']), RULES)}")
    needs = RULES[given["rule"]]
    for key in given:
        if key not in ("of", "rule", "low", "high", *needs):
            raise PolicyError(f"{at}unknown key {key!r}{near(str(key), ('of', 'rule', 'low', 'high', *needs))}")
    missing = [key for key in needs if key not in given]
    if missing:
        raise PolicyError(f"{at}{given['rule']} needs {missing[0]}:")
    parse(worded(given["of"], f"{at}of: "), f"{at}of: ")
    numbers = {key: constant(value, f"{at}{key}: ") for key, value in given.items() if key not in ("of", "rule")}
    for key, value in numbers.items():
        if not isinstance(value, int | float):
            raise PolicyError(f"{at}{key}: {value!r} is no number")
    if not 0 <= float(numbers.get("at", 0)) <= 1:
        raise PolicyError(f"{at}at: {numbers['at']} is no share; give 0 to 1")
    return Rule(name, given["of"], given["rule"], {key: float(value) for key, value in numbers.items()})


def query(found: Sequence[Rule], dataset: str, *, by: str = BY, where: str | None = None, least: int = 100) -> str:
    """Return the SELECT that finds the parameters: one row a language, with its documents and a column for each parameter.

    `where` is a predicate that chooses documents; languages with fewer than `least` of them are left out. What English says is taken
    from English documents among them; without any, `english` itself is what a parameter is.
    """
    table = f'audit."{dataset}"'
    chosen = f"{by} IS NOT NULL" + (f" AND ({where})" if where else "")
    told = [line for place, rule in enumerate(found) for line in _reference(place, rule)]
    english = f"WITH english AS (\n  SELECT {', '.join(told) or '1'}\n  FROM {table} WHERE {by} = '{REFERENCE}'{f' AND ({where})' if where else ''}\n)\n"
    columns = "".join(f',\n  round({_clamped(_found(place, rule), rule)}, {DIGITS}) AS "{rule.name}"' for place, rule in enumerate(found))
    rest = f'FROM {table}, english\nWHERE {chosen}\nGROUP BY ALL HAVING count(*) >= {least}\nORDER BY documents DESC, "by"'
    return f'{english}SELECT {by} AS "by", count(*) AS documents{columns}\n{rest}'


def _reference(place: int, rule: Rule) -> list[str]:
    if rule.rule == "deviations":
        return [f"(({rule.numbers['english']!r} - avg({rule.of})) / nullif(stddev_pop({rule.of}), 0)) AS z{place}"]
    return [f"avg(({rule.of} < {rule.numbers['english']!r})::INTEGER) AS p{place}"] if rule.rule == "share" else []


def _found(place: int, rule: Rule) -> str:
    of = rule.of
    if rule.rule == "median_deviation":
        return f"median({of}) - stddev_pop({of})"
    if rule.rule == "quantile":
        return f"quantile_cont({of}, {rule.numbers['at']!r})"
    if rule.rule == "deviations":
        return f"coalesce(avg({of}) + any_value(z{place}) * stddev_pop({of}), {rule.numbers['english']!r})"
    return f"coalesce(list({of} ORDER BY {of})[1 + floor(any_value(p{place}) * (count({of}) - 1))::BIGINT], {rule.numbers['english']!r})"


def _clamped(value: str, rule: Rule) -> str:
    low, high = rule.numbers.get("low"), rule.numbers.get("high")
    value = value if low is None else f"greatest({low!r}, {value})"
    return value if high is None else f"least({high!r}, {value})"


def fitted(found: Sequence[Rule], rows: Sequence[Mapping[str, Any]], declared: Mapping[str, Value], *, by: str = BY) -> dict[str, dict[str, Any]]:
    """Return the parameters as a policy writes them: by language, and otherwise as they were declared. One that no language has is left out."""
    params = {}
    for rule in found:
        cases = {str(row["by"]): row[rule.name] for row in rows if row[rule.name] is not None}
        was = declared[rule.name]
        otherwise = was.otherwise if isinstance(was, By) else was
        if cases:
            params[rule.name] = {"by": by, **cases, **({} if otherwise is None else {"otherwise": otherwise})}
    return params


def written(extends: str, params: Mapping[str, Any], note: str) -> str:
    """Return the text of a policy that extends another with fitted parameters."""
    lines = "".join(f"# {line}\n" for line in note.splitlines())
    body = "".join(f"  {name}: {_flow(value)}\n" for name, value in params.items())
    return f"{lines}extends: {extends}\nparams:\n{body}"


def _flow(value: Mapping[str, Any]) -> str:
    text: str = yaml.safe_dump(dict(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=10**6)
    return text.strip()
