"""Whether a name may be looked up among the files of this machine."""

from __future__ import annotations

import os
import re
from pathlib import PureWindowsPath

LONGEST_NAME = 500
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def form_fault(name: str, *, longest: int = LONGEST_NAME) -> str:
    """What is wrong with the form of a file name, such as "of a network share"; empty where nothing is.

    Only the text is looked at: no file, folder or host is touched.
    """
    windows = os.name == "nt"
    drive = bool(PureWindowsPath(name).drive) and not windows
    faults = {
        "that is empty": not name.strip(),
        f"of {len(name)} characters": len(name) > longest,
        "with control characters": any(ord(letter) < 32 or ord(letter) == 127 for letter in name),
        "of a network share": name.startswith(("\\\\", "//")),
        "with a drive letter or URL scheme": drive or (bool(_SCHEME.match(name)) and not windows) or "://" in name,
        "with a backslash": "\\" in name and not windows,
    }
    return next((fault for fault, holds in faults.items() if holds), "")
