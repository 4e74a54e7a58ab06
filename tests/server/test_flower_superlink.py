"""The real thing once: a SuperLink and two nodes on loopback, TLS and node authentication, one secure round."""

import contextlib
import datetime as dt
import ipaddress
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tactful_privacy.ledger import Ledger, verify

pytestmark = pytest.mark.slow

BUNDLE = Path(__file__).parent / "superlink_app"
BIN = Path(sys.executable).parent
PEM, OPEN_SSH = serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def certificate(subject, key, issuer, issuer_key, *, authority):
    """One year is not needed: an hour around now."""
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer or name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )
    if authority:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    else:
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def tls(tmp_path):
    """A CA and a server certificate for loopback."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = certificate("test authority", ca_key, None, ca_key, authority=True)
    server = certificate("localhost", key, ca.subject, ca_key, authority=False)
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for name, data in {
        "ca.pem": ca.public_bytes(PEM),
        "server.pem": server.public_bytes(PEM),
        "server.key": private,
    }.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


@pytest.fixture
def environment(tmp_path):
    flower_home = tmp_path / "flower"
    flower_home.mkdir()
    settings = {"FLWR_HOME": str(flower_home), "FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1"}
    return os.environ | settings | {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONWARNINGS": "ignore"}


@pytest.fixture
def start(tmp_path, environment):
    """Start long-lived processes, each a group of its own; end exactly those."""
    started = []

    def run(name, *command):
        log = (tmp_path / f"{name}.log").open("wb")
        process = subprocess.Popen(
            [str(BIN / command[0]), *map(str, command[1:])],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
        started.append((process, log))
        return process

    yield run
    for process, log in reversed(started):
        end(process)
        log.close()


def end(process):
    """End a process and whatever it started itself, also when it is gone and they are not."""
    for kind in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, kind)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def wait_for(condition, seconds, what):
    give_up = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < give_up, f"no {what} within {seconds} s"
        time.sleep(0.25)
    return found


def listening(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def node_key(folder):
    """A node's key pair as Flower wants it: an elliptic-curve key in OpenSSH's format."""
    key = ec.generate_private_key(ec.SECP384R1())
    (folder / "node.key").write_bytes(key.private_bytes(PEM, OPEN_SSH, serialization.NoEncryption()))
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    (folder / "node.pub").write_bytes(public)


def flwr(environment, *command):
    done = subprocess.run(
        [str(BIN / "flwr"), *map(str, command)], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def app(tmp_path, monkeypatch):
    """The bundle in a folder of its own, importable here as well."""
    folder = tmp_path / "app"
    shutil.copytree(BUNDLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(folder))
    return folder


def test_one_round_over_tls_with_authenticated_nodes(tmp_path, tls, environment, start, app):
    """Both hosts' devices are in the opened sum, within the planned noise; an unregistered node is not let in."""
    from tactful_check.host import DiskHost
    from tactful_check.terms import DEVICES, DIMENSION, TERMS, open_federation

    home = tmp_path / "server"
    with open_federation(home) as federation:
        hosts = [
            DiskHost.make(tmp_path / f"host-{i}", f"host-{i}", 0.1 * (i + 1), federation.server_key) for i in (0, 1)
        ]
        for host in hosts:
            host.install(federation.signed_model())
            federation.enrol(host.entry())
        sigma_host = TERMS.calibrate(federation.directory, DIMENSION).sigma_host

    port = free_port()
    tls_files = ["--ssl-certfile", tls / "server.pem", "--ssl-keyfile", tls / "server.key"]
    start(
        "superlink",
        "flower-superlink",
        *tls_files,
        *["--ssl-ca-certfile", tls / "ca.pem", "--enable-supernode-auth", "--disable-runtime-dependency-installation"],
        *["--host", "127.0.0.1", "--port", port],
    )
    wait_for(lambda: listening(port), 30, "SuperLink")
    (Path(environment["FLWR_HOME"]) / "config.toml").write_text(
        f'[superlink]\ndefault = "loop"\n[superlink.loop]\naddress = "127.0.0.1:{port}"\n'
        f'root-certificates = "{tls / "ca.pem"}"\n'
    )
    for host in hosts:
        node_key(host.home)
        flwr(environment, "supernode", "register", host.home / "node.pub", "loop")
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    node_key(stranger)
    processes = [
        start(
            f"node-{folder.name}",
            "flower-supernode",
            *["--root-certificates", tls / "ca.pem", "--superlink", f"127.0.0.1:{port}", "--port", free_port()],
            *["--auth-supernode-private-key", folder / "node.key", "--node-config", f'host-home="{folder}"'],
        )
        for folder in (*(host.home for host in hosts), stranger)
    ]
    flwr(environment, "run", app, "loop", "--run-config", f'home="{home}"')

    def released():
        return [entry for entry in Ledger(home / "ledger.jsonl").entries() if entry.kind in ("release", "void")]

    (entry,) = wait_for(released, 240, "release")
    assert entry.kind == "release"
    assert entry.body["survivors"] == ["host-0", "host-1"]
    wait_for(lambda: all(len(list(host.home.glob("*.model"))) == 2 for host in hosts), 90, "release to the hosts")
    assert processes[2].poll() is not None, "an unregistered node must be refused"
    assert all(process.poll() is None for process in processes[:2])
    assert verify(home / "ledger.jsonl").releases == 1
    with open_federation(home) as federation:
        moved = np.array(federation.model().values())
    # Two hosts' noise over 2,000 devices; eight draws beyond 6 standard errors: 1.6e-8.
    error = moved - np.mean([host.update() for host in hosts], axis=0)
    assert np.abs(error).max() < 6 * np.sqrt(2) * sigma_host / (2 * DEVICES)
