"""Queries: SQL selects as surface circuits.

    bind, bind_from, subqueries, names    text to a plan: names, aggregates, sub-queries
    plan                                  selects over sources, in the terms of relational algebra
    rewrite, early                        conditions, expressions and groups to where they cost least
    select, joins, outer, lookups, attach plan to circuit: sources, joins, sub-queries
    groups, buckets, sorted_groups, totals, measures, moments     groups and what is measured of them
    expressions, quotients, dates, texts  single values, by SQL's rules
    scan, ordering, define                tables in, order and limit, a table out

Nothing here says who computes what: an operation on what one party sees is that party's, by the circuit's types.
"""

from dsl.query.define import define, held

__all__ = ["define", "held"]
