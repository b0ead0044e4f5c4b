"""The same against a server that speaks S3: nothing of it is ours but the bucket."""

from __future__ import annotations

import pytest

from pipelines.errors import UserError
from pipelines.mirror.fetching import gone_on_with
from pipelines.mirror.opening import check_storage, open_mirror
from pipelines.mirror.reading import look
from pipelines.mirror.remote import Remote

pytestmark = [
    pytest.mark.slow,
    # The stand-in answers with a date form that its own library has deprecated.
    pytest.mark.filterwarnings("ignore:.*utcnow:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def server():
    from moto.server import ThreadedMotoServer

    standing = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    standing.start()
    host, port = standing.get_host_and_port()
    yield f"http://{host}:{port}"
    standing.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """A bucket that is reached as any other: by the environment."""
    import boto3

    for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1")):
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    boto3.client("s3").create_bucket(Bucket="lab")
    return "s3://lab/runs"


def test_a_run_goes_through_a_bucket_and_comes_back(bucket, begun, tmp_path):
    check_storage(bucket)
    here = begun()
    for generation in (1, 2):
        mirror = open_mirror(bucket, here)
        assert mirror.close(250.0) is None
        assert look(Remote(bucket) / "mine").claim.generation == generation
    assert mirror._writer.sent_files == 0
    resume, storage = gone_on_with(tmp_path / "there", f"{bucket}/mine", None, None, print)
    assert storage == bucket and (tmp_path / "there/mine/config.yaml").read_text() == "name: mine\n"
    assert resume == str(tmp_path / "there/mine")


def test_a_claim_is_made_once(bucket):
    place = Remote(bucket) / "claimed"
    assert place.create("claims/000000001.json", b"mine")
    assert not place.create("claims/000000001.json", b"yours")
    assert place.read("claims/000000001.json") == b"mine"


def test_a_bucket_that_is_not_there_is_refused_and_not_made(bucket):
    import boto3

    with pytest.raises(UserError, match=r"storage=s3://nobodys/runs cannot be written"):
        check_storage("s3://nobodys/runs")
    assert [one["Name"] for one in boto3.client("s3").list_buckets()["Buckets"]] == ["lab"]
