"""What operations ask a node: whether it lives, whether to send it traffic, and what it counts."""

from __future__ import annotations

import asyncio
import logging
import secrets

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from hubbub import Gateway, GatewayCollector
from hubbub_messenger.problems import CHALLENGE, responses
from hubbub_messenger.routes.dependencies import DatabaseDependency, GatewayDependency
from hubbub_messenger.settings import Settings
from hubbub_messenger.shapes import Health

router = APIRouter(tags=["health"])
logger = logging.getLogger("hubbub.messenger")

_PATIENCE = 2.0  # seconds for the database to answer


@router.get("/healthz", summary="Tell whether the process lives")
async def healthz() -> Health:
    """Answers; that is all there is to it."""
    return Health()


@router.get("/readyz", responses=responses(503), summary="Tell whether the node can serve")
async def readyz(database: DatabaseDependency, gateway: GatewayDependency) -> Health:
    """Answers 503 where the bus does not run or drains, or the database does not answer."""
    if not gateway.ready:
        raise HTTPException(503, "The event bus is not ready.")
    try:
        async with asyncio.timeout(_PATIENCE):
            await database.ping()
    except Exception as error:  # noqa: BLE001 - drivers have no common base for "unreachable"
        logger.warning("the database does not answer: %r", error)
        raise HTTPException(503, "The database does not answer.") from None
    return Health()


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Answers what the node counts, for Prometheus; 404 or 401 to whoever may not know (docs/metrics.md).

    Where a request comes from proves nothing: behind a proxy on the same machine all of them come from 127.0.0.1.
    """
    settings: Settings = request.app.state.settings
    if settings.metrics_token is not None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        expected = settings.metrics_token.get_secret_value().encode()
        if scheme.lower() != "bearer" or not secrets.compare_digest(credentials.strip().encode(), expected):
            raise HTTPException(401, "Send the metrics token.", CHALLENGE)
    elif not settings.is_development:
        raise HTTPException(404)
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
    return Response(encode(request.app.state.metrics), headers=headers)


def make_registry(gateway: Gateway) -> CollectorRegistry:
    """Gathers what one node publishes: its bus, and its process (memory, CPU, descriptors, garbage)."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(gateway))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
