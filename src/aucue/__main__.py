"""`python -m aucue COMMAND ...` is `aucue COMMAND ...`, where the command is not on the path."""

import sys

from aucue.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
