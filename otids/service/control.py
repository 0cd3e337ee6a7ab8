"""The control socket: one JSON object a line each way, over a unix socket.

A request is `{"version": 1, "command": NAME, "arguments": {...}}`; the answer is
`{"version": 1, "ok": true, "result": ...}` or `{"version": 1, "ok": false, "error": TEXT}`.
The file's mode says who may connect, and may look; root, the service's own user and the config's
group may steer, too. Who asks is what the kernel says of the peer, not what the peer says.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import socket
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from otids.alerts.wording import clean
from otids.detectors.base import StateError
from otids.logs import logger
from otids.service.commands import COMMANDS, CommandError, Commands, Peer
from otids.service.judge import JudgeEndedError
from otids.store import StoreError

if TYPE_CHECKING:
    from otids.service.config import Config
    from otids.service.daemon import Daemon

VERSION = 1
MOST_REQUEST = 16 << 10
MOST_ANSWER = 32 << 20
MOST_CLIENTS = 16
MOST_LOOKING = 12
"""Of these may only look: whoever may steer always finds a place."""
IDLE_SECONDS = 60.0
ANSWER_SECONDS = 30.0
"""How long an answer may take to be made, and again to be read."""
REFUSAL_SECONDS = 0.5
MODE = 0o660
META = "control"
"""Under which key the store notes where the socket is."""

_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
_MOST_BYTES = 1024  # that Python lets an option have
_CREDENTIALS = struct.Struct("3i")


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The checked form of a line."""

    version: int
    command: str
    arguments: dict[str, Any] = {}


