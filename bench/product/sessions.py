"""A browser tab without a browser: Streamlit's own protocol over its WebSocket, for many sessions on few cores."""

from __future__ import annotations

import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import StringArray
from streamlit.proto.Delta_pb2 import Delta
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

WAIT_SECONDS = 120.0
"""Longest a script may run."""
TOO_LARGE = 512 * 2**20
GOOD = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Session:
    """One tab of the server at `address`: its page is `path`, its link `query`."""

    def __init__(self, address: str, path: str = "", query: str = "") -> None:
        self._path, self._query, self._hash = path, query, ""
        self._widgets: dict[str, WidgetState] = {}
        self._cached: set[str] = set()
        self._pills: dict[str, tuple[str, str]] = {}
        """Key -> id of the widget, and of the fragment that it stands in."""
        self.elements = 0
        """Elements that the last run sent in full; the others were references to what the tab has."""
        self.bytes = 0
        """Length of all messages of the last run."""
        self.faults: list[str] = []
        """What a run of the script ended with, other than success."""
        host = urlsplit(address).netloc
        opening = connect(
            f"ws://{host}/_stcore/stream",
            origin=Origin(f"http://{host}"),
            subprotocols=[Subprotocol("streamlit")],
            max_size=TOO_LARGE,
        )
        self._open = ExitStack()
        self._socket = self._open.enter_context(opening)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the tab."""
        self._open.close()

    def run(self) -> float:
        """Run the page as it is; seconds from the request to the end of the script."""
        return self._run("")

    def pick(self, key: str, label: str) -> float:
        """Click one of the pills `key`, as a person does; seconds to the end of what runs then."""
        identity, fragment = self._pills[key]
        self._widgets[key] = WidgetState(id=identity, string_array_value=StringArray(data=[label]))
        return self._run(fragment)

    def _run(self, fragment: str) -> float:
        message = BackMsg()
        state = message.rerun_script
        state.query_string, state.page_script_hash, state.fragment_id = self._query, self._hash, fragment
        state.page_name = "" if self._hash else self._path
        state.context_info.url = f"http://localhost/{self._path}"
        state.widget_states.widgets.extend(self._widgets.values())
        state.cached_message_hashes.extend(self._cached)
        begin = time.perf_counter()
        self._socket.send(message.SerializeToString())
        self._receive(begin + WAIT_SECONDS)
        return time.perf_counter() - begin

    def _receive(self, end: float) -> None:
        self.elements = self.bytes = 0
        while True:
            message = ForwardMsg()
            data = self._socket.recv(timeout=max(0.1, end - time.perf_counter()))
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            kind = message.WhichOneof("type")
            self.bytes += len(data)
            if message.metadata.cacheable:
                self._cached.add(message.hash)
            if kind == "new_session":
                self._hash = message.new_session.page_script_hash
            elif kind == "page_info_changed":
                self._query = message.page_info_changed.query_string
            elif kind == "delta":
                self._take(message.delta)
            elif kind == "script_finished":
                if message.script_finished not in GOOD:
                    self.faults.append(ForwardMsg.ScriptFinishedStatus.Name(message.script_finished))
                return

    def _take(self, delta: Delta) -> None:
        if delta.WhichOneof("type") == "new_element":
            self.elements += 1
            if delta.new_element.WhichOneof("type") == "button_group":
                identity = delta.new_element.button_group.id
                self._pills[identity.split("-", 2)[-1]] = (identity, delta.fragment_id)
