"""Insertion of results into a document, between two marks."""

END_MARK = "<!-- end -->"


def filled(document: str, program: str, text: str) -> str:
    """Return the document with this text after the program's mark. Raises `ValueError`."""
    mark = f"<!-- {program} -->"
    before, found, rest = document.partition(mark)
    _, end, after = rest.partition(END_MARK)
    if not found or not end:
        raise ValueError(f"the document has no {mark} with an {END_MARK}")
    return f"{before}{mark}\n{text}{END_MARK}{after}"
