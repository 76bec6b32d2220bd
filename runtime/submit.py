"""`parley submit`: propose a job through this party's node or, when none is running, take part just for this job."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from runtime.config import load_config
from runtime.errors import PartyFailed
from runtime.job import Job
from runtime.node import LINE_LIMIT, Node, failure, socket_path, success

__all__ = ["submit_job"]


def submit_job(job: Job, config: Path, width: int, *, color: bool) -> dict[str, Any]:
    """The node's answer: `outputs`, `shown`, `stats`, `party`, or `error`, `text`, `exit`."""
    settings = load_config(config)
    path = socket_path(settings)
    request = {"job": job.to_json(), "width": width, "color": color}
    answer = asyncio.run(_ask(path, request))
    if answer is None:
        answer = asyncio.run(_alone(job, config, width, color=color))
    return {"party": settings.name, **answer}


async def _ask(path: Path, request: dict[str, Any]) -> dict[str, Any] | None:
    """Through the running node; None if there is none."""
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=LINE_LIMIT)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    try:
        writer.write(json.dumps(request).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
    if not line:
        raise PartyFailed(path.stem, "its node stopped before the job ended")
    answer: dict[str, Any] = json.loads(line)
    return answer


async def _alone(job: Job, config: Path, width: int, *, color: bool) -> dict[str, Any]:
    async with Node(load_config(config)) as node:
        try:
            finished = await node.propose(job)
        except Exception as error:  # told to the caller as any other answer
            return failure(error)
        return success(job, finished, width, color=color)
