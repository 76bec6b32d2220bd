"""The codes of errors in a study's text, E01xx to E03xx and E05xx to E07xx; see `codes`."""

from dsl.code import Code

LANGUAGE_CODES = (
    Code(
        "E0101",
        "unexpected text",
        "The statement cannot be read on from the place shown. The message says what could have stood "
        "there: a missing `:`, `to` or `from`, a comma too many, two values side by side.",
        wrong="reveal total",
        right="reveal total to bank",
    ),
    Code(
        "E0102",
        "indentation",
        "The lines of a block are indented more than the line that opens it, all by the same amount. A line"
        " ending with `:` needs such a block, and nothing else may be indented. Do not mix tabs and spaces.",
        wrong=("def double(x):\nreturn 2 * x"),
        right=("def double(x):\n    return 2 * x"),
    ),
    Code(
        "E0103",
        "unclosed bracket or text",
        "A bracket or a quotation mark is opened and never closed, or closed by one of another kind, or "
        "closed without being open. The place shown is where it was opened.",
        wrong="x = stack(a, b",
        right="x = stack(a, b)",
    ),
    Code(
        "E0104",
        "bad number or date",
        "A number has the digits 0 to 9, perhaps `_` between them, a point and an exponent; whole numbers "
        "have 64 bits. A date is `date 'YYYY-MM-DD'` and must be in the calendar.",
        wrong="start = date '2023-02-29'",
        right="start = date '2023-02-28'",
    ),
    Code(
        "E0105",
        "not in the language",
        "This is written in Python, SQL or another language in a way that studies do not have. The help "
        "says what is written instead. Comparisons are not chained, `=` does not compare outside queries, "
        "and there are no classes, exceptions, comprehensions or `while` loops: what runs must not depend "
        "on secrets.",
        wrong="inside = 0 < x < 10",
        right="inside = 0 < x and x < 10",
    ),
    Code(
        "E0106",
        "bad type",
        "The types are int, fixed, decimal(places), bool, date, enum('words', ...), text(bytes) and key, "
        "with `?` after one that may be missing and sizes in brackets for an array.",
        wrong="input name: string from bank",
        right="input name: text(40) from bank",
    ),
    Code(
        "E0107",
        "too large a study",
        "An expression or a block is nested too deeply to be worked on, or the study is too long. Give a "
        "part of the expression a name of its own, or put it into a function.",
        wrong="x = ((a + b) * (c + d)) / ((e + f) * (g + h))  # and so on, 200 levels deep",
        right=("top = (a + b) * (c + d)\nx = top / ((e + f) * (g + h))"),
    ),
    Code(
        "E0201",
        "unknown name",
        "No variable, input, table, query, parameter or built-in function of this name is known at this "
        "place. A name must be given a value on a line before its use; names differ by case.",
        wrong="reveal totl to all",
        right=("total = 3\nreveal total to all"),
    ),
    Code(
        "E0202",
        "unknown party",
        "Only those named in a `party` line bring data or learn results. `all` stands for all of them.",
        wrong=("party bank, bureau\ninput x: int from insurer"),
        right=("party bank, bureau, insurer\ninput x: int from insurer"),
    ),
    Code(
        "E0203",
        "name defined twice",
        "Parties, parameters, inputs, tables, queries, functions and columns have names of their own: a "
        "second declaration of the same name is refused. (A variable may be assigned again.)",
        wrong=("party bank\ninput bank: int from bank"),
        right=("party bank\ninput balance: int from bank"),
    ),
    Code(
        "E0204",
        "unknown function",
        "There is no built-in function of this name and no `def` for it. Models are in `ml`, statistics in "
        "`stats`: import them first.",
        wrong="model = ridge(X, y)",
        right=("import ml\nmodel = ml.ridge(X, y)"),
    ),
    Code(
        "E0205",
        "wrong arguments",
        "A call gives too many or too few arguments, one twice, or one by a name that the function does not"
        " have. Arguments without a name come first.",
        wrong="w = zeros(3, 4, fill=1)",
        right="w = full((3, 4), 1)",
    ),
    Code(
        "E0206",
        "recursion",
        "A function may not call itself, directly or through others: how often it would do so could depend "
        "on secrets. Use a loop with public bounds.",
        wrong=("def power(x, n):\n    return x * power(x, n - 1)"),
        right=("def power(x, n):\n    p = 1\n    for i in range(n):\n        p *= x\n    return p"),
    ),
    Code(
        "E0207",
        "unknown column or field",
        "The table, query or model has no column or field of this name.",
        wrong="y = loans.defualted",
        right="y = loans.defaulted",
    ),
    Code(
        "E0208",
        "unknown import",
        "The library has the modules `ml` and `stats`, each with the functions that the manual lists; "
        "nothing else can be imported.",
        wrong="import numpy",
        right="import stats",
    ),
    Code(
        "E0301",
        "types do not match",
        "The operation is not defined for values of these types, or a value has another type than its place needs.",
        wrong="x = 'three' * 2",
        right="x = 3 * 2",
    ),
    Code(
        "E0302",
        "shapes do not match",
        "The shapes of the operands fit neither exactly nor by broadcasting. Sizes with the same letter are"
        " the same everywhere in a study.",
        wrong=("input X: fixed[n, 4] from bank\nw = zeros(5)\nscore = X @ w"),
        right=("input X: fixed[n, 4] from bank\nw = zeros(4)\nscore = X @ w"),
    ),
    Code(
        "E0303",
        "a secret size, bound or exponent",
        "Sizes, loop bounds, exponents and the places of slices are seen by all parties, so they cannot "
        "depend on a secret. Use a public bound, or open the value first with `reveal(...)` if every owner "
        "agrees. A single index may be secret.",
        wrong=("for i in range(count):\n    total += x[i]"),
        right=("for i in range(100):\n    total += x[i] if i < count else 0"),
    ),
    Code(
        "E0304",
        "a secret value decides a branch",
        "Which branch runs is seen by everyone, so a secret cannot choose where only one branch can run. "
        "Compute both sides and choose, or open the condition first if every owner agrees.",
        wrong="assert score > limit, 'too low'",
        right="assert reveal(score > limit), 'too low'",
    ),
    Code(
        "E0305",
        "a name changes its type or shape",
        "Within loops and branches a name keeps the type and shape it had before. Give the new value "
        "another name, or start with a value of the right shape.",
        wrong=("w = 0\nfor epoch in range(5):\n    w = w + zeros(3)"),
        right=("w = zeros(3)\nfor epoch in range(5):\n    w = w + ones(3)"),
    ),
    Code(
        "E0306",
        "index out of bounds",
        "A public index or axis, or an index that one party computes alone, is not within the array. Indices count"
        " from 0; negative ones count from the end. Of a secret index nobody can tell: one outside gives 0 and"
        " stores nothing.",
        wrong=("x = zeros(3)\ny = x[3]"),
        right=("x = zeros(3)\ny = x[2]"),
    ),
    Code(
        "E0307",
        "not differentiable",
        "`grad` needs a scalar that depends on the named values through differentiable operations alone; "
        "whole numbers, comparisons and sorting have no derivative.",
        wrong="g = grad(sum(argmax(w)), w)",
        right="g = grad(sum(softmax(w)), w)",
    ),
    Code(
        "E0308",
        "reveal not allowed here",
        "A value cannot be opened at this place: `reveal ... to` stands at the left margin, not in "
        "functions, loops or branches, where `reveal(e)` opens to everyone.",
        wrong=("for i in range(3):\n    reveal total[i] to all"),
        right="reveal total to all",
    ),
    Code(
        "E0309",
        "a key is never revealed",
        "Columns of type `key` are seen only as keyed hashes, for joins and equality. To show an "
        "identifier, its owner declares it as `int` or `text(n)`.",
        wrong="reveal loans.customer to bureau",
        right="reveal count to bureau",
    ),
    Code(
        "E0310",
        "not enough information",
        "An exponent, the size of an image, or the bound of a join must be known before the data are; a loop "
        "whose body needs its index so is written out, which too many passes do not allow.",
        wrong="for i in range(20000):\n    if i > 3:\n        x += 1",
        right="for i in range(4, 20000):\n    x += 1",
    ),
    Code(
        "E0311",
        "a value may be missing",
        "The operation needs all its values, but some may be missing or belong to invisible rows of a "
        "query. Sums, means, products of matrices, statistics and models leave invisible rows out; an order, "
        "or a place in it, has none to leave out. Use `coalesce`, `is not null`, or `compact` first.",
        wrong="ranked = sort(joined.debts)",
        right=("query known:\n    select coalesce(debts, 0) as debts from scores\nranked = sort(compact(known).debts)"),
    ),
    Code(
        "E0501",
        "overflow for certain",
        "From the declared ranges it follows that the result does not fit into 64 bits for any data. Scale "
        "the values down, or declare narrower ranges.",
        wrong="x = 9000000000000000000 + 9000000000000000000",
        right="x = 9000000000000000 + 9000000000000000",
    ),
    Code(
        "E0502",
        "division by zero",
        "The divisor is zero whatever the data are.",
        wrong="x = total / 0",
        right="x = total / max(n, 1)",
    ),
    Code(
        "E0503",
        "outside a function's domain",
        "A public value lies where the function has no result, such as the logarithm or the square root of a "
        "negative number.",
        wrong="x = log(-1.0)",
        right="x = log(1.0)",
    ),
    Code(
        "E0601",
        "query not well formed",
        "The select cannot be read on from the place shown, or its clauses are not in the order select, "
        'from, where, group by, having, order by, limit. Names that are also key words stand in `"`.',
        wrong=("query q:\n    select a from t group by a where a > 3"),
        right=("query q:\n    select a from t where a > 3 group by a"),
    ),
    Code(
        "E0602",
        "a join without a unique side",
        "A join keeps a fixed public size. It needs a side on which each key occurs once: declared "
        "`unique`, or grouped by the key. Otherwise give the largest number of result rows with `bounded`.",
        wrong=("query q:\n    select a.x, b.y from a join b on a.k = b.k"),
        right=("query q:\n    select a.x, b.y from a join b on a.k = b.k bounded 1000"),
    ),
    Code(
        "E0603",
        "unknown table or column in a query",
        "No table listed in `from` has this name, or none of them has a column of this name.",
        wrong=("query q:\n    select incme from loans"),
        right=("query q:\n    select income from loans"),
    ),
    Code(
        "E0604",
        "aggregate in the wrong place",
        "`count`, `sum`, `avg` and the like stand in the select list, `having` and `order by`, not in "
        "`where`, `on`, `group by` or within each other. A condition on groups is `having`.",
        wrong=("query q:\n    select region from t where count(*) > 10 group by region"),
        right=("query q:\n    select region from t group by region having count(*) > 10"),
    ),
    Code(
        "E0605",
        "column neither grouped nor aggregated",
        "In a grouped query every column outside an aggregate must be listed in `group by`, for otherwise "
        "it has no single value for a group.",
        wrong=("query q:\n    select region, income from t group by region"),
        right=("query q:\n    select region, avg(income) as income from t group by region"),
    ),
    Code(
        "E0606",
        "ambiguous column",
        "Several tables of the query have a column of this name. Write the table before it.",
        wrong=("query q:\n    select id from a join b on a.id = b.id"),
        right=("query q:\n    select a.id from a join b on a.id = b.id"),
    ),
    Code(
        "E0607",
        "selects of a union differ",
        "Both selects of a `union` have the same number of columns, of types that go together.",
        wrong=("query q:\n    select a, b from t union select a from s"),
        right=("query q:\n    select a, b from t union select a, c from s"),
    ),
    Code(
        "E0608",
        "sub-query of the wrong form",
        "A sub-query used as a value has one column and at most one row; one after `in` has one column, or "
        "as many as the tuple before it.",
        wrong=("query q:\n    select a from t where a > (select b, c from s)"),
        right=("query q:\n    select a from t where a > (select max(b) from s)"),
    ),
    Code(
        "E0609",
        "cannot be ordered by this",
        "`order by` takes columns of the result, their numbers, or expressions over what is selected.",
        wrong=("query q:\n    select a from t order by 3"),
        right=("query q:\n    select a from t order by a"),
    ),
    Code(
        "E0701",
        "no finite sensitivity",
        "Noise is measured by how much one person can change the result. A sum of unbounded values has no "
        "such limit: clamp it.",
        wrong=("query q:\n    select sum(income) as income from t\nreveal q to all with laplace(epsilon=1.0)"),
        right=(
            "query q:\n"
            "    select sum(clamp(income, 0, 100000)) as income from t\n"
            "reveal q to all with laplace(epsilon=1.0)"
        ),
    ),
    Code(
        "E0702",
        "guard out of place",
        "`where` after `reveal` is a condition on the rows of a revealed query, over its columns.",
        wrong="reveal w to all where n >= 10",
        right="reveal by_region to all where n >= 10",
    ),
    Code(
        "E0703",
        "bad parameters of noise",
        "`laplace` takes an epsilon above 0; `gaussian` an epsilon above 0 and a delta between 0 and 1. "
        "Both are public numbers.",
        wrong="reveal q to all with laplace(epsilon=0)",
        right="reveal q to all with laplace(epsilon=0.5)",
    ),
    Code(
        "E0704",
        "privacy budget spent",
        "An owner's ledger does not allow this much further loss of privacy for one of its tables.",
        wrong="reveal q to all with laplace(epsilon=50.0)",
        right="reveal q to all with laplace(epsilon=0.1)",
    ),
)
