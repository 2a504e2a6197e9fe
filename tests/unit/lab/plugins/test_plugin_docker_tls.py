"""The docker plugin's settings for an engine's API with TLS, and its client against a server that has it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lab.plugins.docker.engine import Engine
from lab.plugins.docker.settings import EngineAddress, Material, SettingsError, parse
from lab.plugins.provider import Log, ResourceError
from tests.support.engine_api import LEADS, EngineCertificates, answering

pytestmark = pytest.mark.unit

HOST = "tcp://10.0.0.1:2376"


def given(host: str = HOST, **material: Any) -> EngineAddress:
    return parse({"host": host, **material}, {})


def test_material_belongs_to_an_engine_that_is_reached_directly() -> None:
    found = given(caMaterial="CA", certMaterial="CERTIFICATE", keyMaterial="KEY", sshOpts='["-F", "x"]')
    assert (found.url, found.material) == (HOST, Material("CA", "CERTIFICATE", "KEY"))
    assert "KEY" not in repr(found)
    assert given().material is None
    assert given(host="unix:///run/docker.sock", certMaterial="C", keyMaterial="K").material is None


def test_half_of_it_is_refused_and_files_are_for_the_official_plugin() -> None:
    for half in ({"certMaterial": "C"}, {"keyMaterial": "K"}):
        with pytest.raises(SettingsError, match="must be given together"):
            given(**half)
    with pytest.raises(SettingsError, match="has no 'certPath'"):
        given(certPath="/x")


def test_the_client_shows_its_certificate_and_looks_at_the_engines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    made, stranger = EngineCertificates(), EngineCertificates()

    async def info(shown: EngineCertificates, port: int) -> Any:
        about = shown.shown
        address = given(
            f"tcp://127.0.0.1:{port}",
            caMaterial=about.authority,
            certMaterial=about.certificate,
            keyMaterial=about.key,
        )
        engine = Engine(address)
        try:
            return await engine.read(Log(None, ""), lambda client: client.info())
        finally:
            await engine.close()

    with answering(made.files, tmp_path, LEADS) as port:
        assert asyncio.run(info(made, port))["Swarm"] == LEADS
        with pytest.raises(ResourceError, match="does not answer"):
            asyncio.run(info(stranger, port))
