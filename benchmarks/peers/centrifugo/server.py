"""Centrifugo beside a FastAPI backend that publishes through its HTTP API, with Centrifugo's own client for it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from cent import AsyncClient, PublishRequest
from fastapi import FastAPI, Request

sys.path.append(str(Path(__file__).parents[1]))
import common

PORT = int(os.environ["BENCHMARK_PORT"])
API_KEY = "for measurements only"
CHANNELS = {"allow_subscribe_for_client": True, "allow_publish_for_subscriber": True}
CONFIG: dict[str, Any] = {
    "http_server": {"address": "127.0.0.1", "port": PORT},
    "log": {"level": "error"},
    "client": {"token": {"hmac_secret_key": common.SECRET}, "ping_interval": "25s"},
    "channel": {"without_namespace": CHANNELS},
    "http_api": {"key": API_KEY},
    "usage_stats": {"disabled": True},
}
if common.REDIS:
    CONFIG["engine"] = {"type": "redis", "redis": {"address": common.REDIS, "prefix": common.PREFIX}}

libc = ctypes.CDLL(None)
store = common.Store()


def die_with_parent() -> None:
    libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: the benchmark kills this process without a warning


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    file = Path(common.DATABASE).with_suffix(".json")
    file.write_text(json.dumps(CONFIG))
    server = await asyncio.create_subprocess_exec("centrifugo", "--config", str(file), preexec_fn=die_with_parent)
    try:
        async with AsyncClient(f"http://127.0.0.1:{PORT}/api", API_KEY) as client:
            app.state.client = client
            yield
    finally:
        server.kill()
        await server.wait()


app = FastAPI(lifespan=lifespan)


async def publish(room: str, due: int) -> None:
    event = common.envelope(common.EVENT, common.message_new(room, due))
    await app.state.client.publish(PublishRequest(channel=room, data=event))


@app.post("/publish")
async def publish_all(request: Request) -> dict[str, int]:
    return await common.publish_all(request.query_params, publish)


@app.post("/collect")
async def collect() -> dict[str, int]:
    return {"unreachable": gc.collect()}


@app.post("/messages", status_code=201)
async def create_message(message: dict[str, str]) -> dict[str, str]:
    await store.add(message)
    await publish(message["conversationId"], int(message["id"]))
    return message
