"""Programming languages by the ends of file names, each as a content type: `text/x-python`; where an end is shared, by what stands in the file."""

import re

from ingest.trees.dialects import CHOICES

TYPES = {
    "python": "py pyi pyx pxd", "java": "java", "c++": "cpp cc cxx hpp hh hxx inl ipp cu cuh", "c": "c h", "csharp": "cs", "go": "go", "rust": "rs",
    "javascript": "js mjs cjs jsx", "typescript": "ts tsx mts cts", "kotlin": "kt kts", "scala": "scala sc", "swift": "swift", "objective-c": "m mm",
    "ruby": "rb rake gemspec", "php": "php", "perl": "pl pm t", "lua": "lua", "r": "r", "julia": "jl", "haskell": "hs", "ocaml": "ml mli",
    "erlang": "erl hrl", "elixir": "ex exs", "clojure": "clj cljs cljc", "lisp": "lisp lsp cl", "emacs-lisp": "el", "scheme": "scm ss rkt",
    "fsharp": "fs fsx", "dart": "dart", "zig": "zig", "nim": "nim", "d": "d", "fortran": "f f90 f95 f03 for", "ada": "adb ads", "pascal": "pas pp",
    "cobol": "cob cbl", "asm": "s asm", "verilog": "v sv svh", "vhdl": "vhd vhdl", "sql": "sql", "sh": "sh bash zsh ksh", "powershell": "ps1 psm1",
    "batch": "bat cmd", "groovy": "groovy gradle", "cmake": "cmake", "makefile": "mk mak", "protobuf": "proto", "thrift": "thrift",
    "graphql": "graphql gql", "cython": "pxi", "solidity": "sol", "glsl": "glsl vert frag", "tcl": "tcl", "awk": "awk", "vim": "vim", "nix": "nix",
    "terraform": "tf", "css": "css scss sass less", "html": "html htm", "vue": "vue", "svelte": "svelte", "jinja": "j2 jinja jinja2", "bison": "y yy",
    "flex": "l ll", "prolog": "prolog yap", "raku": "raku rakumod p6 pm6", "matlab": "mlx", "coq": "coq", "opencl": "opencl", "puppet": "puppet",
    "crystal": "cr",
    "gdscript": "gd", "wgsl": "wgsl", "hcl": "hcl", "starlark": "bzl star", "elm": "elm", "purescript": "purs", "racket": "rktl", "smalltalk": "smalltalk",
    "vala": "vala",
    "coffeescript": "coffee", "stylus": "styl", "apl": "apl dyalog", "forth": "fth 4th forth", "lean": "lean", "agda": "agda", "idris": "idr", "move": "move",
}  # fmt: skip
BY_END = {end: f"text/x-{name}" for name, ends in TYPES.items() for end in ends.split()}
BY_NAME = {
    "makefile": "text/x-makefile", "gnumakefile": "text/x-makefile", "cmakelists.txt": "text/x-cmake", "dockerfile": "text/x-dockerfile",
    "rakefile": "text/x-ruby", "vagrantfile": "text/x-ruby", "podfile": "text/x-ruby", "meson.build": "text/x-meson", "justfile": "text/x-just",
    "build": "text/x-starlark",
    "workspace": "text/x-starlark", "sconscript": "text/x-python", "makefile.am": "text/x-makefile", "makefile.in": "text/x-makefile",
    "configure.ac": "text/x-m4",
    "gemfile": "text/x-ruby", "sconstruct": "text/x-python", "build.bazel": "text/x-starlark", "jenkinsfile": "text/x-groovy",
}  # fmt: skip