class Control:
    """The part that answers on the control socket."""

    def __init__(self, daemon: Daemon) -> None:
        self.clients = 0
        self.refused = 0
        self._looking = 0
        self._going: set[socket.socket] = set()  # refused, and about to be closed
        self._daemon = daemon
        self._path = Path(daemon.config.control.socket)
        self._log = logger(__name__)
        self._commands = Commands(daemon)
        self._listener: socket.socket | None = None
        self._group: int | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen. Raises OSError in one line."""
        control = self._daemon.config.control
        if not control.socket:
            return
        self._group = group_id(control.group) if control.group else None
        self._listener = bind(self._path, self._group)
        asyncio.get_running_loop().add_reader(self._listener, self._welcome)
        self._note(str(self._path.absolute()))

    def _note(self, path: str) -> None:
        store = self._daemon.folder.store
        self._daemon.judge.call(lambda: store.set_meta({META: path}))

    async def reload(self, _: Config) -> None:
        """The socket stays as it is until a restart."""

    async def stop(self) -> None:
        """End all connections, and take the socket away."""
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)
            with contextlib.suppress(OSError):
                self._path.unlink()
            self._listener.close()
            self._listener = None
            self._note("")
        for one in list(self._going):
            self._let_go(one)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._commands.close()

    # --- clients ---------------------------------------------------------------------------------

    def _welcome(self) -> None:
        """Take a connection, if there is room for it."""
        if self._listener is None:
            return
        try:
            connection, _ = self._listener.accept()
        except OSError:  # it went away again, or we have no handles left
            return
        connection.setblocking(False)
        try:
            peer = peer_of(connection, self._group)
        except OSError:
            connection.close()
            return
        if self.clients >= MOST_CLIENTS or (not peer.may_steer and self._looking >= MOST_LOOKING):
            self._refuse(connection)
            return
        task = asyncio.get_running_loop().create_task(self._serve(connection, peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, connection: socket.socket) -> None:
        """Say that there is no room; what was asked meanwhile must not cut off the answer."""
        self.refused += 1
        with contextlib.suppress(OSError):
            connection.send(_answer(error="too many are connected already; try again"))
        if len(self._going) >= MOST_CLIENTS:
            connection.close()
            return
        self._going.add(connection)
        asyncio.get_running_loop().call_later(REFUSAL_SECONDS, self._let_go, connection)

    def _let_go(self, connection: socket.socket) -> None:
        self._going.discard(connection)
        connection.close()

    async def _serve(self, connection: socket.socket, peer: Peer) -> None:
        self.clients += 1
        self._looking += not peer.may_steer
        try:
            await self._talk(connection, peer)
        except OSError:  # it went away, or took too long
            pass
        except Exception:  # noqa: BLE001 told, and contained
            self._log.exception("a control connection failed; this is a bug")
        finally:
            self.clients -= 1
            self._looking -= not peer.may_steer
            connection.close()

    async def _talk(self, connection: socket.socket, peer: Peer) -> None:
        loop = asyncio.get_running_loop()
        buffer = bytearray()
        until = loop.time() + IDLE_SECONDS  # for a whole request: who sends it byte by byte, too
        while True:
            end = buffer.find(b"\n")
            if end >= 0:
                line = bytes(buffer[:end])
                del buffer[: end + 1]
                answer = await self._answered(line, peer)
                await asyncio.wait_for(loop.sock_sendall(connection, answer), ANSWER_SECONDS)
                until = loop.time() + IDLE_SECONDS
                continue
            if len(buffer) > MOST_REQUEST:
                answer = _answer(error=f"a request has at most {MOST_REQUEST} bytes")
                await asyncio.wait_for(loop.sock_sendall(connection, answer), ANSWER_SECONDS)
                return
            left = until - loop.time()
            data = await asyncio.wait_for(loop.sock_recv(connection, 4096), max(left, 0.0))
            if not data:
                return
            buffer += data

    def _checked(self, line: bytes, peer: Peer) -> _Request:
        """Read a request that this peer may make. Raises CommandError, MsgspecError."""
        if len(line) > MOST_REQUEST:
            raise CommandError(f"a request has at most {MOST_REQUEST} bytes")
        request = msgspec.json.decode(line, type=_Request)
        if request.version != VERSION:
            raise CommandError(f"this otids speaks version {VERSION} of the protocol")
        if request.command not in COMMANDS:
            raise CommandError(f"no such command; there are: {', '.join(COMMANDS)}")
        if COMMANDS[request.command][2]:
            self._log.info(
                "a command was given" if peer.may_steer else "a command was refused",
                command=request.command,
                arguments=request.arguments,
                user=peer.name,
                uid=peer.uid,
                pid=peer.pid,
            )
            if not peer.may_steer:
                raise CommandError(
                    f"{peer.name} may look, but not steer: that takes root, the service's user, "
                    "or the group that the config names (control.group)"
                )
        return request

    async def _answered(self, line: bytes, peer: Peer) -> bytes:
        """Answer one request; what goes wrong is an answer, too."""
        try:
            request = self._checked(line, peer)
            # Shielded: who gives up waiting must not leave something half done.
            running = asyncio.ensure_future(
                self._commands.run(request.command, request.arguments, peer)
            )
            running.add_done_callback(lambda done: done.cancelled() or done.exception())
            result = await asyncio.wait_for(asyncio.shield(running), ANSWER_SECONDS)
            answer = await asyncio.to_thread(_answer, result)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return _answer(error=f"no request: {error}")
        except (CommandError, StoreError, StateError, OSError, JudgeEndedError) as error:
            return _answer(error=str(error) or "it took too long")
        except Exception as error:  # noqa: BLE001 told, and contained
            self._log.exception("a command failed; this is a bug")
            return _answer(error=f"a bug in otids: {type(error).__name__}")
        return answer


def _answer(result: Any = None, error: str = "") -> bytes:
    if error:
        record: dict[str, Any] = {"version": VERSION, "ok": False, "error": clean(error)}
    else:
        record = {"version": VERSION, "ok": True, "result": result}
    line = msgspec.json.encode(record) + b"\n"
    if len(line) > MOST_ANSWER:
        return _answer(error="the answer is too large; ask for less")
    return line


# --- who, and where ------------------------------------------------------------------------------


def peer_of(connection: socket.socket, group: int | None) -> Peer:
    """Tell who is at the other end, and whether they may steer. Raises OSError."""
    data = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, gid = _CREDENTIALS.unpack(data)
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"user {uid}"
    may_steer = uid in {0, os.geteuid()}
    if not may_steer and group is not None:
        may_steer = group == gid or group in _groups_of(connection, name, gid)
    return Peer(pid, uid, clean(name), may_steer)


def _groups_of(connection: socket.socket, name: str, gid: int) -> frozenset[int]:
    """The supplementary groups of the peer: those it had when it connected, or else its user's."""
    size = struct.calcsize("I")
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, _MOST_BYTES)
    except OSError:  # more of them than that, or an old kernel
        return frozenset(os.getgrouplist(name, gid))
    return frozenset(one for (one,) in struct.iter_unpack("I", data[: len(data) // size * size]))


def group_id(name: str) -> int:
    """Find a group. Raises OSError."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise OSError(f"control.group: there is no group {name!r}") from None


def bind(path: Path, group: int | None) -> socket.socket:
    """Listen on a path that only owner and group may connect to. Raises OSError in one line.

    What a crash left there is taken away; a socket on which somebody answers is not.
    """
    _clear(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        os.fchmod(listener.fileno(), 0o600)  # the file gets this mode, before anybody can connect
        listener.bind(str(path))
        if group is not None:
            os.chown(path, -1, group)
        path.chmod(MODE)
        listener.listen(MOST_CLIENTS)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        why = error.strerror or str(error)
        if group is not None and isinstance(error, PermissionError):
            why += " (the service's user must be a member of control.group)"
        raise OSError(f"{path}: the control socket cannot be made: {why}") from None
    return listener


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(f"{path}: is in the way of the control socket, and no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            return
        except OSError:
            pass
    raise OSError(f"{path}: another otids answers there")
