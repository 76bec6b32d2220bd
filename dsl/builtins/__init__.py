"""The functions that the language has by itself, one topic a file; importing the package fills the table."""

from dsl.builtins import (
    arrays,
    clipping,
    dates,
    gradient,
    images,
    modules,
    normal,
    numbers,
    reductions,
    tables,
    training,
)
from dsl.builtins.table import BUILTINS, SPECIALS, Builtin, CallSite

__all__ = [
    "BUILTINS",
    "SPECIALS",
    "Builtin",
    "CallSite",
    "arrays",
    "clipping",
    "dates",
    "gradient",
    "images",
    "modules",
    "normal",
    "numbers",
    "reductions",
    "tables",
    "training",
]
