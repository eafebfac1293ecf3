"""The client package works in a worker as well as in a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Route

from tests.browser.person import Person

DIST = Path(__file__).parents[2] / "web/client/dist"

LISTEN_IN_A_WORKER = """() => new Promise((resolve, reject) => {
    const script = `
        import { WsClient } from "${location.origin}/client/index.js"
        const client = new WsClient()
        client.on("server.system.ready", ({ data }) => postMessage(data.userId))
        client.start()
    `
    const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }))
    const worker = new Worker(url, { type: "module" })
    worker.onmessage = ({ data }) => resolve(data)
    worker.onerror = ({ message }) => reject(new Error(message))
    setTimeout(() => reject(new Error("the worker heard nothing")), 10_000)
})"""


def test_a_worker_receives_events_from_the_server(person: Callable[..., Person]) -> None:
    def serve(route: Route) -> None:
        script = DIST / route.request.url.rsplit("/", 1)[1]
        route.fulfill(content_type="text/javascript", body=script.read_text())

    alice = person("alice", bypass_csp=True).log_in()  # the app has no worker, so its policy allows none
    alice.context.route("**/client/*.js", serve)
    assert alice.page.evaluate(LISTEN_IN_A_WORKER) == "alice"
