"""Columns that conditions leave no missing values of.

For: `present`: which columns these are, and `without_missing`: rows without the masks that say so of them.

A row that is left has a value in each column that must have one for the condition to be true: after
`where debts is not null`, or `debts > 0`, `debts` is a column like any other, that a model may be trained on, and no
mask of it is shared, sorted or moved.  Under the values of rows that were dropped anything may stand, as always.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import cast

from dsl import syntax
from dsl.node import Node
from dsl.query.plan import Certain, Column, Ref
from dsl.query.relation import Part
from dsl.values import Array

__all__ = ["present", "without_missing"]

NOTHING: frozenset[Column] = frozenset()


def present(condition: Node) -> frozenset[Column]:
    """The columns that have a value in every row for which the condition is true."""
    match condition:
        case syntax.Logical(op, left, right):
            a, b = present(cast(Node, left)), present(cast(Node, right))
            return a | b if op == "and" else a & b
        case syntax.IsNull(value, negated=True) | syntax.Unary("not", syntax.IsNull(value, negated=False)):
            return _needed(cast(Node, value))
        case Certain(value):
            return present(value)
        case syntax.Unary("not", syntax.Compare() | Ref() as value):
            return _needed(value)
    return _needed(condition)


def _needed(value: Node) -> frozenset[Column]:
    """The columns without which a value, or a condition, is missing itself."""
    match value:
        case Ref(column):
            return frozenset([column])
        case syntax.Compare(_, left, right) | syntax.Binary(_, left, right):
            return _needed(cast(Node, left)) | _needed(cast(Node, right))
        case syntax.Unary("-", operand):
            return _needed(cast(Node, operand))
        case syntax.Between(operand) | syntax.InList(operand) | syntax.Like(operand):
            return _needed(cast(Node, operand))
    return NOTHING


def without_missing(part: Part, columns: Collection[Column]) -> Part:
    """The rows, in which these columns have values wherever a row is visible."""
    known = {c: _whole(a) for c, a in part.columns.items() if c in columns and a.valid is not None}
    return replace(part, columns={**part.columns, **known}) if known else part


def _whole(array: Array) -> Array:
    return replace(array, valid=None, stype=array.stype.optional(False))
