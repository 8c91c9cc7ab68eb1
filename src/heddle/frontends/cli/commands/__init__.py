"""One module per command: EXAMPLES, arguments(parser), run(args) -> exit status."""
