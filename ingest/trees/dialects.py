"""Languages that share the end of a file's name, told by what stands in the file: `.h`, `.m`, `.pl`, `.v`, `.ts` and others.

CHOICES gives for each end the language that most such files are in, and (language, pattern) pairs that are tried in order; an empty name is
no source code. Patterns look at lines as they begin: what is common in one language and impossible, or nearly, in the others.
"""

import re

Choices = tuple[tuple[str, re.Pattern[str]], ...]


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.M)


CPLUSPLUS = _any(
    r"^[ \t]*(?:template[ \t]*<|using[ \t]+(?:namespace[ \t]+)?\w+(?:::|[ \t]*;|[ \t]*=)|(?:public|private|protected)[ \t]*:(?!:)"
    r"|(?:inline[ \t]+)?namespace\b[^=;\n]*$"
    r"|class[ \t]+(?:[A-Z_]+[ \t]+)?\w+(?:[ \t]+final)?[ \t]*(?:$|[:{;])|virtual[ \t]|explicit[ \t]|friend[ \t]|constexpr[ \t]|enum[ \t]+class\b)",
    r"^[ \t]*#[ \t]*include[ \t]*<(?:algorithm|array|atomic|bitset|cassert|cerrno|chrono|cmath|complex|concepts|condition_variable|cst\w+|c(?:float"
    r"|limits|type|time|setjmp|signal)"
    r"|deque|exception|filesystem|format|fstream|functional|future|initializer_list|iomanip|ios|iosfwd|iostream|istream|iterator|limits|list|locale|map|memory|mutex|new|numeric"
    r"|optional|ostream|queue|random|ranges|regex|set|span|sstream|stack|stdexcept|streambuf|string|string_view|system_error|thread|tuple|type_traits|typeinfo|unordered_\w+"
    r"|utility|valarray|variant|vector)>",
    r"^[^\"/\n*#]*(?:\bstd::|\b(?:static|dynamic|reinterpret|const)_cast<|\boperator[ \t]*(?:\(\)|\[\]|[-+*/=<>!]=?)[ \t]*\(|\bnullptr\b"
    r"|\w::\w+[ \t]*[(<;]|\bconst[ \t]*&[ \t]*\w)",
)
OBJECTIVE_C = _any(r"^[ \t]*@(?:interface|implementation|protocol|property|end|class|import|optional|required)\b", r"^[ \t]*#[ \t]*import\b",
    r"\bNS_(?:ASSUME_NONNULL|ENUM|OPTIONS)")
PROLOG = _any(r"^[ \t]*:-[ \t]*(?:module|use_module|dynamic|initialization|ensure_loaded|discontiguous|set_prolog_flag|include|op)\b",
    r"^[a-z]\w*\([^()\n]*\)[ \t]*:-[ \t]*(?:$|[a-z\\!(])", r"^[a-z]\w*[ \t]+:-[ \t]*$", r"^[a-z]\w*\([^()\n]*\)[ \t]*-->")
PERL = _any(r"^[ \t]*use[ \t]+(?:strict|warnings|v?5|[A-Z]\w*(?:::|;|[ \t])|utf8|lib|base|parent)", r"^[ \t]*(?:my|our|local)[ \t]*[$@%(]", r"^#!.*\bperl\b",
    r"^package[ \t]+[\w:]+[ \t]*[;{]", r"^[ \t]*sub[ \t]+\w+", r"^=(?:head\d|cut|pod)\b")
RAKU = _any(r"^[ \t]*use[ \t]+v6\b", r"^#!.*\b(?:perl6|raku)\b",
    r"^[ \t]*(?:unit[ \t]+(?:module|class)|multi[ \t]+(?:sub|method)|my[ \t]+(?:class|module|grammar)|has[ \t]++[\w:]*+[ \t]*+[$@%][.!])")
FORTH = _any(r"^: \S+[ \t]", r"^\\ ", r"^(?:variable|constant|create|require|include) \S+[ \t]*$")
FORTRAN = _any(r"^[ \t]*(?:[cC*!][ \t]|(?i:program|subroutine|module|integer|real|implicit none|end (?:subroutine|program|function|module)|use |call "
    r"|character|double precision)\b)")
GLSL = _any(r"^[ \t]*#[ \t]*version[ \t]+\d+", r"^[ \t]*(?:uniform|varying|attribute|precision[ \t]+(?:high|medium|low)p|layout[ \t]*\()",
    r"\bgl_(?:Position|FragColor|FragCoord)\b")
C_LIKE = _any(r"^[ \t]*#[ \t]*(?:include|define|ifn?def|pragma|if)\b", r"^(?:static|extern|typedef|struct|enum|void|int|const)[ \t].*[;{,][ \t]*$")
LISP = _any(r"^[ \t]*\((?:def\w*|in-package|setq|let\*?|require|provide)\b", r"^;;", r"^[ \t]*\(:?\w[\w:-]*[ \t]")
QT_XML = _any(r"\A(?:\ufeff)?\s*<\?xml\b", r"\A\s*<!DOCTYPE TS\b", r"\A\s*<TS\b")

