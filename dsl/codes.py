"""The table of error codes.

For: `CODES`, everything known of each code, and `explain`, which `parley explain-code` prints. A code once given never
changes its meaning. A new one is one entry in `codes_language` or `codes_job`, and one line in `tests/errors/`.
Leaves to others: raising errors (`diagnostics`).

    E01xx  the text             E02xx  names                E03xx  types, shapes, who sees what
    E04xx  data and inputs      E05xx  ranges               E06xx  queries
    E07xx  privacy of results   E08xx  running a job        E09xx  not supported yet
"""

import textwrap

from dsl.code import Code
from dsl.codes_job import JOB_CODES
from dsl.codes_language import LANGUAGE_CODES

CODES: dict[str, Code] = {code.code: code for code in sorted(LANGUAGE_CODES + JOB_CODES)}


def explain(code: str) -> str | None:
    """A page about a code, in either case, or `None` when there is no such code."""
    known = CODES.get(code.upper())
    if known is None:
        return None
    page = [f"{known.code}: {known.title}", "", textwrap.fill(known.text, 88), "", "Wrong:", ""]
    page += [textwrap.indent(known.wrong, "    "), "", "Right:", "", textwrap.indent(known.right, "    ")]
    return "\n".join(page)
