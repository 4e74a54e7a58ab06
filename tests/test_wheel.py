"""The wheel, built from the sdist and installed where the checkout cannot be seen: complete, typed and usable."""

import json
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("privacy/tactful_privacy", "client_sdk/tactful", "server/tactful_server", "lab/tactful_lab")
COMMANDS = {"audit", "demo", "device", "lab", "server"}
# Printed by the installed package: where it lies, what its commands are and the messages it brings.
SMOKE = """
import importlib, importlib.metadata, importlib.resources, json, sys
import tactful
heavy = {"torch", "flwr", "fastapi", "scipy", "pandas"} & {name.partition(".")[0] for name in sys.modules}
def words(language):
    return json.loads(importlib.resources.files("tactful.messages").joinpath(f"{language}.json").read_text("utf-8"))
packages = ["tactful_privacy", "tactful", "tactful_server", "tactful_lab"]
commands = importlib.metadata.entry_points(group="tactful.commands")
print(json.dumps({
    "files": [importlib.import_module(package).__file__ for package in packages],
    "commands": {command.name: callable(command.load()) for command in commands},
    "languages": [len(words("en")), len(words("zh"))],
    "version": importlib.metadata.version("tactful"),
    "heavy": sorted(heavy),
}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The sdist and the wheel that was built from it."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT, cwd=out)
    return next(out.glob("*.tar.gz")), next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """The scripts' folder of a fresh environment with the wheel, which sees this one's dependencies but no checkout."""
    home = tmp_path_factory.mktemp("wheel") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    scripts = home / "bin"
    python = scripts / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", built[1], cwd=home)
    # A path file's entries are only put on sys.path; the path files that lie there, the editable one too, are not read.
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "dependencies.pth").write_text("\n".join(sorted(paths)), encoding="utf-8")
    return scripts


def source_files() -> set[str]:
    """Every file of the four packages, as the wheel should name it."""
    files = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
    return {"/".join(path.relative_to(ROOT).parts[1:]) for path in files if "__pycache__" not in path.parts}


def test_the_wheel_holds_the_four_packages_whole_and_nothing_else(built):
    """Code, type markers, messages, style sheet and settings are all in; tests, benchmarks and caches are not."""
    names = set(zipfile.ZipFile(built[1]).namelist())
    contents = {name for name in names if ".dist-info/" not in name}
    assert contents == source_files()
    assert {f"{room.partition('/')[2]}/py.typed" for room in ROOMS} <= contents
    assert {"tactful/messages/en.json", "tactful/messages/zh.json", "tactful_privacy/audit/page.css"} <= contents
    assert {"tactful_lab/slots/settings.toml", "tactful_lab/slots/learning.toml"} <= contents
    assert any(name.endswith("/licenses/LICENSE") for name in names)


def test_the_sdist_can_be_worked_on(built):
    """The source archive has the rooms, the tests and what make needs, and no environment, cache or output."""
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"pyproject.toml", "constraints.txt", "Makefile", "README.md", "LICENSE", "tests/test_wheel.py"}
    assert wanted <= names
    assert not [name for name in names if name.split("/")[0] in {".venv", "out", "dist", ".git"} or ".pyc" in name]


def test_the_installed_wheel_works_away_from_the_checkout(installed, tmp_path):
    """All four packages come from the wheel, every room's command loads, and importing the SDK stays light."""
    facts = json.loads(run(installed / "python", "-I", "-W", "error", "-c", SMOKE, cwd=tmp_path))
    home = installed.parent.resolve()
    assert all(Path(file).resolve().is_relative_to(home) for file in facts["files"]), facts["files"]
    assert facts["commands"] == dict.fromkeys(COMMANDS, True)
    assert facts["languages"][0] == facts["languages"][1] > 50
    assert facts["heavy"] == []
    assert facts["version"] == "0.1.0"


def test_the_installed_script_lists_every_command(installed, tmp_path):
    """``tactful --help`` names what each room brings."""
    text = run(installed / "tactful", "--help", cwd=tmp_path)
    assert all(command in text for command in COMMANDS)
