"""Which lists an address is on: by hand, as datatrove's filter decides, and for addresses of any kind."""

import json
import os
import random
import subprocess
import tarfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.errors import InputError, SetupError
from curate import urls
from curate.listed.files import located
from curate.listed.hosts import SUFFIXES, host, registered

HERE = Path(__file__).resolve().parent
DROPS = (  # datatrove's rules in its order, said of our columns
    ("domain", pl.col("domain_list").is_not_null()), ("subdomain", pl.col("host_list").is_not_null()), ("url", pl.col("url_list").is_not_null()),
    ("hard_blacklisted", pl.col("hard_word").is_not_null()), ("soft_blacklisted", pl.col("soft_words") >= 2),
    ("blacklisted_subword", pl.col("substring").is_not_null()),
)  # fmt: skip


def reasons(addresses: list[str]) -> list[str | None]:
    found = urls.listed(pl.DataFrame({"uri": addresses}))
    return found.select(pl.coalesce(pl.when(rule).then(pl.lit(name)) for name, rule in DROPS)).to_series().to_list()


def member(name: str) -> list[str]:
    with tarfile.open(located(urls.BUNDLE, "a test"), "r:gz") as archive:
        file = archive.extractfile(name)
        assert file is not None
        return file.read().decode().splitlines()


def addresses() -> list[str]:
    """Under every public suffix, on the lists and beside them, of banned words, and of odd forms."""
    dice, made = random.Random(4), []
    rules = located(SUFFIXES, "a test").read_text(encoding="utf-8").splitlines()
    for rule in (line.split()[0] for line in rules if line.strip() and not line.startswith("//")):
        name = rule.lstrip("!").replace("*", dice.choice(["any", "www", "x-y"]))
        made += [f"http://{dice.choice(['', 'a.', 'b.a.', 'c.b.a.'])}{name}/p", f"https://shop.{name}:8080?q#f"]
        if not name.isascii():
            made.append(f"http://a.{name.encode('idna').decode()}/")
    domains, pages = member("domains"), member("urls")
    for name in dice.sample(domains, 6000):
        made += [f"http://{name}/", f"https://www.{name}/a?b", f"http://{name[1:]}/", f"http://u:p@{name}.:80/"]
    made += pages[:300] + [f"http://{page}" for page in pages[300:600]] + [page[:-1] for page in pages[600:700]]
    hard, soft, runs = (words.to_list() for words in urls._words())
    for _ in range(4000):
        words = dice.choices([*hard, *soft, *runs, "weir", "mill", "SEX", "Porn", "x"], k=dice.randint(1, 5))
        made.append("https://example.org/" + dice.choice(["-", "/", "_", "%20", "", "é"]).join(words) + dice.choice(["", "/", ".html", "X"]))
    odd = [
        "//xvideos.com/a", "xvideos.com/a", "http:/xvideos.com", "ht!tp://xvideos.com", "http://[::1]/sex", "http://[xvideos.com]/", "http://[xvideos.com",
        "http://1.2.3.4/nude/sexy", "http://xvideos.com\u3002/", "http://www\uff0exvideos\uff61com", "http:// xvideos.com /", "a@b@xvideos.com",
        "http://.xvideos.com/", "http://a..xvideos.com", "http://xvideos..com", "http://com/", "http://.com/", "http://localhost/porn", "mailto:a@xvideos.com",
        " ", "é", "http://*.ck/", "file:///porn", "urn:isbn:9780000000000", "http://xn--zzzz-porn.com/", "http://xn--/", "http://a/" + "b" * 5000, "?", "#",
        "://", "http://?x=//xvideos.com",
    ]  # fmt: skip
    return [one for one in dict.fromkeys([*made, *odd]) if one]


@pytest.mark.slow
def test_datatrove_decides_the_same(oracles: Path, tmp_path: Path) -> None:
    given = addresses()
    (tmp_path / "in.json").write_text(json.dumps(given), encoding="utf-8")
    order = [str(oracles), str(HERE / "oracle_urls.py"), str(tmp_path / "in.json"), str(located(SUFFIXES, "a test")), str(tmp_path / "out.json")]
    subprocess.run(order, check=True, env={**os.environ, "HF_HOME": str(tmp_path / "hf"), "HF_ASSETS_CACHE": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "1"})
    theirs, ours = json.loads((tmp_path / "out.json").read_text(encoding="utf-8")), reasons(given)
    different = [(one, a, b) for one, a, b in zip(given, theirs, ours, strict=True) if a != b]
    assert len(given) > 40_000 and {reason for reason in theirs if reason} == {name for name, _ in DROPS}
    assert not different, different[:20]


def test_each_column_says_its_own() -> None:
    host = member("domains")[100]
    page = member("urls")[0]
    given = [f"https://a.b.{host}/", f"http://{host}", f"http://{page}", page, "https://example.org/porn/sexy/nude", "https://porn.example/", None, "", "x"]
    found = urls.listed(pl.DataFrame({"uri": given}, schema={"uri": pl.String})).to_dicts()
    named = [{name: value for name, value in row.items() if value} for row in found]
    assert named[1]["host_list"] == "datatrove" and "url_list" not in named[1]
    assert named[2]["page_list"] == "datatrove" and "url_list" not in named[2]
    assert named[3]["url_list"] == named[3]["page_list"] == "datatrove"
    assert named[4] == {"hard_word": "porn", "soft_words": 2} and named[5] == {"hard_word": "porn"}
    assert named[6:] == [{}, {}, {}] and all(row["soft_words"] == 0 for row in found[6:])


