"""The values of a study's parameters: defaults, overrides given as text, and the sizes made of them.

For: `param_values`, `parse_setting`, `whole_number`.
Leaves to others: saying what is wrong with a declaration (`elaborate`), everything that is not a literal.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from dsl import syntax

__all__ = ["ParamValue", "param_values", "parse_setting", "whole_number"]

ParamValue = bool | int | Decimal | datetime.date | str
"""A parameter's value: a date as a date, an enum's word and a text as text."""

Setting = str | bool | int | float


def parse_setting(type_: syntax.TypeExpression, given: Setting) -> ParamValue:
    """The value that `given` (the text after `-p name=`, or a value) has in the type `type_`.

    ValueError with a sentence for the user when it is none of that type or outside the declared range.
    """
    value = _parse(type_, given)
    if type_.bounds is not None and isinstance(value, int | Decimal):
        low, high = type_.bounds.low, type_.bounds.high
        if not low <= value <= high:
            raise ValueError(f"{given} is outside {low}..{high}")
    return value


def _parse(type_: syntax.TypeExpression, given: Setting) -> ParamValue:
    text = str(given).strip()
    match type_.name:
        case "bool":
            word = text.lower()
            if word not in {"true", "false", "1", "0"}:
                raise ValueError(f"{text!r} is not a truth value: write true or false")
            return word in {"true", "1"}
        case "int":
            try:
                whole = int(text)
            except ValueError:
                raise ValueError(f"{text!r} is not a whole number") from None
            if not -(2**63) <= whole < 2**63:
                raise ValueError(f"{text} does not fit into 64 bits")
            return whole
        case "fixed" | "decimal":
            return _decimal(type_, text)
        case "date":
            try:
                return datetime.date.fromisoformat(text)
            except ValueError:
                raise ValueError(f"{text!r} is not a date as in 2024-01-31") from None
        case "enum":
            if text not in type_.arguments:
                raise ValueError(f"{text!r} is none of {', '.join(map(repr, type_.arguments))}")
            return text
    return _text(type_, str(given))


def _text(type_: syntax.TypeExpression, text: str) -> str:
    if type_.name == "text" and len(text.encode()) > int(type_.arguments[0]):
        raise ValueError(f"a text of more than {type_.arguments[0]} bytes")
    return text


def _decimal(type_: syntax.TypeExpression, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a number") from None
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a number")
    if type_.name == "decimal" and type_.arguments:
        places = int(type_.arguments[0])
        if number != round(number, places):
            raise ValueError(f"{text} has more than {places} places")
    return number


def param_values(study: syntax.Study, settings: Mapping[str, Setting]) -> dict[str, ParamValue]:
    """The parameters whose value is known without computing: overridden, or a literal by default.

    Settings that do not fit are left out: `elaborate` reports them.
    """
    values: dict[str, ParamValue] = {}
    for statement in study.body:
        if not isinstance(statement, syntax.Param):
            continue
        name = statement.name.text
        if name in settings:
            try:
                values[name] = parse_setting(statement.type, settings[name])
            except ValueError:
                continue
        elif (number := whole_number(statement.default, values)) is not None:
            values[name] = number
        else:
            match statement.default:
                case syntax.Bool(value) | syntax.Real(value) | syntax.Date(value) | syntax.Text(value):
                    values[name] = value
    return values


def whole_number(expression: syntax.Expression, values: Mapping[str, ParamValue]) -> int | None:
    """A whole number made of literals, parameters, `+ - * //` and signs; None when it is anything else."""
    match expression:
        case syntax.Int(value):
            return value
        case syntax.Name(name):
            known = values.get(name)
            return known if isinstance(known, int) and not isinstance(known, bool) else None
        case syntax.Unary("-", operand):
            inner = whole_number(operand, values)
            return None if inner is None else -inner
        case syntax.Binary(op, left, right):
            a, b = whole_number(left, values), whole_number(right, values)
            if a is None or b is None:
                return None
            match op:
                case "+":
                    return _counted(a + b)
                case "-":
                    return _counted(a - b)
                case "*":
                    return _counted(a * b)
                case "//":
                    return None if b == 0 else a // b
    return None


def _counted(number: int) -> int | None:
    """A number of 64 bits, or None: a few lines could write one that takes hours to multiply."""
    return number if -(1 << 63) <= number < 1 << 63 else None
