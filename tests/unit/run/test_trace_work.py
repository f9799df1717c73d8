"""A run of trace: how it ends, by itself, by an error, and by Ctrl-C once and twice."""

from __future__ import annotations

import _thread
from collections.abc import Callable

from mailprov.errors import InputError
from mailprov.model.events import Emit, Error, Event, Notice, RunEnded, RunStarted
from mailprov.run.event_queue import EventQueue
from mailprov.run.trace_work import Work, run_work
from tests.unit.run.scripted import inventory


class Scripted(Work):
    def __init__(self, events: EventQueue, does: Callable[[], tuple[int, str]], ctrl_c: int = 0) -> None:
        super().__init__(events)
        self._does, self._ctrl_c = does, ctrl_c

    def work(self) -> tuple[int, str]:
        if self._ctrl_c:
            _thread.interrupt_main()
            self.stop.wait()
        return self._does()

    def interrupted(self, emit: Emit) -> None:
        emit(Notice("trace", "put right"))
        if self._ctrl_c > 1:
            raise KeyboardInterrupt


def told(does: Callable[[], tuple[int, str]], ctrl_c: int = 0) -> tuple[int, list[Event]]:
    events: list[Event] = []
    code = run_work(inventory("mx1"), events.append, lambda queue: Scripted(queue, does, ctrl_c))
    assert isinstance(events[0], RunStarted)
    assert isinstance(events[-1], RunEnded)
    assert events[-1].exit_code == code
    return code, events


def raised(error: Exception) -> Callable[[], tuple[int, str]]:
    def does() -> tuple[int, str]:
        raise error

    return does


def test_it_ends_as_its_work_does() -> None:
    assert told(lambda: (1, "not there"))[0] == 1
    code, events = told(raised(InputError("mx1", "it is no host", "look")))
    assert (code, [each.what for each in events if isinstance(each, Error)]) == (2, ["it is no host"])
    code, events = told(raised(ValueError("x")))
    assert code == 1
    assert any(isinstance(each, Error) for each in events)


def test_ctrl_c_stops_it_and_puts_right_what_is_to_be_put_right_also_where_it_comes_twice() -> None:
    for times in (1, 2):
        code, events = told(lambda: (0, ""), ctrl_c=times)
        assert code == 130
        assert [each.text for each in events if isinstance(each, Notice)] == ["put right"]
