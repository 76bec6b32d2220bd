"""Nodes as real processes, in folders of their own, for tests that hurt them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from free_ports import free_port

PARLEY = [sys.executable, "-m", "runtime.cli"]


def run(*words: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PARLEY, *words], capture_output=True, text=True, timeout=seconds, check=False)


class Node:
    """One party's node: its folder, its process, what it logged."""

    def __init__(self, name: str, folder: Path, *, limit: float = 30.0, policy: str = 'studies = "any"') -> None:
        self.name = name
        self.folder = folder / name
        self.log = folder / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        run("keygen", name, "--address", f"127.0.0.1:{free_port()}", "--dir", str(self.folder))
        (self.folder / "data").mkdir()
        self.config = self.folder / "node.toml"
        self.config.write_text(
            f'name = "{name}"\nkey = "{name}.key"\ncard = "{name}.card.toml"\ncards = "../cards"\n'
            f'[data]\ndirectory = "data"\n[limits]\nconnect_seconds = 60\nround_seconds = {limit}\n'
            f"[policy]\n{policy}\n"
        )
        (folder / "cards").mkdir(exist_ok=True)
        card = self.folder / f"{name}.card.toml"
        (folder / "cards" / card.name).write_text(card.read_text())

    def start(self, network: str = "lan") -> None:
        before = self.text().count(" listens on ")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PARLEY, "node", str(self.config), "--network", network], stdout=log, stderr=log
            )
        self.wait_for(r" listens on ", times=before + 1)

    def text(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def wait_for(self, pattern: str, *, times: int = 1, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while len(re.findall(pattern, self.text())) < times:
            assert self.process is not None
            assert self.process.poll() is None or pattern in self.text(), f"{self.name} ended: {self.text()}"
            assert time.monotonic() < deadline, f"{self.name} never logged {pattern!r}: {self.text()}"
            select_pause()

    def signal(self, number: int) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def stop(self) -> None:
        if self.process is None:
            return
        for number in (signal.SIGCONT, signal.SIGTERM):
            if self.process.poll() is None:
                self.signal(number)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


def select_pause() -> None:
    """Yield the processor while polling a file that another process writes."""
    import select

    select.select([], [], [], 0.02)
