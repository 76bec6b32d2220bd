"""What texts mean: one construct each."""

import datetime
from decimal import Decimal

import pytest

from dsl import syntax as s
from dsl.parse import parse
from dsl.source import Span
from dsl.unparse import to_source

AT = Span(0, 0)


def ident(text: str) -> s.Identifier:
    return s.Identifier(text, span=AT)


def name(text: str) -> s.Name:
    return s.Name(text, span=AT)


def num(value: int) -> s.Int:
    return s.Int(value, span=AT)


def value(text: str) -> s.Expression:
    (statement,) = parse(f"x = {text}\n").body
    assert isinstance(statement, s.Assign)
    return statement.value


def query(text: str) -> s.Query:
    (statement,) = parse(f"query q:\n    {text}\n").body
    assert isinstance(statement, s.QueryDefinition)
    return statement.query


def select(text: str) -> s.Select:
    body = query(text).body
    assert isinstance(body, s.Select)
    return body


def where(text: str) -> s.Expression:
    found = select(f"select a from t where {text}").where
    assert found is not None
    return found


# ------------------------------------------------------------------------------------------------------- layout


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_any_kind(end: str) -> None:
    text = '"""Doc."""\n\nif a:\n    x = 1\n\n    y = (2 +\n3)\nelse:\n    x = 2\nz = 3\n'
    assert parse(text.replace("\n", end)) == parse(text)


def test_the_last_line_needs_no_end() -> None:
    assert parse("for i in x:\n    y = 1") == parse("for i in x:\n    y = 1\n")
    assert parse("query q:\n    select a from t") == parse("query q:\n    select a from t\n")


def test_an_empty_study() -> None:
    for text in ["", "\n", "   ", "# nothing\n\n  # more", "\ufeff"]:
        assert parse(text).body == ()
        assert parse(text).doc is None


def test_the_docstring_comes_first() -> None:
    assert parse("# note\n\n'''What\nit is.'''\nx = 1\n").doc == "What\nit is."
    assert parse("'short'\n").doc == "short"


def test_comments_and_blank_lines_do_not_count() -> None:
    text = "if a:  # why\n\n        # far\n    x = 1\n# near\n    y = 2\n\n\nz = 3\n"
    assert parse(text) == parse("if a:\n    x = 1\n    y = 2\nz = 3\n")


def test_tabs_indent_too() -> None:
    assert parse("if a:\n\tx = 1\n\tif b:\n\t\ty = 2\n") == parse("if a:\n    x = 1\n    if b:\n        y = 2\n")


def test_lines_go_on_within_brackets_and_after_a_backslash() -> None:
    expected = parse("x = f(a, [b, c])\n")
    assert parse("x = f(a,  # first\n\n[b,\n        c]\n  )\n") == expected
    assert parse("x = \\\n    f(a, [b, c])\n") == expected


def test_a_block_may_stand_on_the_line() -> None:
    assert parse("if a: x = 1\nelse: x = 2\n") == parse("if a:\n    x = 1\nelse:\n    x = 2\n")


def test_nodes_know_their_place() -> None:
    text = "a = 1\nb = (a + 2) * f(a)[0]\n"
    (_, statement) = parse(text).body
    assert isinstance(statement, s.Assign)
    assert isinstance(statement.value, s.Binary)
    excerpts = [text[slice(*n.span)] for n in s.walk(statement)]
    product = ["(a + 2) * f(a)[0]", "(a + 2)", "a", "2", "f(a)[0]", "f(a)", "f", "a", "0"]
    assert excerpts == ["b = (a + 2) * f(a)[0]", "b", *product]


def test_a_compound_statement_ends_with_its_body() -> None:
    text = "if a:\n    x = 1\nelse:\n    y = 2\n\n\nz = 3\n"
    assert text[slice(*parse(text).body[0].span)] == "if a:\n    x = 1\nelse:\n    y = 2"


