"""What a power cut would have left of a folder at any moment, from the system calls of those who wrote there (strace).

What was written counts as durable when an fsync or fdatasync that began after it has returned; a name, when its folder was
synced. All else survives by chance: each name by itself, and of a file each piece of 512 bytes by itself, or its length with
zeros. That is stricter than any file system, and knows nothing of who writes: SQLite's files are cut like any other.

    command = traced(trace, [...])                     # run it
    replay = Replay(folder, calls(trace), snapshots)
    replay.go_to(line)
    replay.cut(to, seed)

Of a process that is killed nobody can tell whether its last calls were carried out. So whoever kills one puts a copy of the
folder beside it (``snapshot``), says so ("life N" on file 1), and what is found there goes on as not synced.
"""

import random
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_FILES = "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,link,linkat"
_CONTENTS = "write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync"
#: What a writer might use and this file cannot follow: seen in the folder, it is an error and not silence.
_UNKNOWN = "truncate,copy_file_range,sendfile,splice,sync_file_range,syncfs,symlink,symlinkat"
_PIECE = 512
_SHARED_MEMORY = "-shm"
LIFE = "life "

_LINE = re.compile(r"(?P<thread>\d+) +(?P<rest>.*)", re.DOTALL)
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)", re.DOTALL)
_RESULT = re.compile(r"\) += (?P<result>-?\d+)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_UNFINISHED = " <unfinished ...>"
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HANDLE = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")
_NUMBER = re.compile(r"(?:^|, )(\d+)(?=$|, )")


def traced(trace: Path, command: Sequence[str]) -> list[str]:
    """Return the command that runs another one and writes down what it does to files."""
    strace = ["strace", "-f", "--seccomp-bpf", "-y", "-qq", "-xx", "-s", "16777216"]
    calls = f"{_FILES},{_CONTENTS},{_UNKNOWN}"
    return [*strace, "-o", str(trace), "-e", "signal=none", "-e", f"trace={calls}", *command]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(frozen=True, slots=True)
class Call:
    """One system call that went well; ``begun`` and ``ended`` are lines of the trace."""

    begun: int
    ended: int
    name: str
    arguments: str = field(repr=False)
    result: int

    def texts(self) -> list[bytes]:
        """Return the strings among its arguments."""
        return [_bytes(text) for text in _TEXT.findall(self.arguments)]

    def handle(self) -> tuple[int, str]:
        """Return the open file that comes first, and its path."""
        match = _HANDLE.match(self.arguments)
        assert match is not None, self.name
        number = -1 if match[1] == "AT_FDCWD" else int(match[1])
        return number, _bytes(match[2]).decode()

    def paths(self) -> list[str]:
        """Return the names among its arguments, as whole paths."""
        folders = [_bytes(text).decode() for _, text in _HANDLE.findall(self.arguments)]
        return [
            name if name.startswith("/") else f"{folders[0]}/{name}"
            for name in (text.decode() for text in self.texts())
        ]

    def numbers(self) -> list[int]:
        """Return the numbers behind its strings."""
        return [int(one) for one in _NUMBER.findall(self.arguments.rpartition('"')[2])]


def calls(trace: Path) -> list[Call]:
    """Read what strace wrote; a call that another thread interrupts has two lines."""
    found, begun = [], dict[str, tuple[int, str]]()
    with trace.open(encoding="ascii") as lines:
        for number, line in enumerate(lines):
            match = _LINE.match(line.rstrip("\n"))
            assert match is not None, line[:80]
            thread, rest, start = match["thread"], match["rest"], number
            if rest.endswith(_UNFINISHED):
                begun[thread] = (number, rest.removesuffix(_UNFINISHED))
                continue
            if resumed := _RESUMED.match(rest):
                start, head = begun.pop(thread)
                rest = head + rest[resumed.end() :]
            call = _CALL.match(rest)
            result = _RESULT.search(rest, max(0, rest.rfind(") ")))  # behind what is written
            if call and result and not result["result"].startswith("-"):
                arguments = call["arguments"][: result.start() - call.start("arguments")]
                found.append(Call(start, number, call["name"], arguments, int(result["result"])))
    return found


# --- what is on disk --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Write:
    """Bytes at a place of a file, or its new length."""

    offset: int
    content: bytes | None

    def apply(self, file: bytearray) -> None:
        if self.content is None:
            _resize(file, self.offset)
            return
        end = self.offset + len(self.content)
        _resize(file, max(end, len(file)))
        file[self.offset : end] = self.content


def _resize(file: bytearray, size: int) -> None:
    del file[size:]
    file += bytes(size - len(file))


def snapshot(folder: Path, to: Path) -> None:
    """Copy a folder in which nobody writes."""
    for path in sorted(folder.rglob("*")):
        place = to / path.relative_to(folder)
        if path.is_dir():
            place.mkdir(parents=True)
        else:
            place.write_bytes(
                path.read_bytes()
            )  # no sendfile: that is a call which is not followed


class _File:
    """One inode: what the disk has for certain, and what it may have."""

    def __init__(self, content: bytes = b"") -> None:
        self.durable = bytearray(content)
        self.pending: list[_Write] = []
        self.size = len(content)

    def write(self, offset: int, content: bytes) -> None:
        self.pending.append(_Write(offset, content))
        self.size = max(self.size, offset + len(content))

    def resize(self, size: int) -> None:
        self.pending.append(_Write(size, None))
        self.size = size

    def content(self) -> bytearray:
        """Return what programs see."""
        content = bytearray(self.durable)
        for write in self.pending:
            write.apply(content)
        return content

    def found(self, content: bytes) -> None:
        """Be this now: what a killed process has done at the end, durable or not."""
        seen = self.content()
        if seen == content:
            return
        if len(seen) != len(content):
            self.resize(len(content))
            _resize(seen, len(content))
        changed = [
            at for at, (one, other) in enumerate(zip(seen, content, strict=True)) if one != other
        ]
        if changed:
            self.write(changed[0], content[changed[0] : changed[-1] + 1])

    def synced(self, writes: Sequence[_Write]) -> None:
        """These are on disk now; what came later may be."""
        done = {id(one) for one in writes}
        for one in self.pending:
            if id(one) in done:
                one.apply(self.durable)
        self.pending = [one for one in self.pending if id(one) not in done]

    def after_a_cut(self, chance: random.Random) -> bytes:
        content, share = bytearray(self.durable), chance.choice((0.0, 0.5, 0.9, 1.0))
        for write in self.pending:
            for piece in _pieces(write):
                if chance.random() < share:
                    piece.apply(content)
        if chance.random() < 0.2:
            _resize(content, max(self.size, len(content)))
        return bytes(content)


def _pieces(write: _Write) -> Iterable[_Write]:
    if write.content is None:
        yield write
        return
    at = write.offset
    end = at + len(write.content)
    while at < end:
        until = min(end, (at // _PIECE + 1) * _PIECE)
        yield _Write(at, write.content[at - write.offset : until - write.offset])
        at = until


@dataclass(slots=True)
class _Open:
    """An open file, and where the next write goes."""

    file: _File
    offset: int
    appends: bool


class Replay:
    """Follows what was done to a folder; ``snapshots``: its copies at the beginning of each life, the first one "1".

    ``forgets``: syncs of which paths are taken for none, to see that it matters.
    """

    def __init__(
        self,
        folder: Path,
        found: Sequence[Call],
        snapshots: Path,
        *,
        forgets: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._root = str(folder)
        self._forgets = forgets
        self._snapshots = snapshots
        self._live: dict[str, _File | None] = {}
        for name, path in self._in_snapshot("1").items():
            self._live[name] = None if path.is_dir() else _File(path.read_bytes())
        self._durable = dict(self._live)
        self._open: dict[int, _Open] = {}
        self._events = sorted(
            [(one.begun, 0, one) for one in found if one.name in ("fsync", "fdatasync")]
            + [(one.ended, 1, one) for one in found],
            key=lambda event: event[:2],
        )
        #: What a sync that has begun will have made durable when it ends.
        self._begun: dict[int, Callable[[], None]] = {}
        self._at = 0
        #: What programs outside of the folder were told (file 1).
        self.said: list[str] = []

    @property
    def lines(self) -> list[int]:
        """The lines after which the folder may differ."""
        return [line for line, _, one in self._events if self._is_named(one)]

    def _is_named(self, call: Call) -> bool:
        if call.arguments.startswith(('"', "AT_FDCWD")):
            return any(map(self._is_here, call.paths()))
        return self._is_here(call.handle()[1])

    def go_to(self, line: int) -> None:
        """Go on until everything up to this line of the trace has happened."""
        while self._at < len(self._events) and self._events[self._at][0] <= line:
            _, is_end, call = self._events[self._at]
            self._at += 1
            if is_end:
                self._ended(call)
            else:
                self._begin_sync(call)

    def cut(self, to: Path, seed: int) -> None:
        """Write what a power cut at this moment would leave, by chance."""
        chance = random.Random(seed)
        found: dict[str, _File | None] = {}
        for path in sorted(self._live.keys() | self._durable.keys()):
            is_changed = self._live.get(path, 0) is not self._durable.get(path, 0)
            tree = self._live if not is_changed or chance.random() < 0.5 else self._durable
            parent = path.rpartition("/")[0]
            if path in tree and (parent == self._root or parent in found):
                found[path] = tree[path]
        to.mkdir(mode=0o700)
        contents: dict[int, bytes] = {}
        for path, file in found.items():
            place = to / path.removeprefix(f"{self._root}/")
            if file is None:
                place.mkdir(mode=0o700)
            elif not path.endswith(_SHARED_MEMORY):
                if id(file) not in contents:
                    contents[id(file)] = file.after_a_cut(chance)
                place.write_bytes(contents[id(file)])
                place.chmod(0o600)

    # --- what happens ---

    def _in_snapshot(self, number: str) -> dict[str, Path]:
        root = self._snapshots / number
        return {f"{self._root}/{path.relative_to(root)}": path for path in sorted(root.rglob("*"))}

    def _found(self, number: str) -> None:
        """Go on with what the last killed process has left."""
        names = self._in_snapshot(number)
        for gone in self._live.keys() - names.keys():
            del self._live[gone]
        for name, path in names.items():
            if path.is_dir():
                self._live.setdefault(name, None)
                continue
            file = self._live.get(name) or _File()
            self._live[name] = file
            file.found(path.read_bytes())

    def _ended(self, call: Call) -> None:
        if call.name in _UNKNOWN.split(","):
            handles = [_bytes(text).decode() for _, text in _HANDLE.findall(call.arguments)]
            named = [*handles, *call.paths()]
            assert not any(map(self._is_here, named)), f"{call.name} is not followed"
        elif call.name in ("fsync", "fdatasync"):
            self._begun.pop(id(call), lambda: None)()
        elif "write" in call.name:
            self._write(call)
        elif call.name in ("ftruncate", "fallocate"):
            self._resize(call)
        elif call.name == "openat":
            self._opened(call)
        else:
            self._renamed(call)

    def _is_here(self, path: str) -> bool:
        return path.startswith(f"{self._root}/") or path == self._root

    def _opened(self, call: Call) -> None:
        [path] = call.paths()
        if not self._is_here(path) or path == self._root:
            return
        flags = call.arguments.rpartition('"')[2]
        file = self._live.get(path)
        if path not in self._live:
            if "O_RDONLY" in flags and "O_CREAT" not in flags:
                return  # whoever takes the snapshot meets a rename that its process was killed in: ``_found`` learns it
            assert "O_CREAT" in flags, path
            file = self._live[path] = _File()
        if file is None:
            return
        assert "SYNC" not in flags, "files that are synced by each write are not followed"
        if "O_TRUNC" in flags and file.size:
            file.resize(0)
        self._open[call.result] = _Open(file, 0, "O_APPEND" in flags)

    def _write(self, call: Call) -> None:
        number, path = call.handle()
        content = b"".join(call.texts())[: call.result]
        if number == 1 and not self._is_here(path):
            for line in content.decode().splitlines():
                if line.startswith(LIFE):
                    self._found(line.removeprefix(LIFE))
                else:
                    self.said.append(line)
        if not self._is_here(path):
            return
        opened = self._open[number]
        if call.name.startswith("p"):
            opened.file.write(call.numbers()[-1], content)
            return
        at = opened.file.size if opened.appends else opened.offset
        opened.file.write(at, content)
        opened.offset = at + len(content)

    def _resize(self, call: Call) -> None:
        number, path = call.handle()
        if not self._is_here(path):
            return
        file, numbers = self._open[number].file, [int(n) for n in _NUMBER.findall(call.arguments)]
        size = numbers[-1] if call.name == "ftruncate" else numbers[-1] + numbers[-2]
        if call.name == "ftruncate" or size > file.size:
            file.resize(size)

    def _renamed(self, call: Call) -> None:
        """Follow what changes names."""
        paths = [path for path in call.paths() if self._is_here(path)]
        if not paths:
            return
        match call.name.removesuffix("2").removesuffix("at"):
            case "mkdir":
                self._live[paths[0]] = None
            case "unlink":
                del self._live[paths[0]]
            case "rename":
                old, new = paths
                self._live[new] = self._live.pop(old)
            case "link":
                old, new = paths
                self._live[new] = self._live[old]

    def _begin_sync(self, call: Call) -> None:
        number, path = call.handle()
        if not self._is_here(path) or self._forgets(path):
            return
        if self._live.get(path, 0) is None or path == self._root:
            names = {name: file for name, file in self._live.items() if _folder(name) == path}
            self._begun[id(call)] = lambda: self._folder_synced(path, names)
        else:
            file = self._open[number].file
            writes = tuple(file.pending)
            self._begun[id(call)] = lambda: file.synced(writes)

    def _folder_synced(self, path: str, names: dict[str, _File | None]) -> None:
        for gone in [name for name in self._durable if _folder(name) == path]:
            if gone not in names:
                del self._durable[gone]
        self._durable |= names


def _folder(path: str) -> str:
    return path.rpartition("/")[0]
