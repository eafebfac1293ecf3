"""`hubbub contract export` and `hubbub contract check`, run in a shell."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hubbub.cli.contract import app
from hubbub.contract.export.asyncapi import asyncapi_document
from hubbub.contract.export.json_schema import json_schema
from hubbub.contract.export.typescript import typescript
from tests.contract.kinds import MESSENGER, WITH_KINDS

APP = """
from fastapi import FastAPI
from hubbub import DEVELOPMENT_SECRET, Domain, Gateway, JWTAuthenticator, MessengerDomain, Router
from tests.contract.kinds import KINDS, Everything


class Kinds(Domain):
    events = KINDS

    def register_handlers(self, router: Router) -> None:
        router.on(Everything, lambda ctx, message: None)


gateway = Gateway(authenticate=lambda handshake: None, domains=[MessengerDomain()], path="/live")
with_kinds = Gateway(authenticate=lambda handshake: None, domains=[Kinds(), MessengerDomain()])
app = FastAPI(title="Chat", version="2.0")
gateway.attach(app)


async def plain(scope, receive, send) -> None: ...


wrapped = gateway.attach(plain)
with_a_cookie = Gateway(authenticate=JWTAuthenticator(DEVELOPMENT_SECRET, algorithms=["HS256"], cookie="sid"))
number = 1
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "shop.py").write_text(APP)
    monkeypatch.setattr(sys, "path", sys.path[:])
    yield tmp_path
    sys.modules.pop("shop", None)


def hubbub_contract(folder: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments), "--app-dir", str(folder)])


@pytest.mark.parametrize("target", ["shop:gateway", "shop:app", "shop:wrapped"])
def test_a_target_may_be_a_gateway_or_its_app(folder: Path, target: str) -> None:
    assert hubbub_contract(folder, "export", "--format", "json-schema", target).output == json_schema(MESSENGER)


def test_typescript_has_guards_on_request(folder: Path) -> None:
    with_guards = hubbub_contract(folder, "export", "--format", "typescript", "--guards", "shop:app")

    assert with_guards.output == typescript(MESSENGER, guards=True)
    assert hubbub_contract(folder, "export", "--format", "typescript", "shop:app").output == typescript(MESSENGER)


def test_a_custom_domain_is_in_the_export(folder: Path) -> None:
    export = hubbub_contract(folder, "export", "--format", "typescript", "shop:with_kinds")

    assert export.output == typescript(WITH_KINDS)


def test_asyncapi_has_the_title_of_the_app_and_the_path_of_the_gateway(folder: Path) -> None:
    export = hubbub_contract(folder, "export", "--format", "asyncapi", "--url", "wss://chat.example", "shop:app")
    expected = asyncapi_document(
        MESSENGER, title="Chat", version="2.0", url="wss://chat.example/live", cookie="hubbub_session"
    )

    assert json.loads(export.output) == expected


def test_asyncapi_names_the_cookie_of_the_gateway(folder: Path) -> None:
    export = hubbub_contract(folder, "export", "--format", "asyncapi", "shop:with_a_cookie")

    assert json.loads(export.stdout)["components"]["securitySchemes"]["cookie"]["name"] == "sid"


@pytest.mark.parametrize("url", ["chat.example", "https://chat.example", "wss://"])
def test_a_url_that_is_not_a_websocket_server_is_refused(folder: Path, url: str) -> None:
    export = hubbub_contract(folder, "export", "--format", "asyncapi", "--url", url, "shop:app")

    assert export.exit_code == 2
    assert f"expected a url such as wss://app.example, got '{url}'" in export.output


def test_a_file_that_cannot_be_written_is_named(folder: Path) -> None:
    export = hubbub_contract(folder, "export", "--format", "typescript", "shop:app", "--output", folder)

    assert export.exit_code == 2
    assert f"{folder} cannot be written" in export.output


def test_check_fails_until_the_file_is_exported_again(folder: Path) -> None:
    file = folder / "src" / "contracts.ts"
    command: list[str | Path] = ["export", "--format", "typescript", "shop:app", "--output", file]
    assert hubbub_contract(folder, *command).exit_code == 0
    assert hubbub_contract(folder, *command, "--check").exit_code == 0
    file.write_text(file.read_text().replace("messageId", "signalId", 1))

    stale = hubbub_contract(folder, *command, "--check")

    assert stale.exit_code == 1
    assert "-    signalId: string\n+    messageId: string\n" in stale.output
    assert "run the same command without --check" in stale.output
    assert hubbub_contract(folder, *command).exit_code == 0
    assert hubbub_contract(folder, *command, "--check").exit_code == 0


def test_check_separates_breaking_changes_from_safe_ones(folder: Path) -> None:
    old, new = folder / "old.json", folder / "new.json"
    old.write_text(json_schema(MESSENGER))
    new.write_text(json_schema(MESSENGER).replace('"senderId"', '"authorId"'))

    breaking = hubbub_contract(folder, "check", old, new)
    safe = hubbub_contract(folder, "check", old, "shop:with_kinds")
    same = hubbub_contract(folder, "check", "shop:app", old)

    assert breaking.exit_code == 1
    assert "breaks old clients: server.messenger.message_new: data.senderId: field removed\n" in breaking.output
    assert (safe.exit_code, safe.output.splitlines()[-1]) == (0, "0 breaking, 3 safe")
    assert "safe: server.kinds.dated: event added\n" in safe.output
    assert (same.exit_code, same.output) == (0, "no changes\n")


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("shop", "expected module:attribute, such as main:app"),
        (".shop:app", "expected module:attribute, such as main:app"),
        ("shop:nothing", "shop has no 'nothing'"),
        ("nowhere:app", "no module 'nowhere'"),
        ("shop:number", "name a Gateway, or the app given to gateway.attach(app)"),
    ],
)
def test_a_target_that_is_not_a_gateway_is_named_with_the_remedy(folder: Path, target: str, message: str) -> None:
    result = hubbub_contract(folder, "export", "--format", "typescript", target)

    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"$defs": {}}'])
def test_a_file_that_is_not_a_contract_is_refused(folder: Path, content: str) -> None:
    (folder / "old.json").write_text(content)

    assert hubbub_contract(folder, "check", folder / "old.json", "shop:app").exit_code == 2


def test_an_error_inside_the_app_is_not_hidden(folder: Path) -> None:
    (folder / "shop.py").write_text("import a_module_that_is_missing\n")

    result = hubbub_contract(folder, "export", "--format", "typescript", "shop:app")

    assert isinstance(result.exception, ModuleNotFoundError)
