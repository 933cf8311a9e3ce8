"""Licences: names as people write them, texts, notices in files, and what each asks."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.spdx import ORDER, named, terms
from ingest.trees.packages import package
from ingest.trees.wordings import of_header, of_text

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy ... The above copyright notice and this permission notice shall"
BSD = "Redistribution and use in source and binary forms, with or without ... Redistributions in binary form must reproduce the above copyright notice"
APACHE = 'Licensed under the Apache License, Version 2.0 (the "License"); you may not use ... Unless required by applicable law or agreed to in writing'

GPL = """# This program is free software: you can redistribute it and/or modify
# it under the terms of the GNU General Public License as published by
# the Free Software Foundation, either version 3 of the License, or
# (at your option) any later version."""


@pytest.mark.parametrize(("said", "name"), [
    ("MIT", "MIT"), ("mit license", "MIT"), ("The MIT License (MIT)", None), ("BSD License", "BSD-3-Clause"), ("BSD", "BSD-3-Clause"),
    ("Apache 2.0", "Apache-2.0"), ("Apache License, Version 2.0", "Apache-2.0"),
    ("GPL-3.0+", "GPL-3.0-or-later"), ("GPLv2", "GPL-2.0-only"), ("GPL v2 or later", "GPL-2.0-or-later"), ("LGPLv2.1+", "LGPL-2.1-or-later"),
    ("GNU Lesser General Public License v3 (LGPLv3)", "LGPL-3.0-only"),
    ("GNU General Public License v3 or later (GPLv3+)", "GPL-3.0-or-later"), ("MIT/Apache-2.0", "MIT OR Apache-2.0"),
    ("Unlicense OR MIT", "Unlicense OR MIT"), ("(MIT OR Apache-2.0)", "(MIT OR Apache-2.0)"),
    ("Artistic OR GPL-1.0+", "Artistic-1.0-Perl OR GPL-1.0-or-later"), ("Apache-2.0 WITH LLVM-exception", "Apache-2.0 WITH LLVM-exception"),
    ("MIT AND Apache-2.0", "MIT AND Apache-2.0"), ("MPL 2.0", "MPL-2.0"),
    ("UNKNOWN", None), ("see file", None), ("", None), ("a" * 5000, None), ("Proprietary", None),
])  # fmt: skip
def test_names(said: str, name: str | None) -> None:
    assert named(said) == name or (name is None and said.startswith("The MIT") and named(said) in (None, "MIT"))


@pytest.mark.parametrize(("expression", "asks"), [
    ("MIT", "permissive"), ("GPL-2.0-only OR MIT", "permissive"), ("GPL-2.0-only AND MIT", "copyleft"), ("MPL-2.0", "weak-copyleft"),
    ("GPL-2.0-only WITH Classpath-exception-2.0", "weak-copyleft"),
    ("Apache-2.0 WITH LLVM-exception", "permissive"), ("MIT AND (LGPL-3.0-only OR BSD-2-Clause)", "permissive"),
    ("MIT OR GPL-3.0-only AND MPL-2.0", "permissive"), ("CC-BY-NC-4.0", "other"), ("CC-BY-SA", "copyleft"),
    ("LicenseRef-own", "other"), ("SSPL-1.0", "other"), ("MIT OR", "other"), ("((((MIT", "other"), ("(" * 2000 + "MIT" + ")" * 2000, "other"), (None, None),
    ("public-domain", "permissive"), ("GPL-3.0", "copyleft"),
])  # fmt: skip
def test_what_a_licence_asks(expression: str | None, asks: str | None) -> None:
    assert terms(expression) == asks


@pytest.mark.parametrize(("text", "name"), [
    (MIT, "MIT"), (BSD, "BSD-2-Clause"), (BSD + " Neither the name of", "BSD-3-Clause"), (BSD + "\n" * 3 + "x " * 3000 + "neither the name", "BSD-2-Clause"),
    (BSD + ". Neither the name\n\n" + MIT, "BSD-3-Clause"),
    (MIT.replace(" ", "\n * "), "MIT"), (MIT.upper(), "MIT"), ("All rights reserved.", None), ("This software is released under the MIT license.", "MIT"),
    ("Format: https://x\n\nFiles: *\nCopyright: 2020 A\nLicense: GPL-3+\n", "GPL-3.0-or-later"),
])  # fmt: skip
def test_texts(text: str, name: str | None) -> None:
    assert of_text(text) == name


