"""Messages that a subscription saw are on their way until they arrive, in whatever order both happen."""

from mpkernel.hearing import Hearing
from mpkernel.ports import CommandMessage


def message(data: bytes, position: int = 1) -> CommandMessage:
    return CommandMessage(position, "replies", data)


def test_each_message_is_told_once_in_the_order_of_hearing() -> None:
    hearing = Hearing()
    hearing.hear("replies", b"a")
    hearing.hear("replies", b"b")
    assert [hearing.next(7), hearing.next(8), hearing.next(9)] == [message(b"a", 7), message(b"b", 8), None]


def test_what_arrived_is_not_told() -> None:
    hearing = Hearing()
    for data in (b"a", b"b"):
        hearing.hear("replies", data)
    hearing.arrived(message(b"a"))
    assert hearing.next(2) == message(b"b", 2)


def test_what_is_heard_after_it_arrived_is_not_told() -> None:
    hearing = Hearing()
    hearing.arrived(message(b"a"))
    hearing.hear("replies", b"a")
    assert hearing.next(2) is None
    hearing.hear("replies", b"a")
    assert hearing.next(2) == message(b"a", 2), "the same was sent again"


def test_what_was_told_and_arrived_is_forgotten() -> None:
    hearing = Hearing()
    hearing.hear("replies", b"a")
    told = hearing.next(1)
    assert told is not None
    hearing.arrived(told)
    hearing.hear("replies", b"a")
    assert hearing.next(2) == message(b"a", 2)


def test_who_waits_for_the_answer_is_part_of_a_message() -> None:
    hearing = Hearing()
    hearing.hear("another", b"a")
    hearing.arrived(message(b"a"))
    assert hearing.next(2) == CommandMessage(2, "another", b"a")


def test_what_services_send_takes_no_place_of_what_gateways_send() -> None:
    hearing = Hearing()
    hearing.arrived(message(b"a"))
    for position in range(2, 12):
        hearing.arrived(CommandMessage(position, "", b"parked", "system:webhooks:main"))
    hearing.hear("replies", b"a")
    assert hearing.next(12) is None
