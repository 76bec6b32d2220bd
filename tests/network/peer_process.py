"""A party as a process of its own: joins sessions `0`, `1`, … and echoes frames until each fails, and prints how.

python peer_process.py DIRECTORY ME PEER LISTENING_FD STALL_LIMIT
"""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

from network import Mesh, NetworkError, load_identity, load_roster


async def main(directory: Path, me: str, peer: str, fd: int, stall_limit: float) -> None:
    identity = load_identity(directory / f"{me}.key", directory / f"{me}.card.toml")
    roster = load_roster([directory / f"{name}.card.toml" for name in sorted([me, peer])])
    listener = socket.socket(fileno=fd)
    async with Mesh(identity, roster, listener=listener, stall_limit=stall_limit) as mesh:
        number = 0
        while True:
            channel = (await mesh.session(str(number), [peer]))[peer]
            print(f"session {number}", flush=True)
            try:
                while True:
                    channel.write([await channel.receive()])
            except NetworkError as error:
                print(f"{type(error).__name__}: {error}", flush=True)
            channel.close()
            number += 1


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])))
