"""Readers of users' formats.

A format is one module with two functions, registered by one line in ``registry.FORMATS``:

- ``recognises(source) -> bool`` looks at the beginning of a ``opening.Source`` and says whether the format fits;
- ``read(source, options) -> Iterator[RawRecord]`` yields what users wrote, line by line, unjudged: whether a text is a
  usable formula is decided later and for all formats alike. It raises ``InputDataError`` if the file itself is unusable.
"""
