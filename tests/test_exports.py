"""The public names are those in `__all__`, and the reference backend uses no others."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import hubbub
import hubbub.testing

SOURCE = Path(hubbub.__file__).parent.parent

# A change here is a change of the public API: docs/versioning.md says what that requires.
PUBLIC = [
    "Authenticator",
    "Bus",
    "CLOSE_CODES",
    "ClientError",
    "ClientEvent",
    "CloseCode",
    "ConfigurationError",
    "Context",
    "Contract",
    "ContractError",
    "ConversationsChanged",
    "DEVELOPMENT_SECRET",
    "Domain",
    "Envelope",
    "Gateway",
    "GatewayCollector",
    "Handler",
    "Handshake",
    "HubbubError",
    "Identity",
    "InternalDisconnect",
    "JWTAuthenticator",
    "Limits",
    "MessageNew",
    "MessageRead",
    "MessengerDomain",
    "OriginPolicy",
    "Outcome",
    "Payload",
    "PresenceBatch",
    "PresenceState",
    "PresenceUpdate",
    "Publisher",
    "Reconnect",
    "Router",
    "ServerEvent",
    "Topic",
    "Typing",
    "Unauthorized",
    "Unavailable",
    "UserStatus",
    "WebSocketProtocol",
    "event",
    "init_notifier",
    "mint_token",
    "notify",
]
PUBLIC_FOR_TESTS = [
    "Address",
    "Client",
    "Credentials",
    "ManualClock",
    "bearer",
    "pass_time",
    "serve",
    "server_fixture",
]


@pytest.mark.parametrize(("package", "names"), [(hubbub, PUBLIC), (hubbub.testing, PUBLIC_FOR_TESTS)])
def test_the_public_names_are_these(package: ModuleType, names: list[str]) -> None:
    assert sorted(package.__all__) == names


@pytest.mark.parametrize("package", [hubbub, hubbub.testing])
def test_every_public_name_exists_and_has_a_docstring(package: ModuleType) -> None:
    for name in package.__all__:
        value = getattr(package, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def modules_after_importing_hubbub() -> list[str]:
    code = "import sys, hubbub; print(sorted(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    modules: list[str] = ast.literal_eval(output)
    return modules


def test_importing_hubbub_imports_no_web_framework_and_no_database() -> None:
    packages = {name.partition(".")[0] for name in modules_after_importing_hubbub()}

    assert {"fastapi", "starlette", "pydantic", "sqlalchemy", "redis", "typer"}.isdisjoint(packages)


def test_importing_hubbub_imports_no_export_of_the_contract() -> None:
    modules = modules_after_importing_hubbub()

    assert [name for name in modules if name.startswith("hubbub.contract.export")] == []
    assert "hubbub.contract.registry" in modules


def test_the_messenger_uses_only_public_names() -> None:
    imported = []
    for path in sorted((SOURCE / "hubbub_messenger").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "hubbub":
                assert node.module == "hubbub", f"{path.name} imports {node.module}"
                imported += [alias.name for alias in node.names]
            elif isinstance(node, ast.Import):
                assert not any(alias.name.split(".")[0] == "hubbub" for alias in node.names), path.name

    assert imported
    assert set(imported) <= set(hubbub.__all__)
