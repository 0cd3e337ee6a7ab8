"""The service's settings: one TOML file into typed structs; every mistake names its line."""

import socket
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from otids.rules.files import Document
from otids.service.memory import LEAST_BYTES

DEFAULT = Path("/etc/otids/otids.toml")

Severity: TypeAlias = Literal["info", "low", "medium", "high", "critical"]
_Name: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
_Interface: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[^\s/]{1,15}$")]
_Duration: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,6}(s|m|h|d)$")]
_Port: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
_Size: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,4}(M|G)$")]
_Mebibytes: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=65_536)]

MOST_BYTES = 64 << 30
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds(duration: str) -> int:
    """How long a duration of the config ("90s", "10m", "2h", "14d") is, in seconds."""
    return int(duration[:-1]) * _SECONDS[duration[-1]]


def size(text: str) -> int:
    """How many bytes a size of the config ("512M", "2G") is."""
    return int(text[:-1]) << (30 if text.endswith("G") else 20)


class CaptureConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is listened to."""

    interfaces: Annotated[tuple[_Interface, ...], msgspec.Meta(min_length=1, max_length=16)]
    filter: Annotated[str, msgspec.Meta(max_length=4096)] = ""
    promiscuous: bool = True
    ring_mib: _Mebibytes = 32  # for each interface, in the kernel
    evidence_mib: _Mebibytes = 64  # the last frames; at most an eighth of the memory


class LearningConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is declared as normal: everything until a moment. Empty: otids learns by itself."""

    until: str = ""

    def moment(self) -> float | None:
        """The moment in seconds since the epoch, or None. Raises ValueError."""
        return datetime.fromisoformat(self.until).timestamp() if self.until else None


class RulesConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people wrote, beside what otids brings."""

    folders: tuple[str, ...] = ()
    assets: str = ""


class StateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is kept, where, and how much of it."""

    folder: str = "/var/lib/otids"
    checkpoint: _Duration = "5m"
    evidence_mib: _Mebibytes = 1024
    history: _Duration = "90d"  # of closed alerts, and of what a sink did not take


class ControlConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The socket through which people look at the service and steer it."""

    socket: str = "/run/otids/control.sock"
    group: str = ""  # members of it may steer; root and the service's own user always may


class MetricsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where Prometheus scrapes; port 0: nowhere."""

    address: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 9417


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The service's own log, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class _Sink(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", kw_only=True
):
    name: _Name = ""  # of its place in the outbox; default: the type
    min_severity: Severity = "info"

    @property
    def place(self) -> str:
        """Under which name the outbox keeps its place."""
        return self.name or str(self.__struct_config__.tag)


class JsonLinesConfig(_Sink, frozen=True, tag="jsonlines", kw_only=True):
    """A file that gets a JSON object a line; rotated at a size."""

    path: str
    rotate_mib: _Mebibytes = 100
    keep: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 5


class SyslogConfig(_Sink, frozen=True, tag="syslog", kw_only=True):
    """A syslog server (RFC 5424)."""

    host: str
    port: _Port | None = None  # default: 514, with TLS 6514
    transport: Literal["udp", "tcp", "tls"] = "tcp"
    format: Literal["json", "cef"] = "json"
    facility: Annotated[int, msgspec.Meta(ge=0, le=23)] = 13  # log audit
    ca: str = ""  # of the server's certificate; default: the system's
    certificate: str = ""
    key: str = ""
    server_name: str = ""  # in the server's certificate; default: host
    max_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1 << 20)] = 8192  # of a message


class WebhookConfig(_Sink, frozen=True, tag="webhook", kw_only=True):
    """A web server that gets records by POST."""

    url: Annotated[str, msgspec.Meta(pattern=r"^https?://[^\s]+$", max_length=2000)]
    headers: dict[str, str] = {}
    body: Literal["array", "record"] = "array"  # several records in a POST, or each in its own
    ca: str = ""
    certificate: str = ""
    key: str = ""
    timeout: _Duration = "10s"


SinkConfig: TypeAlias = JsonLinesConfig | SyslogConfig | WebhookConfig


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    capture: CaptureConfig
    sensor: str = ""  # default: the computer's name
    memory: _Size = "512M"  # of the whole process
    learning: LearningConfig = LearningConfig()
    rules: RulesConfig = RulesConfig()
    state: StateConfig = StateConfig()
    control: ControlConfig = ControlConfig()
    metrics: MetricsConfig = MetricsConfig()
    log: LogConfig = LogConfig()
    sink: Annotated[tuple[SinkConfig, ...], msgspec.Meta(max_length=32)] = ()

    @property
    def sensor_name(self) -> str:
        """Who says so, in alerts."""
        return self.sensor or socket.gethostname()


def load(path: Path) -> Config:
    """Read the config. Raises `RuleError` naming file, line and key."""
    document = Document(path, Config)
    config = document.value
    try:
        config.learning.moment()
    except (ValueError, OverflowError):
        raise document.error(
            ("learning", "until"), "is no time like 2026-03-01T06:00:00+01:00"
        ) from None
    if not LEAST_BYTES <= size(config.memory) <= MOST_BYTES:
        raise document.error(("memory",), "is outside 256M to 64G")
    places = [one.place for one in config.sink]
    for number, place in enumerate(places):
        if place in places[:number]:
            keys = ("sink", number, "name" if config.sink[number].name else "type")
            raise document.error(keys, f"another sink is called {place!r} too: give it a name")
    for number, one in enumerate(config.sink):
        if isinstance(one, SyslogConfig | WebhookConfig) and bool(one.certificate) != bool(one.key):
            raise document.error(("sink", number), "certificate and key go together")
    return config
