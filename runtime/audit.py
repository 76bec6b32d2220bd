"""A node's own record: one line for each job, who took part and what was opened to whom.  Never a value."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.job import Job

__all__ = ["Audit"]


@dataclass(frozen=True, slots=True)
class Audit:
    """Appends to a file of JSON lines."""

    file: Path

    def write(self, job: Job, ending: str, learned: Sequence[str]) -> None:
        """One job has ended. learned: the names of what this party was told."""
        line = {
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "job": job.id,
            "study": job.name,
            "sha256": hashlib.sha256(job.study.encode()).hexdigest(),
            "protocol": job.protocol,
            "parties": list(job.places.names),
            "learned": list(learned),
            "ending": ending,
        }
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line) + "\n")
