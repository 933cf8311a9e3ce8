"""Keys, tokens and passwords that somebody left in a text, as spans: what a model must not learn by heart.

Providers' tokens are told by their own forms, most of which GitHub's secret scanning, detect-secrets and gitleaks document too. Any other random
string counts only where a name such as `api_key` or `password` is given it. Examples, placeholders and look-ups are none.
A search for the letters that every such thing begins with, or stands beside, goes first over whole batches: few texts are looked at closer.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from catalog.schema import SPAN
from catalog.stage import declares

ADDS = {"spans": pa.list_(SPAN), "count": pa.int64()}
A, B = r"(?<![A-Za-z0-9_])", r"(?![A-Za-z0-9_])"  # where a token begins and ends

Found = tuple[int, int, str]                                 # start, end (characters), kind
FORMS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("aws_key", ("AKIA", "ASIA", "ABIA", "ACCA"), rf"{A}(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{{16}}{B}"),
    ("github_token", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"),
    rf"{A}(?:gh[pousr]_[A-Za-z0-9]{{36,251}}|github_pat_[A-Za-z0-9]{{22}}_[A-Za-z0-9]{{59}}){B}"),
    ("gitlab_token", ("glpat-", "gldt-", "glrt-", "glptt-", "glsoat-"), rf"{A}gl(?:pat|dt|rt|ptt|soat)-[A-Za-z0-9_-]{{20,50}}{B}"),
    ("slack_token", ("xoxb-", "xoxp-", "xoxa-", "xoxo-", "xoxr-", "xoxs-", "xapp-"),
    rf"{A}(?:xox[abporse]-(?:\d+-){{1,3}}[A-Za-z0-9-]{{10,80}}|xapp-\d-[A-Z0-9]+-\d+-[a-z0-9]{{32,80}}){B}"),
    ("slack_webhook", ("hooks.slack.com/",), r"hooks\.slack\.com/(?:services|workflows)/(T[A-Za-z0-9_]{8,12}/[AB][A-Za-z0-9_]{8,12}/[A-Za-z0-9_]{20,46})"),
    ("discord_webhook", ("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/(\d{17,20}/[A-Za-z0-9_-]{60,70})"),
    ("stripe_key", ("sk_live_", "rk_live_", "whsec_"), rf"{A}(?:[sr]k_live_[A-Za-z0-9]{{20,247}}|whsec_[A-Za-z0-9+/]{{32,64}}){B}"),
    ("google_key", ("AIza",), rf"{A}AIza[A-Za-z0-9_-]{{35}}{B}"), ("google_key", ("GOCSPX-",), rf"{A}GOCSPX-[A-Za-z0-9_-]{{28}}{B}"),
    ("google_token", ("ya29.",), rf"{A}ya29\.[A-Za-z0-9_-]{{40,400}}"),
    ("openai_key", ("T3BlbkFJ",), rf"{A}sk-[A-Za-z0-9_-]{{10,130}}T3BlbkFJ[A-Za-z0-9_-]{{20,130}}{B}"),
    ("anthropic_key", ("sk-ant-",), rf"{A}sk-ant-[a-z]+\d\d-[A-Za-z0-9_-]{{80,120}}{B}"),
    ("huggingface_token", ("hf_",), rf"{A}hf_[A-Za-z0-9]{{34}}{B}"), ("groq_key", ("gsk_",), rf"{A}gsk_[A-Za-z0-9]{{52}}{B}"),
    ("replicate_token", ("r8_",), rf"{A}r8_[A-Za-z0-9]{{37}}{B}"),
    ("npm_token", ("npm_",), rf"{A}npm_[A-Za-z0-9]{{36}}{B}"), ("pypi_token", ("pypi-AgE",),
    rf"{A}pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{{50,300}}"),
    ("rubygems_key", ("rubygems_",), rf"{A}rubygems_[0-9a-f]{{48}}{B}"), ("docker_token", ("dckr_pat_",), rf"{A}dckr_pat_[A-Za-z0-9_-]{{27}}{B}"),
    ("sendgrid_key", ("SG.",), rf"{A}SG\.[A-Za-z0-9_-]{{22}}\.[A-Za-z0-9_-]{{43}}{B}"), ("mailgun_key", ("key-",), rf"{A}key-[0-9a-f]{{32}}{B}"),
    ("mailchimp_key", ("-us",), rf"{A}[0-9a-f]{{32}}-us\d{{1,2}}{B}"), ("telegram_token", (":AA",), rf"{A}\d{{8,10}}:AA[A-Za-z0-9_-]{{33}}{B}"),
    ("square_token", ("sq0", "EAAA"), rf"{A}(?:sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{{22,43}}|EAAA[A-Za-z0-9_-]{{60}}){B}"),
    ("shopify_token", ("shpat_", "shpss_", "shpca_", "shppa_"), rf"{A}shp(?:at|ss|ca|pa)_[0-9a-fA-F]{{32}}{B}"),
    ("digitalocean_token", ("dop_v1_", "doo_v1_", "dor_v1_"), rf"{A}do[opr]_v1_[0-9a-f]{{64}}{B}"),
    ("databricks_token", ("dapi",), rf"{A}dapi[0-9a-f]{{32}}(?:-\d)?{B}"),
    ("atlassian_token", ("ATATT3", "ATBB"), rf"{A}(?:ATATT3[A-Za-z0-9_=-]{{100,250}}|ATBB[A-Za-z0-9]{{32}}){B}"),
    ("vault_token", ("hvs.", "hvb."), rf"{A}hv[sb]\.[A-Za-z0-9_-]{{24,300}}"),
    ("terraform_token", (".atlasv1.",), rf"{A}[A-Za-z0-9]{{14}}\.atlasv1\.[A-Za-z0-9_-]{{60,70}}{B}"),
    ("grafana_token", ("glsa_", "glc_"), rf"{A}(?:glsa_[A-Za-z0-9]{{32}}_[0-9a-f]{{8}}|glc_[A-Za-z0-9+/]{{32,400}}={{0,2}})"),
    ("newrelic_key", ("NRAK-",), rf"{A}NRAK-[A-Z0-9]{{27}}{B}"), ("linear_key", ("lin_api_",), rf"{A}lin_api_[A-Za-z0-9]{{40}}{B}"),
    ("artifactory_token", ("AKC",), rf"{A}AKC[a-zA-Z0-9]{{64,80}}{B}"),
    ("azure_key", ("AccountKey=", "SharedAccessKey="), r"(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/]{43,86}==?)"),
    ("age_key", ("AGE-SECRET-KEY-1",), rf"{A}AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{{58}}{B}"),
    ("jwt", ("eyJ",), r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}"),
    ("private_key", ("PRIVATE KEY",),
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----((?:[^-]|-(?!----)){100,20000})-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    ("password", ("://",), r"[a-z][a-z0-9+.-]{1,20}://[A-Za-z0-9._~%+-]{1,64}:([^\s:/@'\"`<>(){}\[\]$\\|,;]{6,80})@[A-Za-z0-9-]"),
)  # fmt: skip
"""(kind, letters one of which stands in every such thing, its form); the group, where there is one, is the secret in it."""
PATTERNS = tuple((kind, letters, re.compile(form)) for kind, letters, form in FORMS)
RARE = tuple(letter for kind, letters, _ in FORMS for letter in letters if letter not in ("://", "-us", "key-", "r8_", "SG.", "AKC", "dapi", "sq0", "hf_"))
COMMON = ("-us", "key-", "r8_", "SG.", "AKC", "dapi", "sq0", "hf_")
IN_URL = re.compile(r"://[^\s/]{1,80}:[^\s/@]{1,80}@")

NAMES = ("password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "api-key", "access_key", "accesskey", "access-key", "private_key",
    "auth_key", "authkey", "encryption_key", "signing_key")
"""What a name ends in, or nearly, that is given a secret."""
GIVEN = re.compile(
    r"[A-Za-z0-9_-]{0,24}[\"'`\]]{0,2}\)?[ \t]{0,8}(?::[ \t]*[A-Za-z_][\w.\[\]]{0,20}[ \t]*=|=>|:=|===?|=|:|,"
    r"|\()[ \t]{0,8}(?:[brufL@]{0,2}([\"'`])([^\"'`\s\\]{12,200})\1|([A-Za-z0-9+/_.~=-]{16,200})[ \t]*(?:$|[#;]))", re.M
)  # fmt: skip
LINE = re.compile(r"^[ \t]*(?:export[ \t]+|set[ \t]+|-[ \t]+|ENV[ \t]+)?[\w.-]*$")
"""What stands before a name that is given an unquoted value: nothing but the rest of the name."""
MARGIN = 80
"""Characters of a line in which that is looked for."""
PLACEHOLDER = re.compile(
    r"example|sample|placeholder|dummy|changeme|change_me|change-me|your|x{4,}|\*{3,}|\.\.\.|0{6,}|1{6,}|1234567|abcdefg|redacted|fake|(?:my|some|the|test|user)[_-]?(?:pass|secret|token|key)"
    r"|password|passwd|foobar|lorem|<|>|\$\{|\{\{|%s|%\(|#\{|insert|replace|todo|none|null|undefined|deadbeef|secret[_-]?key|secretsecret|hunter2|correcthorse|swordfish|topsecret",
    re.I,
)
TEST_KEYS = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
RESERVED = re.compile(r"@(?:[\w.-]*\.)?(?:example(?:\.(?:com|org|net))?|test|invalid|localhost)\b", re.I)
WORDS = re.compile(r"[A-Z][a-z]{3,}|[A-Z]{4,}(?![a-z])|(?<![A-Za-z])[a-z]{4,}(?![a-z])")
FILE_NAME = re.compile(r"\.[a-z]{2,5}$")
HEX = re.compile(r"[0-9a-f]+|[0-9A-F]+")
RANDOM, RANDOM_HEX = 3.6, 3.0
"""Bits a character: 20 random letters and digits have about 4, hexadecimal ones 3.4; names and words less."""
FEW_LETTERS = 2.8


@declares(reads=("text",), adds=ADDS, version=2)
def spans(batch: pl.DataFrame) -> pl.DataFrame:
    """Return the family `secrets`: where a text holds a key, a token or a password, one row a document.

    spans   kind (aws_key, github_token, jwt, private_key, password, secret ...), start and end in characters of the text as ingested, in
            order, never overlapping: the secret alone, without the name or the quotes around it
    count   how many
    Looked for: the tokens of some forty providers by their forms, JSON web tokens, private keys in PEM, passwords in URLs, and random strings of 16 characters
    or more given to a name that says password, secret, token or key (`secret`). Not counted: placeholders and published examples, what is
    read from the environment, addresses at example.com, words and identifiers. Passwords that people can remember are not told from words.
    """
    texts = batch["text"]
    formed = (texts.str.contains_any([*RARE, *COMMON]) | texts.str.contains(IN_URL.pattern)).fill_null(False)
    given = texts.str.contains_any(list(NAMES), ascii_case_insensitive=True).fill_null(False)
    rows = (formed | given).arg_true()
    looked = zip(rows.to_list(), texts.gather(rows), formed.gather(rows), given.gather(rows), strict=True)
    found = [(row, *span) for row, text, form, name in looked for span in secrets(text, formed=form, given=name)]
    owners = np.searchsorted(np.array([row for row, *_ in found], np.int64), np.arange(batch.height + 1))
    fields = [pa.array([kind for *_, kind in found], pa.string()), pa.array([span[1] for span in found], pa.int64()),
        pa.array([span[2] for span in found], pa.int64())]
    column = pa.LargeListArray.from_arrays(pa.array(owners), pa.StructArray.from_arrays(fields, fields=list(SPAN)))
    return pl.DataFrame([pl.Series("spans", pl.from_arrow(column)), pl.Series("count", np.diff(owners), dtype=pl.Int64)])


def secrets(text: str, *, formed: bool = True, given: bool = True) -> list[Found]:
    """Return the secrets of one text as (start, end, kind), in order and apart: of two that overlap the one that starts first, then the longer.

    `formed` and `given` are false where it is known that the text has none that its form, or the name that it is given, would tell.
    """
    found, end = [], -1
    looked = [*(_formed(text) if formed else ()), *(_given(text) if given else ())]
    for start, stop, kind in sorted(looked, key=lambda span: (span[0], -span[1], span[2] == "secret")):
        if start >= end:
            found.append((start, stop, kind))
            end = stop
    return found


def _formed(text: str) -> Iterator[Found]:
    for kind, letters, pattern in PATTERNS:
        if not any(letter in text for letter in letters):
            continue
        for match in pattern.finditer(text):
            group = 1 if pattern.groups else 0
            if _real(kind, match[group], match):
                yield match.start(group), match.end(group), kind


def _real(kind: str, secret: str, match: re.Match[str]) -> bool:
    """Whether what has a secret's form may be one."""
    if kind == "private_key":
        body = re.sub(r"\\[nr]|[\s\"'+,]", "", secret)
        return len(body) >= 100 and "..." not in body and len(set(body)) > 20
    if PLACEHOLDER.search(secret) or entropy(secret) < FEW_LETTERS:
        return False
    if kind == "password":
        around = match.string[match.end(1) : match.end(1) + 60]
        if re.search(r"secret|pass|pwd", secret, re.I):
            return False
        return not RESERVED.match(around) and not secret.isalpha() and not secret.startswith(("%", "*")) and (len(secret) >= 12 or _mixed(secret))
    return True


