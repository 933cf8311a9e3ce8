"""Languages of files: by name, by first line, and by content where a name is shared."""

import gzip
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.trees.dialects import CHOICES
from ingest.trees.languages import content_type, language

SHARED = [
    ("a.h", "#ifndef A_H\n#define A_H\nint open_gate(int level);\nstruct gate { int level; };\n#endif\n", "c"),
    ("a.h", "#ifdef __cplusplus\nextern \"C\" {\n#endif\nvoid f(void);\n", "c"),
    ("a.h", "namespace locks {\nclass Gate {\n public:\n  int level;\n};\n}\n", "c++"), ("a.h", "#include <vector>\nvoid f(int *x);\n", "c++"),
    ("a.h", "template <typename T>\nT open(T level);\n", "c++"),
    ("a.h", "/* std::vector is not used: a class of its own */\nint f(void);\n", "c"),
    ("a.h", "#import <Foundation/Foundation.h>\n@interface Gate : NSObject\n@end\n", "objective-c"),
    ("a.h", "// -*- C++ -*-\nint x;\n", "c++"), ("a.m", "#import \"Gate.h\"\n@implementation Gate\n@end\n", "objective-c"),
    ("a.m", "function y = f(x)\n% doubles\ny = 2 * x;\nend\n", "matlab"),
    ("a.m", "(* Wolfram *)\nBeginPackage[\"A`\"]\n", "mathematica"), ("a.pl", "use strict;\nmy $x = 1;\n", "perl"),
    ("a.pl", ":- module(a, [b/1]).\nb(X) :- c(X).\n", "prolog"), ("a.pl", "use v6;\nsay 1;\n", "raku"),
    ("a.t", "use Test::More;\nok(1);\n", "perl"), ("a.v", "module top(input a);\nassign b = a;\nendmodule\n", "verilog"),
    ("a.v", "Require Import Arith.\nTheorem a : True.\nProof. trivial. Qed.\n", "coq"),
    ("a.v", "module main\nimport os\nfn main() {\n}\n", "v"), ("a.ts", "export const x: number = 1;\n", "typescript"),
    ("a.ts", "<?xml version=\"1.0\"?>\n<!DOCTYPE TS>\n<TS></TS>\n", None),
    ("a.pro", "QT += core\nSOURCES += main.cpp\n", "qmake"), ("a.pro", "just words\n", None), ("a.inc", "<?php\n$x = 1;\n", "php"),
    ("a.inc", "#define X 1\n", "c"), ("a.inc", "{$IFDEF X}\n{$ENDIF}\n", "pascal"),
    ("a.cls", "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{a}\n", "latex"), ("a.cls", "VERSION 1.0 CLASS\nBEGIN\n", "vba"),
    ("a.cls", "public with sharing class A {\n}\n", "apex"),
    ("a.r", "x <- 1\nlibrary(dplyr)\n", "r"), ("a.R", "x <- 1\n", "r"), ("a.r", "REBOL [\n]\n", "rebol"), ("a.d", "import std.stdio;\nvoid main() {}\n", "d"),
    ("a.d", "main.o: main.c gate.h\n", "makefile"),
    ("a.fs", "module A\nlet x = 1\n", "fsharp"), ("a.fs", "#version 330\nuniform vec4 c;\nvoid main() {}\n", "glsl"),
    ("a.cl", "__kernel void f(__global int *x) {}\n", "opencl"), ("a.cl", "(defun f (x) x)\n", "lisp"),
    ("a.l", "%{\n#include <stdio.h>\n%}\n%%\n", "flex"), ("a.pp", "class nginx {\n  package { 'nginx': ensure => installed }\n}\n", "puppet"),
    ("a.pp", "program A;\nbegin\nend.\n", "pascal"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "kind"), SHARED)
def test_shared_names_are_told_by_content(name: str, text: str, kind: str | None) -> None:
    assert language(name, text) == (f"text/x-{kind}" if kind else None)


@pytest.mark.parametrize(("line", "kind"), [
    ("#!/usr/bin/env python3", "python"), ("#!/bin/sh -e", "sh"), ("#! /usr/bin/perl -w", "perl"), ("#!/usr/bin/env -S node --flag", "javascript"),
    ("#!/usr/local/bin/python2.7", "python"), ("#!/bin/false", None),
    ("#!", None), ("python", None), ("#!/bin/sh\nexec tclsh \"$0\"", "tcl"), ("#!/usr/bin/env VAR=1 ruby", "ruby"),
])  # fmt: skip
def test_first_lines(line: str, kind: str | None) -> None:
    assert language("bin/tool", f"{line}\nx\n") == (f"text/x-{kind}" if kind else None)


def test_texts_are_read_where_they_are_asked_for() -> None:
    assert [content_type(name, ("markdown", "yaml")) for name in ("README.md", "a.yml", "a.json", "a.py")] == ["text/x-markdown", "text/x-yaml", None,
        "text/x-python"]
    assert language("README.md", "# A", ("markdown",)) == "text/x-markdown" and language("README.md", "# A") is None


@given(st.sampled_from(sorted(CHOICES)), st.text("ab:-. \n#@(){}%*;<>=/\\\"'", max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_has_an_answer(end: str, text: str) -> None:
    assert (language(f"a.{end}", text) or "text/x-").startswith("text/x-")


@pytest.mark.parametrize("end", sorted(CHOICES))
def test_hostile_files_take_no_time(end: str) -> None:
    for text in ("a" * 32_000, " " * 32_000, "a(" * 16_000, "\n" * 32_000, "const &" * 4000, "public " * 5000, "a :-" * 8000, "[" * 32_000, "!a " * 10_000,
        "a_" * 16_000, "class " * 5000, "x." * 16_000):
        language(f"a.{end}", text)


def test_labelled_files_agree(data: Callable[[str], Path]) -> None:
    """4,468 files of programs: each is of the language that it is labelled with; Eigen's headers are C++, whatever their names."""
    ours = {"C/C++": ("c", "c++"), "C++": ("c++",), "Emacs Lisp": ("emacs-lisp",)}
    with gzip.open(data("code/files.jsonl.gz")) as file:
        rows = [row for line in file if (row := json.loads(line))["language"] not in ("JSON", "Markdown", "TOML")]
    found = [(row, (language(row["path"], row["content"]) or "").removeprefix("text/x-")) for row in rows]
    wrong = Counter(row["language"] for row, said in found if said not in ours.get(row["language"], (row["language"].lower(),)))
    assert not wrong
    eigen = [said for row, said in found if row["package"] == "libeigen3-dev"]
    assert eigen.count("c++") / len(eigen) > 0.97
