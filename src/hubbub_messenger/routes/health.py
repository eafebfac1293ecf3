"""Endpoints for operators: whether a node is alive, whether it is ready for traffic, and its metrics."""

from __future__ import annotations

import asyncio
import logging
import secrets

from fastapi import APIRouter, HTTPException, Request, Response
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from hubbub import Gateway, GatewayCollector
from hubbub_messenger.problem_details import CHALLENGE, responses
from hubbub_messenger.routes.dependencies import DatabaseDependency, GatewayDependency
from hubbub_messenger.schemas import Health
from hubbub_messenger.settings import Settings

router = APIRouter(tags=["health"])
logger = logging.getLogger("hubbub.messenger")

_DATABASE_TIMEOUT = 2.0  # seconds


@router.get("/healthz", summary="Check that the process is alive")
async def get_liveness() -> Health:
    """Answer, and check nothing else."""
    return Health()


@router.get("/readyz", responses=responses(503), summary="Check that the node can serve")
async def get_readiness(database: DatabaseDependency, gateway: GatewayDependency) -> Health:
    """Answer 503 if the event bus is not running, if it is draining, or if the database does not answer."""
    if not gateway.ready:
        raise HTTPException(503, "The event bus is not ready.")
    try:
        async with asyncio.timeout(_DATABASE_TIMEOUT):
            await database.ping()
    except Exception as error:  # noqa: BLE001 - the drivers' exceptions have no common base
        logger.warning("the database does not answer: %r", error)
        raise HTTPException(503, "The database does not answer.") from None
    return Health()


@router.get("/metrics", include_in_schema=False)
async def get_metrics(request: Request) -> Response:
    """Return the node's metrics for Prometheus, or 404 or 401 (docs/metrics.md).

    The client's address grants nothing: behind a proxy on the same machine every request comes from 127.0.0.1.
    """
    settings: Settings = request.app.state.settings
    if settings.metrics_token is not None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        expected = settings.metrics_token.get_secret_value().encode()
        if scheme.lower() != "bearer" or not secrets.compare_digest(credentials.strip().encode(), expected):
            raise HTTPException(401, "Send the metrics token as a bearer token.", CHALLENGE)
    elif not settings.is_development:
        raise HTTPException(404)
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    headers = {"Content-Type": media_type, "Cache-Control": "no-store"}
    return Response(encode(request.app.state.metrics), headers=headers)


def create_registry(gateway: Gateway) -> CollectorRegistry:
    """Return the metrics of one node: those of its gateway and of its process."""
    registry = CollectorRegistry()
    registry.register(GatewayCollector(gateway))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