def _mixed(secret: str) -> bool:
    return any(char.isdigit() for char in secret) and any(char.isalpha() for char in secret) and not re.fullmatch(r"[a-z]+\d{1,4}", secret)


def _given(text: str) -> Iterator[Found]:
    """Random strings that a name is given which says that they are secret."""
    low, tried = text.encode().lower().decode(), set()        # letters of ASCII alone: `str.lower` may change how long a text is
    for name in NAMES:
        at = low.find(name)
        while at >= 0:
            after = at + len(name)
            match = None if low.endswith("public", 0, at) or low.endswith("publickey", 0, at) else GIVEN.match(text, after)
            if match is not None and match.start() not in tried:
                tried.add(match.start())
                group = 2 if match[2] else 3
                if (group == 2 or _alone(text, at)) and _random(match[group]):
                    yield match.start(group), match.end(group), "secret"
            at = low.find(name, after)


def _alone(text: str, at: int) -> bool:
    """Whether nothing stands before a place in its line but what LINE says."""
    start = text.rfind("\n", max(0, at - MARGIN), at) + 1
    return (start > 0 or at <= MARGIN) and LINE.match(text[start:at]) is not None


def _random(said: str) -> bool:
    """Whether a string is random enough to be a secret, and no path, identifier, sentence or placeholder."""
    if PLACEHOLDER.search(said) or "://" in said or said.startswith(("/", "./", "../", "$", "{", "--", "http")) or any(key in said for key in TEST_KEYS):
        return False
    digits = sum(char.isdigit() for char in said)
    if HEX.fullmatch(said):
        return len(said) >= 16 and digits >= 3 and entropy(said) >= RANDOM_HEX
    if len(said) < 16 or digits < 2 or re.search(r"[(){}\[\]<>|,;]", said):
        return False
    in_words = sum(len(word) for word in WORDS.findall(said) if re.search("[aeiouAEIOU]", word))
    return entropy(said) >= RANDOM and in_words <= len(said) / 2 and not FILE_NAME.search(said)


def entropy(said: str) -> float:
    """Return Shannon's entropy of a string's characters, in bits a character."""
    n = len(said)
    return -sum(count / n * math.log2(count / n) for count in Counter(said).values()) if n else 0.0