def test_the_case_of_a_host_says_nothing() -> None:
    """Where we differ from datatrove, which looks hosts up as they are written."""
    host = member("domains")[100]
    assert reasons([f"http://{host.upper()}/"]) == reasons([f"http://{host}/"]) != [None]


def test_lists_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "block").write_text("# ours\n\n Mill.Example \nhttps://weir.example/a/b/\nco.uk\n", encoding="utf-8")
    (tmp_path / "more").write_text("mill.example\nwww.weir.example", encoding="utf-8")
    (tmp_path / "none").write_text("", encoding="utf-8")
    lists = {name: str(tmp_path / name) for name in ("block", "more", "none")}
    given = ["http://a.mill.example/x", "https://mill.example.com", "http://weir.example/a/b", "https://weir.example/a/b/c", "http://www.weir.example/a/b"]
    given.append("http://co.uk")
    batch = pl.DataFrame({"uri": given})
    found = urls.listed(batch, lists=lists, bundled=False)
    assert found["domain_list"].to_list() == [None] * 6, "`.example` is no public suffix"
    assert found["host_list"].to_list() == [None, None, None, None, "more", "block"]
    assert found["page_list"].to_list() == [None, None, "block", None, None, None]
    (tmp_path / "block").write_text("mill.org\n", encoding="utf-8")
    (tmp_path / "more").write_text("a.mill.org\nmill.org\n", encoding="utf-8")
    found = urls.listed(pl.DataFrame({"uri": ["http://a.mill.org/x", "http://mill.org", "http://windmill.org"]}), lists=lists, bundled=False)
    assert found["domain_list"].to_list() == ["block more", "block more", None] and found["host_list"].to_list() == ["more", "block more", None]
    assert found["hard_word"].null_count() == found["substring"].null_count() == 3


@pytest.mark.parametrize(("lists", "said"), [
    ({"a": "nowhere.txt"}, "no file 'nowhere.txt'"), ({"a": "no_such_package:x"}, "not installed"), ({"a": "datatrove:assets/x"}, "no file 'assets/x'"),
    ("nowhere", "no mapping"), ({"a b": "datatrove:assets/banned_words.txt"}, "no spaces"), ({"a": 3}, "no mapping"),
])  # fmt: skip
def test_a_list_that_cannot_be_read_is_told_in_one_line(lists: object, said: str) -> None:
    with pytest.raises((InputError, SetupError), match=said) as told:
        urls.listed(pl.DataFrame({"uri": ["http://a.org"]}), lists=lists, bundled=False)  # type: ignore[arg-type]
    assert "\n" not in str(told.value)


def name_in(address: str) -> str:
    data, _, ends, begins = registered(pl.DataFrame({"uri": [address]}).select(host(pl.col("uri"))).to_series())
    return bytes(data[begins[0] : ends[0]]).decode()


@pytest.mark.parametrize(("address", "name"), [
    ("http://a.b.example.co.uk/x", "example.co.uk"), ("http://co.uk", ""), ("http://x.www.ck/", "www.ck"), ("http://a.b.any.ck", "b.any.ck"),
    ("http://any.ck", ""), ("http://city.kawasaki.jp", "city.kawasaki.jp"), ("http://a.x.kawasaki.jp", "a.x.kawasaki.jp"), ("http://a.github.io", "github.io"),
    ("http://пример.рф/", "пример.рф"), ("http://a.xn--e1afmkfd.xn--p1ai/", "xn--e1afmkfd.xn--p1ai"), ("http://10.0.0.1", ""), ("http://a.nosuchtld", ""),
    ("", ""),
])  # fmt: skip
def test_the_registered_name(address: str, name: str) -> None:
    assert name_in(address) == name


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=60), st.from_regex(r"https?://[a-z.@:\[\]/-]{0,40}", fullmatch=True)), max_size=8))
def test_rows_in_are_rows_out(given: list[str | None]) -> None:
    clean = [one and one.encode("utf-8", "replace").decode() for one in given]
    found = urls.listed(pl.DataFrame({"uri": clean}, schema={"uri": pl.String}))
    assert found.height == len(clean) and found.columns == list(urls.ADDS)
    for row, one in zip(found.iter_rows(), clean, strict=True):
        alone = urls.listed(pl.DataFrame({"uri": [one]}, schema={"uri": pl.String}))
        assert alone.row(0) == row


def test_a_very_long_address() -> None:
    found = urls.listed(pl.DataFrame({"uri": ["http://" + "a." * 1_000_000 + "org/" + "b-" * 1_000_000, "http://" + "a" * 5_000_000]}))
    assert found["hard_word"].to_list() == [None, None] and found["soft_words"].to_list() == [0, 0]