# -------------------------------------------------------------------------------------------------- expressions


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a + b * c", "a + (b * c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b @ c", "(a / b) @ c"),
        ("-a ** b", "-(a ** b)"),
        ("a ** -b", "a ** (-b)"),
        ("a ** b ** c", "a ** (b ** c)"),
        ("-a * b", "(-a) * b"),
        ("not a == b", "not (a == b)"),
        ("not a and b", "(not a) and b"),
        ("a or b and c", "a or (b and c)"),
        ("a if b else c if d else e", "a if b else (c if d else e)"),
        ("a or b if c else d", "(a or b) if c else d"),
        ("a + b > c // d", "(a + b) > (c // d)"),
        ("a.b(c)[d].e", "(((a.b)(c))[d]).e"),
        ("X @ w + b > 0", "((X @ w) + b) > 0"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert value(text) == value(grouped)
    assert to_source(value(text)) == text


def test_numbers_are_exact() -> None:
    assert value("1_000") == num(1000)
    assert value("0.045") == s.Real(Decimal("0.045"), span=AT)
    assert value("1e-3") == s.Real(Decimal("0.001"), span=AT)
    assert value("2.") == s.Real(Decimal(2), span=AT)
    assert value(".5") == s.Real(Decimal("0.5"), span=AT)
    assert value("-9223372036854775808") == s.Unary("-", num(2**63), span=AT)


def test_texts() -> None:
    assert value(r"""'a\'b\n\x41\u00e9\\'""") == s.Text("a'b\nAé\\", span=AT)
    assert value('"it\'s"') == s.Text("it's", span=AT)


def test_dates_and_truth() -> None:
    assert value("date '2024-01-31'") == s.Date(datetime.date(2024, 1, 31), span=AT)
    assert value("true") == s.Bool(True, span=AT)


def test_subscripts() -> None:
    part = s.Slice(num(2), num(5), span=AT)
    assert value("x[2:5]") == s.Subscript(name("x"), (part,), span=AT)
    assert value("X[:, 0]") == s.Subscript(name("X"), (s.Slice(span=AT), num(0)), span=AT)
    assert value("x[::2]") == s.Subscript(name("x"), (s.Slice(None, None, num(2), span=AT),), span=AT)


def test_lists_and_tuples_are_told_apart() -> None:
    pair = s.Tuple((name("a"), name("b")), span=AT)
    assert value("a, b") == value("(a, b)") == value("(a, b,)") == pair
    assert value("[a, b]") == s.List((name("a"), name("b")), span=AT)
    assert value("[(a, b)]") == s.List((pair,), span=AT)
    assert value("(a,)") == s.Tuple((name("a"),), span=AT)
    assert value("(a)") == name("a")
    assert value("()") == s.Tuple((), span=AT)


def test_calls() -> None:
    keyword = s.Keyword(ident("size"), num(2), span=AT)
    function = s.Attribute(name("ml"), ident("ridge"), span=AT)
    assert value("ml.ridge(X, size=2)") == s.Call(function, (name("X"),), (keyword,), span=AT)
    assert value("reveal(x)") == s.Reveal(name("x"), span=AT)
    assert isinstance(value("reveal(g, noise=gaussian(epsilon=0.5))"), s.Reveal)


SOFT = ["to", "as", "where", "with", "from", "rows", "unique", "date", "key", "text", "party", "input", "table", "all"]
COLUMNS = ["date", "key", "text", "day", "rows", "n", "min", "left", "end", "year", "limit", "all", "interval", "asc"]


@pytest.mark.parametrize("word", SOFT)
def test_soft_key_words_are_names(word: str) -> None:
    assign, table = parse(f"{word} = {word} + t.{word}({word}={word})\ntable t from p:\n    {word}: int\n").body
    assert isinstance(assign, s.Assign)
    assert assign.target == name(word)
    assert isinstance(table, s.Table)
    assert table.columns[0].name == ident(word)
    assert select(f'select "{word}", t.{word} from t').items[0].value == name(word)


@pytest.mark.parametrize("word", COLUMNS)
def test_columns_may_have_the_names_of_soft_key_words(word: str) -> None:
    q = query(f"select {word}, max({word}) as {word} from t where {word} > 3 group by {word} order by {word} desc")
    assert isinstance(q.body, s.Select)
    assert q.body.items[0].value == name(word)
    assert q.body.items[1].alias == ident(word)
    assert q.body.group == (name(word),)
    assert q.order == (s.OrderItem(name(word), True, span=AT),)


# --------------------------------------------------------------------------------------------------- statements


def test_table() -> None:
    text = (
        "table t from a, b rows <= 1000:\n    id: key unique\n    age: int in 0..120?\n    x: fixed in -10..10\n"
        "    price: decimal(2)\n    kind: enum('a', 'b')\n    'two words': text(25)\n    unique (age, kind)\n"
    )
    (table,) = parse(text).body
    assert isinstance(table, s.Table)
    assert [p.text for p in table.parties] == ["a", "b"]
    assert table.rows == num(1000)
    assert table.columns[0].unique
    assert table.columns[1].type == s.TypeExpression("int", (), True, s.Bounds(0, 120, span=AT), span=AT)
    assert table.columns[2].type.bounds == s.Bounds(-10, 10, span=AT)
    assert [c.type.arguments for c in table.columns[3:]] == [(2,), ("a", "b"), (25,)]
    assert table.columns[5].name == ident("two words")
    assert table.uniques == (s.Unique((ident("age"), ident("kind")), span=AT),)


def test_declarations() -> None:
    text = (
        "party a, b\nparam n: int = 5\ninput x: fixed[n, 4] from a\n"
        "import ml as m, stats\nfrom stats import mean as f, std\n"
    )
    party, param, given, modules, names = parse(text).body
    assert party == s.Party((ident("a"), ident("b")), span=AT)
    assert param == s.Param(ident("n"), s.TypeExpression("int", span=AT), num(5), span=AT)
    assert isinstance(given, s.Input)
    assert given.type.shape == (name("n"), num(4))
    assert isinstance(modules, s.Import)
    assert [m.bound.text for m in modules.modules] == ["m", "stats"]
    assert isinstance(names, s.FromImport)
    assert [n.bound.text for n in names.names] == ["f", "std"]


def test_functions() -> None:
    (function,) = parse('def f(x, y=1):\n    """Says what."""\n    return x, y\n').body
    assert isinstance(function, s.Function)
    assert function.doc == "Says what."
    assert [p.default for p in function.parameters] == [None, num(1)]
    assert function.body == (s.Return(s.Tuple((name("x"), name("y")), span=AT), span=AT),)


def test_loops_and_branches() -> None:
    loop, branches = parse(
        "for x, (i, j) in batches(X, Y, size=k):\n    pass\nif a: x = 1\nelif b: x = 2\nelse: x = 3\n"
    ).body
    assert isinstance(loop, s.For)
    inner = s.Tuple((name("i"), name("j")), span=AT)
    assert loop.target == s.Tuple((name("x"), inner), span=AT)
    assert isinstance(branches, s.If)
    assert [b.condition for b in branches.branches] == [name("a"), name("b")]
    assert len(branches.otherwise) == 1


def test_assignments() -> None:
    body = parse("a, b[i] = e\nx[i, 0] = e\nw -= r * d\nx[0] **= 2\n").body
    assert isinstance(body[0], s.Assign)
    assert isinstance(body[0].target, s.Tuple)
    assert isinstance(body[1], s.Assign)
    assert isinstance(body[1].target, s.Subscript)
    assert [x.op for x in body if isinstance(x, s.AugmentedAssign)] == ["-", "**"]


def test_reveal() -> None:
    text = (
        "reveal w, b to p, q as u, v where n >= 10 with laplace(epsilon=0.5)\nreveal a if s else -1 to all as winner\n"
    )
    first, second = parse(text).body
    assert isinstance(first, s.RevealTo)
    assert (len(first.values), len(first.receivers), len(first.names)) == (2, 2, 2)
    assert isinstance(first.guard, s.Compare)
    assert isinstance(first.mechanism, s.Call)
    assert not first.to_all
    assert isinstance(second, s.RevealTo)
    assert isinstance(second.values[0], s.Conditional)
    assert second.to_all


def test_a_reveal_may_start_with_a_bracket() -> None:
    (statement,) = parse("reveal (a + b) * 2 to all\n").body
    assert isinstance(statement, s.RevealTo)
    assert isinstance(statement.values[0], s.Binary)


def test_small_statements() -> None:
    body = parse("assert c, 'text'\nstore model as name\nf(x)\npass\nstore(x)\n").body
    assert body[0] == s.Assert(name("c"), "text", span=AT)
    assert body[1] == s.Store(name("model"), ident("name"), span=AT)
    assert [type(x) for x in body[2:]] == [s.ExpressionStatement, s.Pass, s.ExpressionStatement]


# ------------------------------------------------------------------------------------------------------ queries


def test_key_words_in_either_case() -> None:
    text = "select distinct count(*) as n from t left join u on t.a = u.a where a is not null group by b order by n"
    upper = (
        "SELECT DISTINCT Count(*) AS n FROM t LEFT OUTER JOIN u ON t.a = u.a WHERE a IS NOT NULL GROUP BY b ORDER BY n"
    )
    assert query(text) == query(upper)


def test_any_layout_within_a_query() -> None:
    text = "query q:\n        select a,   # first\n  b\n\n# margin\n      from t\n   where a = 1\nx = 1\n"
    assert parse(text) == parse("query q: select a, b from t where a = 1\nx = 1\n")


def test_select() -> None:
    q = query("select t.a, b c, t.*, count(distinct x) as d from t, u v where a having b order by c, 2 desc limit 10")
    assert isinstance(q.body, s.Select)
    assert [i.alias.text if i.alias else None for i in q.body.items] == [None, "c", None, "d"]
    assert q.body.items[2].value == s.Star(ident("t"), span=AT)
    assert isinstance(q.body.items[3].value, s.Call)
    assert q.body.items[3].value.distinct
    assert q.body.sources == (s.TableName(ident("t"), span=AT), s.TableName(ident("u"), ident("v"), span=AT))
    assert [o.descending for o in q.order] == [False, True]
    assert q.limit == num(10)


def test_joins_nest_to_the_left() -> None:
    (join,) = select("select a from t join u on x = y bounded 10 left join (select b from w) as z(k) on k = a").sources
    assert isinstance(join, s.Join)
    assert join.kind == "left"
    assert isinstance(join.left, s.Join)
    assert (join.left.kind, join.left.bound) == ("inner", num(10))
    assert isinstance(join.right, s.DerivedTable)
    assert join.right.columns == (ident("k"),)


def test_union_and_with() -> None:
    q = query(
        "with w (a) as (select b from t) select a from w union all select b from t union (select c from t limit 1)"
    )
    assert q.common[0].columns == (ident("a"),)
    assert isinstance(q.body, s.Union)
    assert not q.body.all
    assert isinstance(q.body.left, s.Union)
    assert q.body.left.all
    assert isinstance(q.body.right, s.Query)
    assert isinstance(query("(select a from t limit 1) union all select b from t").body, s.Union)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("a between 1 and 2 and b = 3", s.Logical),
        ("a not between 1 and 2", s.Between),
        ("a in ('x', 'y')", s.InList),
        ("(a, b) not in (select c, d from t)", s.InQuery),
        ("a not like '%x_'", s.Like),
        ("a is null", s.IsNull),
        ("not exists (select * from u)", s.Unary),
        ("a > (select max(b) from u)", s.Compare),
        ("a <> 3", s.Compare),
        ("case when a then b else c end", s.Case),
        ("extract(year from d) = 1995", s.Compare),
    ],
)
def test_conditions(text: str, kind: type) -> None:
    assert type(where(text)) is kind


