"""What an orchestrator asks a node: whether it lives, and whether to send it traffic."""

from __future__ import annotations

import asyncio
import logging

from fastapi import APIRouter, HTTPException

from hubbub_messenger.problems import responses
from hubbub_messenger.routes.dependencies import DatabaseDependency, GatewayDependency
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
