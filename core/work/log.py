"""What is written to the log, and what never is: one record a line, secrets masked."""

from __future__ import annotations

import errno
import logging
import re
import secrets
import traceback
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

from core.errors import MaterialError
from core.store.home import PRIVATE_FOLDER, home, private

LOG_BYTES = 2 * 2**20
LOG_FILES = 3
_NAMES = r"[\w.-]*(?:token|password|passwd|passphrase|secret|api[_-]?key|access[_-]?key|authorization|credentials?)"
"""Names of what is secret, with anything before: `HF_TOKEN`, `aws_secret`, `x-api-key`."""
SECRETS = re.compile(
    r"hf_[A-Za-z0-9]{8,}"
    r"|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
    r"|(?i:(?<=bearer )|(?<=basic ))[\w.~+/=-]{3,}"
    rf"|(?i:\b{_NAMES})\\?[\"']?\s{{0,3}}[:=]\s{{0,3}}"
    r"(?:(?i:bearer|basic)\s+)?"
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|\\\"(?:[^\"\\]|\\[^\"])*\\\"|'(?:[^'\\]|\\.)*'|[^\s&,;}\])\"']+)"
)
"""A token of the hub, the user and password of an address, the word after Bearer or Basic, and the value that is given
to a secret's name: as in a URL, a setting, YAML, a Python dictionary or JSON, JSON inside a string included."""
UNEXPECTED = "something unexpected went wrong (error id {}); the details are in the log"

logger = logging.getLogger("demolens")


class OneLine(logging.Formatter):
    """A formatter whose record is one line whatever the data holds, so that no title can forge a record."""

    def format(self, record: logging.LogRecord) -> str:
        """The record with line breaks and other control characters escaped and secrets masked."""
        return escaped(masked(super().format(record)))


def masked(text: str) -> str:
    """`text` with `***` in place of every secret; the names of secrets stay."""
    return SECRETS.sub(_mask, text)


def _mask(match: re.Match[str]) -> str:
    value = match["value"]
    return "***" if value is None else match[0].removesuffix(value) + "***"


def escaped(text: str) -> str:
    """`text` with every control, separator and direction character written as its escape."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def new_error_id() -> str:
    """Eight hex digits that a person can read out."""
    return secrets.token_hex(4)


def unexpected(error: BaseException) -> tuple[str, str]:
    """Log `error` with its traceback; returns the sentence for the screen and the error id."""
    error_id = new_error_id()
    logger.error("error id %s", error_id, exc_info=error)
    return UNEXPECTED.format(error_id), error_id


def traceback_of(error: BaseException) -> str:
    """The traceback as a log shows it."""
    return "".join(traceback.format_exception(error)).rstrip()


class _PrivateFile(RotatingFileHandler):
    """A log that only this user may read; where it stands, a pipe or device is refused."""

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        file = open(path, self.mode, encoding=self.encoding, errors=self.errors, opener=private)  # noqa: SIM115
        assert isinstance(file, TextIOWrapper)
        return file

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """A record that a full disk does not take is dropped without a word: nobody at the terminal asked for it."""


def log_to_file(name: str, folder: Path | None = None) -> Path | None:
    """Send the log of this process to `<folder>/<name>.log` (default: the home's `logs`); returns its path.

    Returns None and leaves the log on stderr when the folder cannot be written.
    """
    try:
        path = (home() / "logs" if folder is None else folder) / f"{name}.log"
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
        handler = _PrivateFile(path, maxBytes=LOG_BYTES, backupCount=LOG_FILES, encoding="utf-8")
    except (OSError, MaterialError):
        return None
    _use(handler)
    return path


def log_to_stderr() -> None:
    """Send the log of this process to stderr (the worker: its desk reads it from there)."""
    _use(logging.StreamHandler())


def _use(handler: logging.Handler) -> None:
    handler.setFormatter(OneLine("%(asctime)s %(levelname)s %(process)d %(message)s"))
    for old in logger.handlers[:]:
        logger.removeHandler(old)
        old.close()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
