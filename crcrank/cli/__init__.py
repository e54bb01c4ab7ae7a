"""The command line: options in, one stage called, a table out."""
