"""Streams and events.

A stream is a queue of work for the GPU: kernels and copies of one stream run one after the other, those of two streams
may run at the same time. An event is a mark in a stream: it has happened when all work before it is done.

Each Python thread has a current stream, on which all its ops run; at first it is the default stream. Arrays may be used
on any stream, but nobody orders two streams unasked: where one reads what the other writes, let it wait
(`wait_stream`, `wait_event`). An array's memory is looked after: freed while another stream still uses it, it is not
given to anybody else before that use is over.
"""

from __future__ import annotations

import mytensor_backend as backend


class Stream:
    """A queue of work on the GPU.

    priority: -1 goes before 0 where the GPU has to choose.

    Streams come from a pool of 32 for each priority and live as long as the process: a 33rd Stream is the first one
    again. NotImplementedError: no GPU.
    """

    def __init__(self, priority: int = 0):
        self.cuda_stream: int = backend.cuda_new_stream(priority)  # CUDA's handle; 0: the default stream

    @classmethod
    def _of(cls, handle: int) -> Stream:
        made = Stream.__new__(cls)
        made.cuda_stream = handle
        return made

    def synchronize(self) -> None:
        """Waits until all work of this stream is done. CudaError: some of it failed."""
        backend.cuda_stream_synchronize(self.cuda_stream)

    def query(self) -> bool:
        """Whether all work of this stream is done; does not wait."""
        return backend.cuda_stream_query(self.cuda_stream)

    def wait_event(self, event: Event) -> None:
        """What this stream is given from here on waits for the event. An event never recorded is no hindrance."""
        event.wait(self)

    def wait_stream(self, stream: Stream) -> None:
        """What this stream is given from here on waits for all that `stream` has been given up to now."""
        self.wait_event(stream.record_event())

    def record_event(self, event: Event | None = None) -> Event:
        """Marks this point of the stream by an event (a new one, unless one is given), and returns it."""
        event = Event() if event is None else event
        event.record(self)
        return event

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.cuda_stream == self.cuda_stream

    def __hash__(self) -> int:
        return hash((Stream, self.cuda_stream))

    def __repr__(self) -> str:
        return f"<mytensor.cuda.Stream cuda_stream={self.cuda_stream:#x}>"


class ExternalStream(Stream):
    """A stream that another library made, by its handle: torch's `stream.cuda_stream`. It must outlive this object and
    all arrays that were used on it."""

    def __init__(self, stream_ptr: int):
        self.cuda_stream = int(stream_ptr)


class Event:
    """A mark in a stream.

    enable_timing: whether `elapsed_time` can be asked; recording then costs a little more.
    blocking: whether `synchronize` lets the processor do something else while it waits, instead of asking on and on.

    NotImplementedError: no GPU.
    """

    def __init__(self, enable_timing: bool = False, blocking: bool = False):
        self._event = backend.CudaEvent(enable_timing, blocking)

    def record(self, stream: Stream | None = None) -> None:
        """Marks this point of a stream, the current one unless another is given. Recorded again, the event forgets its
        first place."""
        self._event.record(_handle(stream))

    def wait(self, stream: Stream | None = None) -> None:
        """What the stream (the current one unless another is given) gets from here on waits for the event."""
        self._event.wait(_handle(stream))

    def query(self) -> bool:
        """Whether the work before the mark is done; True if it was never recorded. Does not wait."""
        return self._event.query()

    def synchronize(self) -> None:
        """Waits until the work before the mark is done."""
        self._event.synchronize()

    def elapsed_time(self, end_event: Event) -> float:
        """Milliseconds on the GPU between this mark and a later one. ValueError: one of the two was not recorded, or
        made without enable_timing. RuntimeError: one has not happened yet; synchronize first."""
        return self._event.elapsed_time(end_event._event)

    def __repr__(self) -> str:
        return f"<mytensor.cuda.Event {self._event.state()}>"


class StreamContext:
    """`with mt.cuda.stream(s):` makes `s` this thread's current stream inside the block. None changes nothing."""

    def __init__(self, stream: Stream | None):
        self.stream = stream
        self._previous: list[int] = []  # a stack: one object may be entered again inside its own block

    def __enter__(self) -> None:
        self._previous.append(backend.cuda_current_stream())
        if self.stream is not None:
            set_stream(self.stream)

    def __exit__(self, *exception) -> None:
        backend.cuda_set_stream(self._previous.pop())


def stream(stream: Stream | None) -> StreamContext:
    """Makes a stream the current one inside a with-block."""
    return StreamContext(stream)


def set_stream(stream: Stream) -> None:
    """Makes a stream this thread's current one from here on; prefer `with mt.cuda.stream(s)`."""
    backend.cuda_set_stream(stream.cuda_stream)


def current_stream() -> Stream:
    """The stream on which this thread's ops run."""
    return Stream._of(backend.cuda_current_stream())


def default_stream() -> Stream:
    """The stream on which everything runs where nobody chose another: CUDA's default stream, as in torch."""
    return Stream._of(0)


def _handle(stream: Stream | None) -> int:
    return backend.cuda_current_stream() if stream is None else stream.cuda_stream
