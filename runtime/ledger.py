"""What this party's tables have given away so far, and how much more they may: one line for each job that adds noise.

For: `Budget` (what the owner allows), `Ledger`: `weigh` a job before it starts, `charge` it before its noise is opened;
`told`, what a run says of it.
Leaves to others: what a study costs (`dsl.privacy.spending`).

Costs add up by table over all jobs (basic composition); a job is charged before its rounds run, so what fails on the
way stays charged.  The file is only ever appended to, and is on the disk before anything is opened.  A line that cannot
be read is no reason to forget it: then nothing more is spent until the owner has looked.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dsl.privacy.lineage import Owned
from dsl.privacy.spending import Spending
from runtime.errors import BudgetSpent, StoreDamaged

if TYPE_CHECKING:
    from runtime.job import Job

__all__ = ["Budget", "Ledger", "told"]

NOTHING = Spending(Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent of each table, over all jobs. epsilon, delta: None for any. tables: the epsilon of single
    tables, in place of `epsilon`."""

    epsilon: Decimal | None = None
    delta: Decimal | None = None
    tables: Mapping[str, Decimal] = field(default_factory=dict)

    def of(self, table: str) -> tuple[Decimal | None, Decimal | None]:
        """(epsilon, delta) of one table."""
        return self.tables.get(table, self.epsilon), self.delta


@dataclass(slots=True)
class Ledger:
    """The ledger of one party."""

    file: Path
    party: str
    budget: Budget = field(default_factory=Budget)

    def spent(self) -> dict[str, Spending]:
        """By table, so far.  StoreDamaged where a line cannot be read."""
        out: dict[str, Spending] = {}
        try:
            text = self.file.read_text(encoding="utf-8")
        except FileNotFoundError:
            return out
        except UnicodeDecodeError:
            raise self._damaged(0) from None
        for number, line in enumerate(text.split("\n"), start=1):
            if not line:
                continue
            try:
                entry = json.loads(line)
                cost = Spending(Decimal(entry["epsilon"]), Decimal(entry["delta"]))
                table = entry["table"]
            except (ValueError, KeyError, TypeError, InvalidOperation):
                raise self._damaged(number) from None
            if not isinstance(table, str) or not (cost.epsilon >= 0 and cost.delta >= 0):
                raise self._damaged(number)
            out[table] = out.get(table, NOTHING).plus(cost)
        return out

    def _damaged(self, line: int) -> StoreDamaged:
        return StoreDamaged(self.party, self.file.name, f"line {line} of the ledger cannot be read")

    def weigh(self, costs: Mapping[str, Spending]) -> None:
        """BudgetSpent if a table has too little left for these costs."""
        if not costs:
            return
        before = self.spent()
        for table, cost in costs.items():
            known = before.get(table, NOTHING)
            for limit, spent, more, what in zip(self.budget.of(table), known, cost, Spending._fields, strict=True):
                if limit is not None and spent + more > limit:
                    raise BudgetSpent(self.party, table, what, str(more), str(max(limit - spent, Decimal(0))))

    def charge(self, job: Job, costs: Mapping[str, Spending]) -> None:
        """Enter these costs, on the disk when this returns.  BudgetSpent if a table has too little left."""
        if not costs:
            return
        self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        lines = [
            {"time": now, "job": job.id, "study": job.name, "table": table, "epsilon": str(e), "delta": str(d)}
            for table, (e, d) in costs.items()
        ]
        with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
            fcntl.flock(out, fcntl.LOCK_EX)  # until it is closed: nobody else spends what is being weighed here
            self.weigh(costs)
            out.write("".join(json.dumps(line) + "\n" for line in lines))
            out.flush()
            os.fsync(out.fileno())


def told(spent: Mapping[Owned, Spending]) -> dict[str, Any]:
    """What a run's statistics say of it: `privacy`, where there was noise."""
    listed = [
        {"party": party, "table": table, "epsilon": float(cost.epsilon), "delta": float(cost.delta)}
        for (party, table), cost in spent.items()
    ]
    return {"privacy": listed} if listed else {}
