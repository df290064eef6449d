"""The `./orderbus` command line, one module a command group."""
