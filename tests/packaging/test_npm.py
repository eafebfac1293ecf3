"""The npm package @hubbub/client: installed into an empty Node project, imported, and type-checked."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.contract.programs import ROOT
from tests.packaging.environments import run, succeed

WEB = ROOT / "web"
CLIENT = WEB / "client"
TSC = WEB / "node_modules" / ".bin" / "tsc"

PROGRAM = """
import { type ServerEvents, WsClient, closeCodes, isServerEvent } from "@hubbub/client"

const client = new WsClient({ url: "ws://127.0.0.1:8000/ws" })
client.on("server.messenger.message_new", ({ data }) => console.log(data.conversationId.length))
client.subscribe([{ kind: "conversation", id: "c1" }])
client.send("client.messenger.typing", { conversationId: "c1", userId: "", isTyping: true })
export type Read = ServerEvents["server.messenger.message_read"]
export const codes: string[] = Object.keys(closeCodes)
export const guard: (value: unknown) => boolean = isServerEvent
"""

WRONG = """
import { WsClient } from "@hubbub/client"
new WsClient().on("server.messenger.message_new", ({ data }) => data.nothing)
new WsClient().send("server.messenger.message_new", {})
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not TSC.exists():
        pytest.exit(f"the web packages are missing: `make test` brings them, or `npm ci` in {WEB}", 2)
    folder = tmp_path_factory.mktemp("pack")
    succeed("npm", "pack", "--workspace", "client", "--pack-destination", folder, cwd=WEB)
    return next(folder.glob("*.tgz"))


@pytest.fixture(scope="module")
def project(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty Node project with the package in it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    succeed("npm", "install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", package, cwd=folder)
    return folder


def test_the_package_has_its_source_and_its_build_and_nothing_else(package: Path, tell: Callable[[str], None]) -> None:
    with tarfile.open(package) as archive:
        files = {name.removeprefix("package/") for name in archive.getnames()}

    modules = {path.stem for path in (CLIENT / "src").glob("*.ts")}
    built = {f"dist/{module}{suffix}" for module in modules for suffix in (".js", ".d.ts")}
    assert files == built | {f"src/{module}.ts" for module in modules} | {"README.md", "LICENSE", "package.json"}
    tell(f"the npm package is {package.stat().st_size / 1000:.0f} KB")


def test_it_has_no_dependencies_and_no_install_scripts(project: Path) -> None:
    installed = json.loads((project / "node_modules" / "@hubbub" / "client" / "package.json").read_text())

    assert {path.name for path in (project / "node_modules").iterdir() if path.is_dir()} == {"@hubbub"}
    assert "dependencies" not in installed
    assert {"preinstall", "install", "postinstall"}.isdisjoint(installed["scripts"])
    assert installed["version"] == json.loads((CLIENT / "package.json").read_text())["version"]


def test_node_imports_it(project: Path) -> None:
    code = """
import { WsClient, closeCodes } from "@hubbub/client"
class WebSocket { readyState = 0; addEventListener() {}; send() {}; close() {} }
const client = new WsClient({ url: "ws://127.0.0.1:8000/ws", WebSocket })
client.start()
console.log(client.state.name, closeCodes[4401].reconnect)
client.stop()
"""
    (project / "main.js").write_text(code)

    assert succeed(node(), "main.js", cwd=project) == "connecting with a new token\n"


@pytest.mark.parametrize("resolution", ["nodenext", "bundler"])
@pytest.mark.parametrize("world", ["browser", "node"])
def test_the_package_is_typed(project: Path, resolution: str, world: str) -> None:
    def errors(text: str) -> list[str]:
        options = {
            "strict": True,
            "exactOptionalPropertyTypes": True,
            "noEmit": True,
            "skipLibCheck": False,
            "target": "es2022",
            "lib": ["es2022", "dom"] if world == "browser" else ["es2022"],
            "types": [] if world == "browser" else ["node"],
            "typeRoots": [str(WEB / "node_modules" / "@types")],
            "module": "nodenext" if resolution == "nodenext" else "esnext",
            "moduleResolution": resolution,
        }
        (project / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["program.ts"]}))
        (project / "program.ts").write_text(text)
        return run(TSC, "--project", project, "--pretty", "false", cwd=project).stdout.splitlines()

    assert errors(PROGRAM) == []
    found = [line for line in errors(WRONG) if line.startswith("program.ts")]
    assert [line.partition(",")[0] for line in found] == ["program.ts(3", "program.ts(4"]


def node() -> str:
    found = shutil.which("node")
    assert found is not None, "Node 20 or newer is missing"
    return found
