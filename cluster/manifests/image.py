"""The container image: the checkout, the versions of constraints.txt, a user without rights, and no secret."""

from __future__ import annotations

from cluster.manifests.deployment import Deployment
from cluster.manifests.pods import RUNS, USER

DOCKERFILE = """\
# syntax=docker/dockerfile:1
# Build it from the checkout:  docker build --file DIR/Dockerfile --tag {image} .
# pip's configuration goes in as a build secret, which no layer keeps: --secret id=pip,src=$HOME/.config/pip/pip.conf
FROM python:{python}-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /venv
WORKDIR /app
COPY pyproject.toml constraints.txt ./
RUN /venv/bin/python -c "import tomllib; \
print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\\n')" > /tmp/requirements.txt
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \\
    /venv/bin/python -m pip install --constraint constraints.txt --requirement /tmp/requirements.txt
COPY . .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \\
    /venv/bin/python -m pip install --no-deps --editable .

FROM python:{python}-slim-bookworm
# wget is what KubeRay's probes call.
RUN apt-get update \\
 && apt-get install --yes --no-install-recommends wget libgomp1 \\
 && rm -rf /var/lib/apt/lists/* \\
 && useradd --uid {user} --user-group --create-home guerdon \\
 && install --directory --owner guerdon --group guerdon {runs}
COPY --from=build /venv /venv
COPY --from=build /app /app
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
WORKDIR /app
USER {user}:{user}
CMD ["guerdon", "--help"]
"""

IGNORED = (
    "**/.git",
    "**/__pycache__",
    "**/.venv*",
    "**/.*_cache",
    "**/.hypothesis",
    "**/*.egg-info",
    "**/.env*",
    "**/*credential*",
    # Folders and files that hold keys by convention, as `guerdon submit` knows them.
    *(f"**/{name}" for name in (".ssh", ".aws", ".gnupg", ".kube", ".docker", "auth_token", "kubeconfig")),
    *(f"**/*.{end}" for end in ("env", "pem", "key", "p12", "pfx", "jks", "kdbx", "keystore", "ovpn")),
    *(f"**/id_{kind}*" for kind in ("rsa", "dsa", "ecdsa", "ed25519")),
    *(
        f"**/{dot}{name}"
        for name in ("netrc", "pypirc", "npmrc", "pgpass", "htpasswd", "git-credentials", "dockercfg", "s3cfg", "boto")
        for dot in ("", ".")
    ),
    *(f"**/*secret{s}.{end}" for end in ("json", "yaml", "yml", "toml", "ini", "txt", "csv") for s in ("", "s")),
    *(f"**/*service{gap}account*.json" for gap in ("", "-", "_")),
    "runs",
    "mlruns",
    "mlflow.db",
    "build",
)


def dockerfile(deployment: Deployment) -> str:
    """The Dockerfile, for the Python that the deployment names."""
    return DOCKERFILE.format(image=deployment.image, python=deployment.python_version, user=USER, runs=RUNS)


def dockerignore() -> str:
    """What of a checkout never goes into the image."""
    return "\n".join(IGNORED) + "\n"
