"""Which errors are the user's: a file, a folder or a word that is not what it has to be."""

from otids import _hotpath
from otids.detectors.base import StateError
from otids.rules.files import RuleError
from otids.sinks.base import SinkError
from otids.store import StoreError


class UserError(Exception):
    """What was asked for cannot be done; the message is one line for the user."""


USERS = (
    UserError,
    _hotpath.CaptureError,
    RuleError,
    SinkError,
    StateError,
    StoreError,
    OSError,
)


def is_the_users(error: Exception) -> bool:
    """Whether the user can do something about `error`; otherwise it is a bug of ours."""
    return isinstance(error, USERS)


def one_line(error: Exception) -> str:
    """Say what is wrong in one line that names the file."""
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())
