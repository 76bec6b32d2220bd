"""The codes of errors in data, at run time and of what is not supported yet, E04xx, E08xx and E09xx; see `codes`."""

from dsl.code import Code

JOB_CODES = (
    Code(
        "E0401",
        "missing file",
        "No file was found for an input or table. Files are looked for as DIR/PARTY/NAME.csv, .parquet or "
        ".npy; `--bind` names one file.",
        wrong="$ parley run study.parley --data wrong_folder",
        right="$ parley run study.parley --data data --bind bank:loans=/srv/loans.csv",
    ),
    Code(
        "E0402",
        "missing column",
        "The file has no column of a name that the table declares, or has it twice. Names differ by case; "
        "the order of columns does not matter.",
        wrong=("table loans from bank:\n    incom: fixed"),
        right=("table loans from bank:\n    income: fixed"),
    ),
    Code(
        "E0403",
        "bad value",
        "A value of the file is not of the declared type: text where a number stands in the study, a "
        "fraction in a whole number, a date not in the calendar. The message names file, row and column, "
        "never the value.",
        wrong=("table visits from clinic:\n    weight: int"),
        right=("table visits from clinic:\n    weight: fixed"),
    ),
    Code(
        "E0404",
        "missing value",
        "A value is missing in a column that is not declared with `?`.",
        wrong=("table scores from bureau:\n    debts: fixed"),
        right=("table scores from bureau:\n    debts: fixed?"),
    ),
    Code(
        "E0405",
        "not a number",
        "The file holds NaN or an infinite number. Leave the cell empty and declare the column with `?` if "
        "the value is missing.",
        wrong="input x: fixed[n] from lab",
        right=("table x from lab:\n    value: fixed?"),
    ),
    Code(
        "E0406",
        "number does not fit",
        "The number is too large for the type, or has more places than it keeps.",
        wrong=("table accounts from bank:\n    balance: int"),
        right=("table accounts from bank:\n    balance: decimal(2)"),
    ),
    Code(
        "E0407",
        "out of the declared range",
        "A value is outside the range that the study declares for its column.",
        wrong=("table people from clinic:\n    age: int in 0..90"),
        right=("table people from clinic:\n    age: int in 0..120"),
    ),
    Code(
        "E0408",
        "not in the enum",
        "A text is none of the words of the column's `enum`. Case and blanks count.",
        wrong=("table people from clinic:\n    sex: enum('f', 'm')"),
        right=("table people from clinic:\n    sex: enum('f', 'm', 'x')"),
    ),
    Code(
        "E0409",
        "text too long",
        "A text has more bytes in UTF-8 than its type allows.",
        wrong=("table people from clinic:\n    name: text(8)"),
        right=("table people from clinic:\n    name: text(40)"),
    ),
    Code(
        "E0410",
        "not unique",
        "Two rows have the same value in a column, or in columns together, that the study declares unique.",
        wrong=("table visits from clinic:\n    patient: key unique"),
        right=("table visits from clinic:\n    patient: key\n    day: date\n    unique (patient, day)"),
    ),
    Code(
        "E0411",
        "wrong number of dimensions, columns or rows",
        "The array or table in the file has another form than the study declares, or holds nothing.",
        wrong="input X: fixed[n] from lab",
        right="input X: fixed[n, 4] from lab",
    ),
    Code(
        "E0412",
        "sizes disagree",
        "The same letter is a different size in two inputs. Inputs of different parties about the same rows"
        " must have equally many.",
        wrong=("input X: fixed[n, 4] from a\ninput y: fixed[n] from b"),
        right=("input X: fixed[n, 4] from a\ninput y: fixed[m] from b"),
    ),
    Code(
        "E0413",
        "too many rows",
        "The table has more rows than its declared bound.",
        wrong=("table t from a rows <= 100:\n    x: int"),
        right=("table t from a rows <= 1000:\n    x: int"),
    ),
    Code(
        "E0414",
        "unreadable file",
        "The file is damaged, empty, not in UTF-8, or not of the format that its name says.",
        wrong="$ parley run study.parley --data data --bind bank:loans=loans.xlsx",
        right="$ parley run study.parley --data data --bind bank:loans=loans.csv",
    ),
    Code(
        "E0415",
        "nothing is stored under this name",
        "`load` asks for a value that no study has stored under that name at these nodes. `parley run` and "
        "`parley check` look where `--state DIR` says.",
        wrong="$ parley run score.parley --data data",
        right="$ parley run score.parley --data data --state state   # after `store model as fraud`",
    ),
    Code(
        "E0416",
        "stored for another protocol or other nodes",
        "A stored value is shares of one protocol among certain nodes in a certain order, with certain fraction bits. "
        "It can be loaded in jobs of the same alone.",
        wrong="$ parley run score.parley --data data --state state --nodes bank,bureau,helper",
        right="$ parley run score.parley --data data --state state --nodes bank,bureau,insurer   # as when stored",
    ),
    Code(
        "E0417",
        "a computed value is no number, or too large",
        "What one party computes from its own data alone, or what is computed in the clear, has an infinite value, "
        "none at all (the logarithm of 0, the root of a negative number), or one that does not fit. The job ends "
        "before it is shared or revealed.",
        wrong="z = log(x)",
        right="z = log(clip(x, 0.001, 1000))",
    ),
    Code(
        "E0418",
        "a computed whole number does not fit",
        "A whole number that one party computes from its own data alone, or that is computed in the clear, is beyond "
        "64 bits, and something depends on it that is shared or revealed. What a choice or a `where` leaves out harms "
        "nobody. The other parties are told the line, and nothing of the data.",
        wrong="table t from bank:\n    cents: int\n\nreveal sum(t.cents ** 4) to bank",
        right="table t from bank:\n    cents: int in 0..10000\n\nreveal sum(t.cents ** 4) to bank",
    ),
    Code(
        "E0801",
        "unknown protocol",
        "There is no protocol of this name. The message lists those there are.",
        wrong="$ parley run study.parley --data data --protocol rep4",
        right="$ parley run study.parley --data data --protocol rep3",
    ),
    Code(
        "E0802",
        "wrong number of nodes",
        "The protocol needs another number of computing parties: rep3 exactly three, additive at least two."
        " `--nodes` says which parties compute; a name may be added that is no party of the study.",
        wrong="$ parley run study.parley --data data --protocol rep3 --nodes bank,bureau",
        right="$ parley run study.parley --data data --protocol rep3 --nodes bank,bureau,helper",
    ),
    Code(
        "E0803",
        "preprocessing needed",
        "The protocol consumes correlated randomness, and it was not said where it comes from.",
        wrong="$ parley run study.parley --data data --protocol additive",
        right="$ parley run study.parley --data data --protocol additive --preprocessing ot",
    ),
    Code(
        "E0804",
        "peer lost",
        "The connection to a party broke and could not be set up again in time. The job has ended at all "
        "parties; nothing more was opened.",
        wrong="$ parley submit study.parley --node node.toml   # while a node is down",
        right="$ parley submit study.parley --node node.toml   # when all nodes run",
    ),
    Code(
        "E0805",
        "peer stalled",
        "A party is connected but sent nothing for longer than the time limit.",
        wrong="$ parley submit study.parley --node node.toml   # while a node hangs",
        right="$ parley submit study.parley --node node.toml   # when all nodes run",
    ),
    Code(
        "E0806",
        "wrong certificate",
        "A peer showed a certificate other than the one on its card, or none. Exchange cards again if a key"
        " was renewed; otherwise somebody else answers at this address.",
        wrong="$ parley keygen bank --address bank.example:7000   # and the new card was not given to the others",
        right="$ parley keygen bank --address bank.example:7000   # and all nodes have the new card",
    ),
    Code(
        "E0807",
        "digests differ",
        "The parties did not compile the same study with the same settings and versions. The message says "
        "which part differs.",
        wrong="$ parley submit study.parley --node node.toml -p epochs=5   # another sees epochs=8",
        right="$ parley submit study.parley --node node.toml",
    ),
    Code(
        "E0808",
        "refused by policy",
        "A party's own policy does not allow what the study reveals. The message names the reveal and the rule.",
        wrong="reveal by_region to analyst",
        right="reveal by_region to analyst where n >= 10",
    ),
    Code(
        "E0809",
        "bound of a join exceeded",
        "A join gave more rows than its `bounded` allows, or a column was not unique. By how much is not told.",
        wrong=("query q:\n    select a.x, b.y from a join b on a.k = b.k bounded 10"),
        right=("query q:\n    select a.x, b.y from a join b on a.k = b.k bounded 10000"),
    ),
    Code(
        "E0810",
        "assertion failed",
        "An `assert` of the study does not hold; the message is the study's.",
        wrong="assert epochs > 10, 'too few epochs'",
        right="assert epochs > 0, 'too few epochs'",
    ),
    Code(
        "E0811",
        "cannot listen",
        "A node cannot open its own address: another program uses the port, or the address is not of this machine.",
        wrong="$ parley node node.toml   # while another node uses the port",
        right="$ parley node node.toml",
    ),
    Code(
        "E0812",
        "peer unreachable",
        "No connection to a peer's address could be made.",
        wrong="$ parley keygen bank --address 192.0.2.1:7000   # not the address of the machine",
        right="$ parley keygen bank --address bank.example:7000",
    ),
    Code(
        "E0813",
        "peer did not join",
        "A peer was reached but did not join the session in time.",
        wrong="$ parley submit study.parley --node node.toml   # while a node is busy with another job",
        right="$ parley submit study.parley --node node.toml",
    ),
    Code(
        "E0814",
        "bad frame",
        "A peer sent bytes other than the schedule says. It runs another version, or is at fault; the job has ended.",
        wrong="$ parley node node.toml   # of another version than the others",
        right="$ parley node node.toml   # of the same version at all parties",
    ),
    Code(
        "E0815",
        "party failed",
        "The process of another party ended with an error of its own, which the message repeats.",
        wrong="$ parley run study.parley --data data   # and one party's file is wrong",
        right="$ parley run study.parley --data data",
    ),
    Code(
        "E0816",
        "wrong use of a command",
        "An option or argument is unknown, missing, or cannot be combined with another.",
        wrong="$ parley run study.parley --data data --bind loans.csv",
        right="$ parley run study.parley --data data --bind bank:loans=loans.csv",
    ),
    Code(
        "E0817",
        "bad settings",
        "A settings file cannot be read, or a key in it is unknown, missing or has a wrong value. The "
        "message names file and line.",
        wrong='$ parley node node.toml   # which says port = "seven"',
        right="$ parley node node.toml   # which says port = 7000",
    ),
    Code(
        "E0818",
        "not enough memory",
        "The job needs more memory than this machine has. `parley check` tells before how much is needed.",
        wrong="$ parley run large.parley --data data",
        right="$ parley check large.parley --data data",
    ),
    Code(
        "E0819",
        "stopped",
        "The job was stopped at the keyboard or by a signal. The other parties were told.",
        wrong="$ parley run study.parley --data data   # and Ctrl-C",
        right="$ parley run study.parley --data data",
    ),
    Code(
        "E0820",
        "time limit reached",
        "The job took longer than its time limit.",
        wrong="$ parley submit study.parley --node node.toml   # with a limit of one second",
        right="$ parley check study.parley                     # tells the expected time",
    ),
    Code(
        "E0821",
        "a fault of this program",
        "Something happened that the program does not expect. The message names the kind of error and its "
        "place in the program, never a value. Please report it.",
        wrong="$ parley run study.parley --data data",
        right="$ parley run study.parley --data data --plain   # tells whether the protocol is at fault",
    ),
    Code(
        "E0822",
        "stored values differ",
        "Two nodes hold shares of different runs under one name, or one of them holds none. The message names the "
        "node. Store the value anew.",
        wrong="$ parley submit score.parley --node node.toml   # when one node's state was brought back from a copy",
        right="$ parley submit train.parley --node node.toml   # stores it anew at all nodes",
    ),
    Code(
        "E0823",
        "stored value is damaged",
        "A file of the node's state was changed, belongs to another node, or cannot be opened with the node's key.",
        wrong="$ parley node node.toml   # with the state directory of another node",
        right="$ parley submit train.parley --node node.toml   # stores it anew at all nodes",
    ),
    Code(
        "E0901",
        "not supported yet",
        "The language has this form, but the engine does not do it yet. The help says what can be written instead.",
        wrong=("query q:\n    select a.x from a right join b on a.k = b.k"),
        right=("query q:\n    select a.x from b left join a on a.k = b.k"),
    ),
)
