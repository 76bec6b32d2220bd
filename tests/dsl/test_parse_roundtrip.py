"""A tree that is written and read again is the same tree."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from syntax_trees import AT, expressions, queries, query_expressions, statements, studies

from dsl import syntax as s
from dsl.parse import parse
from dsl.unparse import to_source

STUDIES = sorted((Path(__file__).parent / "data").glob("*.parley"))
relaxed = settings(max_examples=100, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_a_study_survives(path: Path) -> None:
    tree = parse(path.read_text(encoding="utf-8"), path.name)
    assert len(tree.body) > 3
    assert parse(to_source(tree)) == tree


@relaxed
@given(expressions)
def test_an_expression_survives(e: s.Expression) -> None:
    text = f"x = ({to_source(e)})\n"
    assert parse(text).body[0] == s.Assign(s.Name("x", span=AT), e, span=AT), text


@relaxed
@given(query_expressions)
def test_an_expression_of_a_query_survives(e: s.Expression) -> None:
    item = s.SelectItem(e, span=AT)
    table = s.TableName(s.Identifier("t", span=AT), span=AT)
    query = s.Query(s.Select((item,), (table,), span=AT), span=AT)
    text = f"query q:\n    {to_source(query)}\n"
    assert parse(text).body[0] == s.QueryDefinition(s.Identifier("q", span=AT), query, span=AT), text


@pytest.mark.slow
@relaxed
@given(queries(query_expressions))
def test_a_query_survives(query: s.Query) -> None:
    text = f"query q:\n    {to_source(query)}\n"
    assert parse(text).body[0] == s.QueryDefinition(s.Identifier("q", span=AT), query, span=AT), text


@relaxed
@given(statements)
def test_a_statement_survives(statement: s.Statement) -> None:
    text = to_source(statement)
    assert parse(text).body == (statement,), text


@pytest.mark.slow
@relaxed
@given(studies)
def test_a_made_up_study_survives(study: s.Study) -> None:
    text = to_source(study)
    assert parse(text) == study, text