TEXTS = {"markdown": "md markdown", "rst": "rst", "json": "json", "yaml": "yaml yml", "toml": "toml", "xml": "xml xsd xsl", "ini": "ini cfg", "text": "txt"}
"""What is no program and stands in repositories too: read where a recipe asks for it."""
TEXT_BY_END = {end: f"text/x-{name}" for name, ends in TEXTS.items() for end in ends.split()}
SHARED = {end: f"text/x-{default}" if default else "" for end, (default, _) in CHOICES.items()}
INTERPRETERS = {
    "python": "python", "pypy": "python", "node": "javascript", "nodejs": "javascript", "deno": "typescript", "bun": "javascript", "ts-node": "typescript",
    "tsx": "typescript",
    "sh": "sh", "bash": "sh", "dash": "sh", "ksh": "sh", "zsh": "sh", "ash": "sh", "fish": "fish", "perl": "perl", "raku": "raku", "ruby": "ruby",
    "jruby": "ruby", "php": "php",
    "lua": "lua", "luajit": "lua", "awk": "awk", "gawk": "awk", "mawk": "awk", "sed": "sed", "tclsh": "tcl", "wish": "tcl", "rscript": "r", "julia": "julia",
    "groovy": "groovy",
    "scala": "scala", "swipl": "prolog", "escript": "erlang", "elixir": "elixir", "runghc": "haskell", "runhaskell": "haskell", "ocaml": "ocaml",
    "make": "makefile",
    "pwsh": "powershell", "guile": "scheme", "racket": "scheme", "sbcl": "lisp", "clojure": "clojure", "emacs": "emacs-lisp", "osascript": "applescript",
    "nu": "nushell",
}  # fmt: skip
SHEBANG = re.compile(r"#![ \t]*(?:\S*/)?(?:env[ \t]+(?:-\S+[ \t]+|\w+=\S*[ \t]+)*(?:\S*/)?)?([A-Za-z][A-Za-z_-]*)")
EXEC = re.compile(r"^exec[ \t]+(tclsh|wish|perl|python|ruby|guile|node)", re.M)
MODE = re.compile(r"-\*-[ \t]*(?:mode:[ \t]*)?([\w+#-]{1,20})[ \t]*(?:;[^\n]{0,100})?-\*-", re.I)
MODES = {"c++": "c++", "c": "c", "objc": "objective-c", "octave": "matlab", "prolog": "prolog", "perl": "perl", "cperl": "perl", "coq": "coq",
    "verilog": "verilog"}


def content_type(path: str, also: tuple[str, ...] = ()) -> str | None:
    """Return the content type of a source file by its name; None for what is not source code, nor of the kinds of TEXTS that are asked for too.

    Where files of several languages have such a name it is that of most, and `language` tells.
    """
    name = path.rpartition("/")[2].lower()
    end = name.rpartition(".")[2] if "." in name else ""
    found = BY_NAME.get(name) or BY_END.get(end) or SHARED.get(end)
    if found is None and (kind := TEXT_BY_END.get(end, "")).removeprefix("text/x-") in also:
        return kind
    return found


def language(path: str, text: str, also: tuple[str, ...] = ()) -> str | None:
    """Return the content type of a source file by its name and what stands in it; None for what turns out to be no source code.

    A name without an end is told by the `#!` line.
    """
    known = content_type(path, also)
    name = path.rpartition("/")[2].lower()
    if known is None and ("." not in name.lstrip(".") or name.endswith(".in")):
        return interpreted(text)
    end = name.rpartition(".")[2] if "." in name else ""
    if name in BY_NAME or end not in CHOICES:
        return known
    default, choices = CHOICES[end]
    said = MODE.search(text[:300])
    if said and (mode := MODES.get(said[1].lower())) and mode in (default, *(one for one, _ in choices)):
        return f"text/x-{mode}"
    found = next((one for one, pattern in choices if pattern.search(text[:32_768])), default)
    return f"text/x-{found}" if found else None


def interpreted(text: str) -> str | None:
    """Return the content type of a script by its first line; None where it has none that is known."""
    found = SHEBANG.match(text)
    name = found[1].lower().rstrip("-_") if found else ""
    language = INTERPRETERS.get(name)
    if language == "sh" and (other := EXEC.search(text[:500])):  # a shell that starts another at once
        language = INTERPRETERS.get(other[1])
    return f"text/x-{language}" if language else None