def test_case_with_an_operand_is_one_with_conditions() -> None:
    assert where("case a when 1 then b end") == where("case when a = 1 then b end")


def test_both_signs_of_equality_mean_the_same() -> None:
    assert where("a = 1") == where("a == 1") == s.Compare("==", name("a"), num(1), span=AT)
    assert where("a <> 1") == where("a != 1")


def test_calls_of_queries() -> None:
    assert where("substring(x from 1 for 2)") == where("substring(x, 1, 2)")
    assert where("EXTRACT(MONTH FROM d)") == s.Extract("month", name("d"), span=AT)
    later = s.Binary("+", s.Date(datetime.date(1993, 1, 1), span=AT), s.Interval(3, "month", span=AT), span=AT)
    assert where("date '1993-01-01' + interval '3' months") == later
    assert where("date '1993-01-01' + interval '3 months'") == later


def test_names_and_texts_of_queries() -> None:
    assert where("\"group\" = 'it''s'") == s.Compare("==", name("group"), s.Text("it's", span=AT), span=AT)
    assert select("select left, end, date, year, limit, asc from t") == select(
        'select "left", "end", "date", "year", "limit", "asc" from t'
    )


def test_a_query_ends_with_its_indentation() -> None:
    assert len(parse("query a:\n  select x from t\nquery b:\n  select x from t\n\nreveal a to all\n").body) == 3
