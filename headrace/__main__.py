"""`python -m headrace` is the command line. Before anything else is imported, it looks whether our rooms are ours."""

import sys
from typing import NoReturn

from headrace.names import stranger


def main() -> NoReturn:
    """Refuse to start among strangers' packages; else hand over to the command line."""
    line = stranger()
    if line is not None:
        print(f"headrace: {line}", file=sys.stderr)
        sys.exit(2)
    from headrace.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