CHOICES: dict[str, tuple[str, Choices]] = {
    "h": ("c", (("objective-c", OBJECTIVE_C), ("c++", CPLUSPLUS))),
    "m": ("objective-c", (
        ("objective-c", _any(r"^[ \t]*@(?:interface|implementation|protocol|property|end|class|import|autoreleasepool)\b",
            r"^[ \t]*#[ \t]*(?:import|include)\b")),
        ("mercury", _any(r"^[ \t]*:-[ \t]*(?:module|interface|import_module|pred|func)\b")),
        ("mathematica", _any(r"^[ \t]*\(\*", r"^(?:Begin(?:Package)?|Needs|Get|Module|Block)\[", r"\w\[\w*_\w*[],]", r"^Print\[")),
        ("matlab", _any(r"^[ \t]*(?:%|\.\.\.|function\b|classdef\b|end[ \t]*+(?:;[ \t]*+)?$|clear(?: all)?;?$|close all|clc;?$|##?[ \t])",
            r"^[ \t]*\w+[ \t]*=[^=;]*;[ \t]*+(?:%.*)?$")),
    )),
    "pl": ("perl", (("raku", RAKU), ("perl", PERL), ("prolog", PROLOG))),
    "pm": ("perl", (("raku", RAKU), ("", _any(r"\A/\* XPM \*/")))),
    "t": ("perl", (("raku", RAKU), ("perl", PERL), ("", _any(r"^\.\w\w[ \t]", r"^[ \t]*\$ \w")), ("terra", _any(r"^[ \t]*terra[ \t]+\w+")),
        ("turing", _any(r"^[ \t]*(?:var|const)[ \t]+\w+[ \t]*:[ \t]*(?:int|string|real)\b", r"^[ \t]*(?:put|get)[ \t]+\"")))),
    "pro": ("", (
        ("qmake", _any(r"^[ \t]*(?:QT|TEMPLATE|SOURCES|HEADERS|TARGET|CONFIG|SUBDIRS|FORMS|INCLUDEPATH)[ \t]*[+\-*]?=", r"^[ \t]*(?:include|load|message)\(")),
        ("prolog", PROLOG), ("idl", _any(r"^[ \t]*(?i:pro|function)[ \t]+\w+[ \t]*(?:,|$)", r"^[ \t]*(?i:end|endif|endfor|compile_opt)\b")),
    )),
    "v": ("verilog", (
        ("coq", _any(r"^[ \t]*(?:From[ \t]+[\w.]+[ \t]+)?Require[ \t]+(?:Import|Export)\b",
            r"^[ \t]*(?:Theorem|Lemma|Definition|Fixpoint|Inductive|Proof|Qed|Corollary|Section|Notation|Variable|Hint|Ltac)\b[^;\n]*$",
            r"^\(\*")),
        ("verilog", _any(r"^[ \t]*(?:`(?:timescale|define|include|ifn?def)|(?:macro)?module[ \t]+\w+[ \t]*[#(;]|endmodule\b|always[ \t]*@|assign[ \t]"
            r"|(?:input|output|wire|reg)\b)")),
        ("v", _any(r"^[ \t]*(?:pub[ \t]+)?(?:fn|struct|enum|interface)[ \t]+[\w(]", r"^module[ \t]+\w+[ \t]*$", r"^import[ \t]+[\w.]+[ \t]*$")),
    )),
    "ts": ("typescript", (("", QT_XML),)),
    "rs": ("rust", (("", QT_XML), ("renderscript", _any(r"^#pragma[ \t]+(?:version|rs)\b")))),
    "inc": ("", (
        ("php", _any(r"<\?(?:php|=)")), ("pascal", _any(r"^[ \t]*\{\$\w", r"^[ \t]*(?i:procedure|function|unit|uses)[ \t]+\w[\w.]*[ \t]*(?:\(|;|:)")),
        ("c++", CPLUSPLUS), ("c", C_LIKE),
        ("asm", _any(r"^[ \t]*(?i:%macro|%define|\.(?:macro|section|globl?|equ|include)|\w+[ \t]+(?:equ|macro)\b|(?:mov|push|pop|lda|ldr|jmp)[ \t])")),
        ("sql", _any(r"^[ \t]*(?i:select|insert[ \t]+into|create[ \t]+table|drop[ \t]+table|let \$|--source|--let)\b")), ("fortran", FORTRAN),
        ("bitbake", _any(r"^(?:SRC_URI|DEPENDS|LICENSE|PV|SUMMARY)[ \t]*[?+:]?=")),
    )),
    "cls": ("", (
        ("latex", _any(r"^[ \t]*\\(?:NeedsTeXFormat|ProvidesClass|LoadClass|DeclareOption|def|newcommand)\b")),
        ("vba", _any(r"^VERSION[ \t]+1\.0[ \t]+CLASS", r"^Attribute[ \t]+VB_")),
        ("apex", _any(r"^[ \t]*(?i:global|public|private)(?:[ \t]+\w+)*[ \t]+class\b", r"@(?i:istest|auraenabled)\b")),
        ("openedge", _any(r"^[ \t]*(?i:using[ \t]+[\w.*]+\.|class[ \t]+[\w.]+:|block-level)")),
        ("objectscript", _any(r"^Class[ \t]+%?[\w.]+")),
    )),
    "r": ("r", (("rebol", _any(r"\A\s*(?i:rebol|red)[ \t]*\[")), ("r", _any(r"<-|^[ \t]*(?:library|require)\(|function[ \t]*\(")),
        ("", _any(r"^\.(?:TH|SH|de)\b")))),
    "d": ("d", (
        ("makefile", _any(r"\A(?:#.*\n)*[\w./\\ -]+\.(?:l?o|d|obj)[ \t]*:(?!:)")),
        ("dtrace", _any(r"^#!.*\bdtrace\b", r"^#pragma[ \t]+D\b", r"^\w*:\w*:\w*:\w*", r"^(?:BEGIN|END|provider[ \t]+\w+)[ \t]*(?:\{|$)")),
    )),
    "fs": ("fsharp", (
        ("fsharp", _any(r"^[ \t]*(?:open[ \t]+[A-Z]|let[ \t]|module[ \t]|namespace[ \t]|type[ \t]+\w)")), ("glsl", GLSL), ("forth", FORTH),
        ("filterscript", _any(r"^#pragma[ \t]+(?:rs|version)")),
    )),
    "vs": ("glsl", ()), "fsh": ("glsl", ()), "vsh": ("glsl", ()),
    "f": ("fortran", (("fortran", FORTRAN), ("forth", FORTH))), "for": ("fortran", (("fortran", FORTRAN), ("forth", FORTH), ("", _any(r"\{%|<html")))),
    "cl": ("lisp", (("opencl", _any(r"\b(?:__)?kernel[ \t]+void\b", r"\b__(?:global|local|constant)\b",
        r"^[ \t]*#[ \t]*(?:pragma[ \t]+OPENCL|include|define|ifn?def)\b")), ("lisp", LISP), ("cool", _any(r"^[ \t]*(?i:class)[ \t]+\w+.*\{")))),
    "l": ("flex", (("lisp", LISP), ("", _any(r"\A(?:\.\\\"|'\\\")", r"^\.(?:TH|SH|Dd|Sh)\b")), ("picolisp", _any(r"^\((?:de|class|load)\b")))),
    "lsp": ("lisp", ()),
    "pp": ("pascal", (("puppet", _any(r"^[ \t]*(?:class|define|node)[ \t]+[\w:'\".]+.*\{?[ \t]*$", r"^[ \t]*(?:include|require)[ \t]+[\w:]+[ \t]*$",
        r"=>[ \t]*['\"]?\w+['\"]?,?[ \t]*$")), ("c++", CPLUSPLUS))),
    "cs": ("csharp", (("smalltalk", _any(r"^!\w+ methodsFor:", r"![\w\s]+methodsFor: ")),)),
    "sc": ("scala", (("supercollider", _any(r"\b(?:SynthDef|Synth\.new|Ugen|SinOsc\.ar)\b", r"^[ \t]*\+?\w+[ \t]*:[ \t]*\w+[ \t]*\{[ \t]*$")),)),
    "ml": ("ocaml", (("standard-ml", _any(r"^[ \t]*(?:structure|signature|functor)[ \t]+\w+[ \t]*[=:(]", r"=>[ \t]*(?:raise|case)\b")),)),
    "as": ("", (("actionscript", _any(r"^[ \t]*(?:package|import[ \t]+[\w.]+;|(?:public|private)[ \t]+(?:class|function|var))\b")),
        ("angelscript", _any(r"^[ \t]*(?:void|int|float|string|array<)\s*+[\w@]++.*[({;]")))),
    "gd": ("gdscript", (("gap", _any(r"\b(?:DeclareOperation|DeclareAttribute|DeclareGlobalFunction|BindGlobal)\b")),)),
    "cr": ("crystal", ()), "st": ("", (("smalltalk", _any(r"methodsFor:", r"^!", r"^[ \t]*\|[ \t]*\w+[ \t]*\|")),
        ("stringtemplate", _any(r"^(?:group|delimiters)\b", r"::=[ \t]*<<")))),
    "mod": ("", (("modula-2", _any(r"^[ \t]*(?:(?:IMPLEMENTATION|DEFINITION)[ \t]+)?MODULE[ \t]+\w+[ \t]*;")),
        ("ampl", _any(r"^[ \t]*(?:param|var|set|minimize|subject to)\b.*[;:]")))),
    "bas": ("basic", (("freebasic", _any(r"^[ \t]*#(?:include|lang|define)\b")), ("vba", _any(r"^Attribute[ \t]+VB_", r"^Option[ \t]+Explicit")))),
    "y": ("bison", ()), "tex": ("", ()),
}  # fmt: skip
