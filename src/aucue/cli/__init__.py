"""The command line, `aucue COMMAND ...`: one thin file per command, dispatched by `aucue.cli.main`."""
