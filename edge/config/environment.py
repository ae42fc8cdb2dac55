"""The environment variables of all parts, for docs/configuration.md; a test compares them with the source."""

from __future__ import annotations

from typing import Final, NamedTuple


class Variable(NamedTuple):
    """An environment variable that Roomtone reads, with its documentation."""

    name: str
    read_by: str
    meaning: str


VARIABLES: Final = (
    Variable(
        "ROOMTONE_MODELS",
        "ear, `classify`, dashboard",
        "folders with model bundles, searched first, with `:` between",
    ),
    Variable(
        "ROOMTONE_DEBUG", "all commands", "any value: show messages of native libraries and missing parts"
    ),
    Variable("ROOMTONE_MQTT_PASSWORD", "commands with `--broker`", "password of the broker"),
    Variable("ROOMTONE_SMTP_PASSWORD", "dashboard with `--smtp`", "password of the mail server"),
    Variable("ROOMTONE_DATABASE", "`roomtone hub`", "address of the database, as `--database`"),
    Variable(
        "ROOMTONE_PUBLIC_HOST", "dashboard, proxy", "public host name of the hub, with a public certificate"
    ),
    Variable("ROOMTONE_TOKEN", "dashboard, demo", "token for requests of the API from this computer"),
    Variable("ROOMTONE_DATA", "`roomtone train`, `roomtone fleet`", "folder of the corpora, as `--data`"),
    Variable("ROOMTONE_HOSTS", "proxy", "addresses of the page in the own network"),
    Variable("ROOMTONE_DEFAULT_SNI", "proxy", "host name for clients that send none"),
    Variable(
        "ROOMTONE_DASHBOARD", "proxy", "host and port of the dashboard; of several, with blanks between"
    ),
    Variable("ROOMTONE_BIND", "proxy", "address on which the proxy listens"),
    Variable("ROOMTONE_HTTP_PORT", "proxy", "port of HTTP"),
    Variable("ROOMTONE_HTTPS_PORT", "proxy", "port of HTTPS"),
    Variable("ROOMTONE_CADDY_DATA", "proxy", "folder of Caddy's certificates"),
    Variable("ROOMTONE_HOST", "docker/compose.yaml", "host name of the hub"),
    Variable(
        "ROOMTONE_MORE_HOSTS", "docker/compose.yaml", "further addresses of the page, each after a comma"
    ),
    Variable("ROOMTONE_LISTEN", "docker/compose.yaml", "address on which the hub listens"),
    Variable("ROOMTONE_BASE", "docker/compose.yaml", "base image of the hub"),
    Variable("ROOMTONE_ADDRESS", "docker/scale", "what browsers open: `https://rooms.example.org`"),
    Variable("ROOMTONE_HUB_PASSWORD", "docker/scale", "password of recorders and dashboards at the broker"),
    Variable("ROOMTONE_DATABASE_PASSWORD", "docker/scale", "password of the database"),
    Variable("ROOMTONE_COOKIE", "docker/scale", "what the nodes of the broker cluster share, secret"),
    Variable("ROOMTONE_NODE", "docker/scale/broker.sh", "name or address of this node"),
    Variable("ROOMTONE_FIRST", "docker/scale/broker.sh", "the node that this one joins; empty: none"),
    Variable("ROOMTONE_CERTIFICATE", "docker/scale/broker.sh", "file with the node's certificate and key"),
    Variable("ROOMTONE_BROKER_BASE", "docker/scale/compose.yaml", "base image of the broker nodes"),
    Variable("ROOMTONE_POSTGRES", "docker/scale/compose.yaml", "image of the database"),
    Variable("ROOMTONE_PYTHON", "`./run`", "Python for the virtual environment"),
    Variable("ROOMTONE_VENV", "`./run`", "folder of the virtual environment"),
    Variable(
        "RUNTIME_DIRECTORY",
        "ear, link",
        "set by systemd: folder of the restart count and the microphone state",
    ),
    Variable(
        "STATE_DIRECTORY",
        "ear, link",
        "set by systemd: folder of the state, unless the configuration names one",
    ),
    Variable("NOTIFY_SOCKET", "ear, link", "set by systemd: socket for readiness and watchdog notifications"),
    Variable("WATCHDOG_USEC", "ear, link", "set by systemd: interval of the watchdog in microseconds"),
    Variable("WATCHDOG_PID", "ear, link", "set by systemd: process that the watchdog is meant for"),
    Variable("LISTEN_FDS", "link", "set by systemd: number of sockets passed by socket activation"),
    Variable("LISTEN_PID", "link", "set by systemd: process that the sockets are meant for"),
)
"""Every variable that a person or systemd sets; variables of the tests and of `./run`'s test commands are left out."""
