"""The decoder process: does one call after the other until the line to its parent is closed.

    python -m storage.decoding.child DESCRIPTOR PARENT MEMORY_BYTES REGISTRY

where DESCRIPTOR is the number of the inherited socket, PARENT the process that must be alive, REGISTRY as JSON.
"""

import ctypes
import importlib
import inspect
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from storage.decoding import progress
from storage.decoding.channel import Channel, Closed, Kind, Message
from storage.decoding.codec import BadMessage, Unsendable, pack, unpack
from storage.decoding.failures import Failure, failure_of
from storage.decoding.registry import Registry

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    """Serve until the parent closes the line; the arguments are those of the command line."""
    descriptor, parent, memory_bytes, registry = arguments
    _depend_on(int(parent))
    _limit(int(memory_bytes))
    serve(Channel(socket.socket(fileno=int(descriptor))), Registry.from_json(registry))


def serve(channel: Channel, registry: Registry) -> None:
    """Answer calls until the line is closed."""
    for module in registry.preload:
        importlib.import_module(module)
    try:
        channel.send(Message(Kind.READY))
        while True:
            _answer(channel, channel.receive(), registry)
    except Closed:
        return


def _answer(channel: Channel, call: Message, registry: Registry) -> None:
    progress.report_to(lambda pixels: channel.send(Message(Kind.BEAT, call.serial, pack(pixels, registry).payload)))
    try:
        result = _call(call, registry)
        packed, kind = pack(result, registry), Kind.RESULT
    except Closed:
        raise
    except Exception as error:
        packed, kind = pack(_failure(error, registry), registry), Kind.ERROR
    finally:
        progress.report_to(None)
    channel.send(Message(kind, call.serial, packed.payload, packed.descriptors))


def _call(call: Message, registry: Registry) -> object:
    match unpack(call.payload, call.descriptors, registry):
        case (str(name), str() | None as folder, dict(arguments)):
            if folder is not None and Path(folder) != Path.cwd():
                os.chdir(folder)  # relative paths mean what they mean to the caller
            return _function(name, arguments, registry)(**arguments)
    raise Unsendable("not a call")


def _function(name: str, arguments: dict[str, object], registry: Registry) -> Callable[..., object]:
    """The function, checked: a call that does not fit is a mistake of the caller and no damage of a file."""
    try:
        function = registry.function(name)
        inspect.signature(function).bind(**arguments)
    except (TypeError, KeyError, AttributeError) as error:
        raise Unsendable(f"{name} cannot be called: {error}") from error
    return function


def _failure(error: Exception, registry: Registry) -> Failure:
    if isinstance(error, Unsendable | BadMessage | ImportError):
        return "mistake", (str(error),), None
    failure = failure_of(error, registry)
    if failure[0] == "other":
        traceback.print_exception(error)  # to standard error, whose last lines the parent keeps
    return failure


def _depend_on(parent: int) -> None:
    """End with the parent, and by nothing else: a signal to all processes of a run is for the parent to heed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the process that started the decoder has ended")


def _limit(memory_bytes: int) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    least = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
    resource.setrlimit(resource.RLIMIT_DATA, (least, least))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main(sys.argv[1:])
