"""What lies in a mirror is read as if an enemy had written it."""

from __future__ import annotations

import pytest

from pipelines.mirror.records import (
    Claim,
    ForeignMirror,
    Kept,
    Manifest,
    TornMirror,
    claim_of,
    is_plain,
    manifest_of,
    pack,
    unpack,
)

IDENT, DIGEST = "a" * 32, "0" * 64


def manifest(path="config.yaml", kept=None):
    return Manifest(IDENT, 2, 5, 12.5, {path: kept or Kept(DIGEST, 3, 8, 1)})


def test_records_come_back_as_they_were():
    assert manifest_of(pack(manifest()), "m", IDENT) == manifest()
    claim = Claim(3, IDENT, "000000002-000000005")
    assert claim_of(pack(claim), "c") == claim
    assert manifest().path == "manifests/000000002-000000005.json" and claim.path == "claims/000000003.json"
    assert Kept(DIGEST, 3, 8, 1).path == f"objects/000000001/{DIGEST}"


@pytest.mark.parametrize("at", [0, 40, 120, -3])
def test_a_changed_byte_is_seen(at):
    data = bytearray(pack(manifest()))
    data[at] ^= 1
    with pytest.raises((TornMirror, ForeignMirror)):
        manifest_of(bytes(data), "m", IDENT)


@pytest.mark.parametrize("end", [0, 1, 50, -1])
def test_a_record_that_was_cut_short_is_torn(end):
    with pytest.raises(TornMirror):
        unpack(pack(manifest())[:end], "m")


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../../x",
        "a//b",
        "",
        ".ssh/id",
        "a/.hidden",
        "x\n",
        "a\\b",
        "~/x",
        "storage.json",
        "a/",
    ],
)
def test_a_path_that_leads_out_of_the_run_is_refused(path):
    assert not is_plain(path)
    with pytest.raises(ForeignMirror, match="no file of a run"):
        manifest_of(pack(manifest(path)), "m", IDENT)


@pytest.mark.parametrize(
    "kept",
    [
        Kept("../../x", 3, 8, 1),
        Kept(DIGEST, -1, 8, 1),
        Kept(DIGEST, 9, 8, 1),
        Kept(DIGEST, 3, 8, "x"),  # type: ignore[arg-type]
        Kept(DIGEST, True, 8, 1),
    ],
)
def test_a_file_that_is_none_is_refused(kept):
    with pytest.raises(ForeignMirror, match="is no file"):
        manifest_of(pack(manifest(kept=kept)), "m", IDENT)


def test_a_manifest_of_another_run_is_foreign():
    with pytest.raises(ForeignMirror, match="another run"):
        manifest_of(pack(manifest()), "m", "b" * 32)


@pytest.mark.parametrize("claim", [Claim(3, "short"), Claim("3", IDENT), Claim(3, IDENT, "../x")])  # type: ignore[arg-type]
def test_a_claim_that_is_none_is_refused(claim):
    with pytest.raises(ForeignMirror):
        claim_of(pack(claim), "c")
