"""Programming languages by the ends of file names, each as a content type: `text/x-python`."""

TYPES = {
    "python": "py pyi pyx pxd", "java": "java", "c++": "cpp cc cxx hpp hh hxx inl ipp cu cuh", "c": "c h", "csharp": "cs", "go": "go", "rust": "rs",
    "javascript": "js mjs cjs jsx", "typescript": "ts tsx mts", "kotlin": "kt kts", "scala": "scala sc", "swift": "swift", "objective-c": "m mm",
    "ruby": "rb rake gemspec", "php": "php", "perl": "pl pm t", "lua": "lua", "r": "r", "julia": "jl", "haskell": "hs", "ocaml": "ml mli",
    "erlang": "erl hrl", "elixir": "ex exs", "clojure": "clj cljs cljc", "lisp": "lisp lsp cl", "emacs-lisp": "el", "scheme": "scm ss rkt",
    "fsharp": "fs fsx", "dart": "dart", "zig": "zig", "nim": "nim", "d": "d", "fortran": "f f90 f95 f03 for", "ada": "adb ads", "pascal": "pas pp",
    "cobol": "cob cbl", "asm": "s asm", "verilog": "v sv svh", "vhdl": "vhd vhdl", "sql": "sql", "sh": "sh bash zsh ksh", "powershell": "ps1 psm1",
    "batch": "bat cmd", "groovy": "groovy gradle", "cmake": "cmake", "makefile": "mk mak", "protobuf": "proto", "thrift": "thrift",
    "graphql": "graphql gql", "cython": "pxi", "solidity": "sol", "glsl": "glsl vert frag", "tcl": "tcl", "awk": "awk", "vim": "vim", "nix": "nix",
    "terraform": "tf", "css": "css scss sass less", "html": "html htm", "vue": "vue", "svelte": "svelte", "jinja": "j2 jinja jinja2", "bison": "y yy",
    "flex": "l ll",
}  # fmt: skip
BY_END = {end: f"text/x-{name}" for name, ends in TYPES.items() for end in ends.split()}
BY_NAME = {
    "makefile": "text/x-makefile", "gnumakefile": "text/x-makefile", "cmakelists.txt": "text/x-cmake", "dockerfile": "text/x-dockerfile",
    "rakefile": "text/x-ruby", "gemfile": "text/x-ruby", "sconstruct": "text/x-python", "build.bazel": "text/x-starlark", "jenkinsfile": "text/x-groovy",
}  # fmt: skip


def content_type(path: str) -> str | None:
    """Return the content type of a source file by its name; None for what is not source code."""
    name = path.rpartition("/")[2].lower()
    return BY_NAME.get(name) or BY_END.get(name.rpartition(".")[2] if "." in name else "")