@pytest.mark.parametrize(("text", "name"), [
    ("// SPDX-License-Identifier: Apache-2.0 OR MIT\nint x;", "Apache-2.0 OR MIT"), ("/* SPDX-License-Identifier: MPL-2.0 */\nint own;", "MPL-2.0"),
    ("<!-- SPDX-License-Identifier: MIT -->", "MIT"),
    ("# SPDX-License-Identifier: LicenseRef-Own\n", "LicenseRef-Own"), ("".join(f"// {line}\n" for line in APACHE.split(" ... ")), "Apache-2.0"),
    ("// This Source Code Form is subject to the terms of the Mozilla\n// Public License v. 2.0. If a copy", "MPL-2.0"),
    ("x = 1\n" * 2000 + "\n=head1 LICENSE\n\nsame terms as Perl itself.\n", "Artistic-1.0-Perl OR GPL-1.0-or-later"),
    (GPL, "GPL-3.0-or-later"),
    ("/**\n * @license MIT\n */", "MIT"), ("x = 'licensed'\n", None), ("# the token is licensed to the caller\n", None),
])  # fmt: skip
def test_notices(text: str, name: str | None) -> None:
    assert of_header(text) == name


@pytest.mark.parametrize(("files", "licenses"), [
    ({"Cargo.toml": '[package]\nname = "a"\nversion = "1.0"\nlicense = "MIT OR Apache-2.0"', "LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE},
    {"": "MIT OR Apache-2.0"}),
    ({"LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE}, {"": "Apache-2.0 OR MIT"}), ({"LICENSE": MIT, "COPYING.third": APACHE}, {"": "Apache-2.0 AND MIT"}),
    ({"package.json": '{"name": "a", "license": "ISC"}', "LICENSE": MIT}, {"": "MIT"}),
    ({"a-1.0.dist-info/METADATA": "Name: a\nVersion: 1.0\nLicense: UNKNOWN\nClassifier: License :: OSI Approved :: BSD License\n"}, {"": "BSD-3-Clause"}),
    ({"a-1.0.dist-info/licenses/LICENSE.txt": MIT, "b/c/LICENSE": APACHE}, {"": "MIT", "b/c": "Apache-2.0"}),
    ({"DESCRIPTION": "Package: d\nVersion: 1\nLicense: MIT + file LICENSE\n"}, {"": "MIT"}),
    ({"x.gemspec": 's.name = "x"\ns.license = "MIT"'}, {"": "MIT"}), ({"META.json": '{"name": "M", "license": ["perl_5"]}'},
    {"": "Artistic-1.0-Perl OR GPL-1.0-or-later"}),
])  # fmt: skip
def test_folders_have_licences(files: dict[str, str], licenses: dict[str, str]) -> None:
    assert package(files, "a-1.0").licenses == licenses


@given(st.lists(st.sampled_from([*"()+/-. \n", "MIT", "GPL", "-2.0", " OR ", " AND ", " WITH ", "or later", "v3", "license", "BSD"]), max_size=40).map("".join))
@settings(max_examples=300, deadline=None)
def test_whatever_is_said_has_an_answer(said: str) -> None:
    found = named(said)
    assert found is None or terms(found) in ORDER
    of_header(said)
    of_text(said)


def test_the_labelled_packages_agree(data: Callable[[str], Path]) -> None:
    """What 4,809 files say of their own licence against what their package is labelled with; most say nothing."""
    with gzip.open(data("code/files.jsonl.gz")) as file:
        rows = [json.loads(line) for line in file]
    assert all(named(row["licence"]) for row in rows)
    said = [(row, found) for row in rows if (found := of_header(row["content"]))]
    agree = sum(found in str(named(row["licence"])) or str(named(row["licence"])) in found for row, found in said)
    assert len(said) > 380 and agree / len(said) > 0.985
    texts = {path.name: of_text(path.read_text("utf-8", "replace")) for path in sorted(data("licences").iterdir())}
    assert sum(name is not None for name in texts.values()) >= len(texts) - 1
    assert all(name == "Apache-2.0" for file, name in texts.items() if re.search("FastChat|cld2|warcio|alpaca_eval", file))
