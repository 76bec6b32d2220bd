"""What is known of one error code."""

from typing import NamedTuple


class Code(NamedTuple):
    """A stable code of an error, for `parley explain-code`.

    title: a few words. text: a paragraph of explanation. wrong, right: an example that gives the error and the same
    without it: lines of a study, or a command that starts with `$ `.
    """

    code: str
    title: str
    text: str
    wrong: str
    right: str
