"""What is public is what ``__all__`` says; the reference backend uses nothing else."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import hubbub

SOURCE = Path(hubbub.__file__).parent.parent


def test_every_public_name_exists_and_is_documented() -> None:
    for name in hubbub.__all__:
        value = getattr(hubbub, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, name


def test_the_public_names_are_sorted_and_unique() -> None:
    assert sorted(set(hubbub.__all__), key=str.lower) == sorted(hubbub.__all__, key=str.lower)


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
