"""E-mail addresses: what stands on both sides of an @ in one, and what only looks like it."""

import re

# The longest name of a domain is 253 bytes, of a mailbox 64 (RFC 5321, 4.5.3.1). Quoted mailboxes are not looked for.
MAILBOX = re.compile(r"[a-z0-9_À-ɏ][a-z0-9_À-ɏ%+-]*(?:[.'][a-z0-9_À-ɏ%+-]+)*$", re.IGNORECASE)
DOMAIN = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+(?:xn--[a-z0-9-]{1,59}|[a-z]{2,24})(?![\w(-])", re.ASCII | re.IGNORECASE)
IN_ADDRESS = re.compile(r"//[^\s/@]*$")  # what stands before the @ of user@host in a URL
SECURE_COPY = re.compile(r":[\w~/.-]*/")  # what follows git@host in the address of a repository
RESERVED = re.compile(r"(?:^|\.)(?:example(?:\.(?:com|net|org))?|test|invalid|local|localhost)$")  # RFC 2606

ENDINGS = """
ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf
cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf gg
gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn
kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz na
nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se sg sh
si sj sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz va vc
ve vg vi vn vu wf ws ye yt za zm zw com org net edu gov mil int info biz name pro aero arpa asia cat coop jobs mobi
museum post tel travel app academy agency art associates bank bar berlin best bio blog boutique buzz cafe capital care
cash center chat church city claims click clinic cloud club coach codes coffee community company computer consulting
contact cool credit dance deals dental design dev digital direct directory dog domains earth education email energy
engineer engineering enterprises equipment estate events exchange expert express family farm fashion finance financial
fit fitness foundation fun fund fyi gallery games gift global gmbh gold golf graphics group guide guru hamburg health
help holdings hospital host hosting house immo institute insurance international investments koeln land law lawyer
legal life limited link live llc loan lol london ltd management market marketing mba media men moda money movie
network news ngo ninja nyc one online ong paris partners parts party pet photo photography photos pics pizza place
plus press productions properties pub recipes rentals repair report restaurant review reviews rocks ruhr run sale
school science services shop show site social software solar solutions space store stream studio style supply support
surgery swiss systems taipei tax team tech technology tennis tips today tokyo tools top tours town toys trade training
tube university vegas ventures vet video vip vision vlaanderen vote website wien wiki win wine work works world wtf
xxx xyz yoga zone
"""
TOPS = frozenset(ENDINGS.split())
"""The countries' top-level domains and the others in which people have mail: what tells bob@mail.online from hidden@self.weight."""


def email(before: str, after: str) -> tuple[str, str] | None:
    """Return what of an address stands before its @, and the rest with the @; nothing for what is none. `after` begins behind the @."""
    mailbox, domain = MAILBOX.search(before), DOMAIN.match(after)
    if mailbox is None or domain is None or len(mailbox[0]) > 64 or IN_ADDRESS.search(before):
        return None
    labels = domain[0].lower().split(".")
    while len(labels) > 1 and not (labels[-1] in TOPS or labels[-1].startswith("xn--")):
        labels.pop()  # bob@mail.org.Please
    name = ".".join(labels)
    if len(labels) < 2 or RESERVED.search(name) or SECURE_COPY.match(after, len(name)):
        return None
    return mailbox[0], "@" + after[: len(name)]
