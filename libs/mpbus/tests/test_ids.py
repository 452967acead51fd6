"""Fresh ids never repeat: not in one process, not in its threads, not in what it forks."""

import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from mpbus.ids import new_command_id

IDS = 20_000
FORK = """
import os
from mpbus.ids import new_command_id
print(new_command_id(), flush=True)  # Randomness for more of them is there now.
if child := os.fork():
    os.waitpid(child, 0)  # One after the other: their lines must not meet.
print(*(new_command_id() for _ in range(3)), sep="\\n", flush=True)
"""


def test_ids_sort_by_their_time() -> None:
    made = [new_command_id() for _ in range(IDS)]
    times = [one[:13] for one in made]
    assert times == sorted(times)


def test_an_id_is_a_uuid7_of_the_time_it_was_made_at() -> None:
    before = time.time_ns() // 1_000_000
    made = [uuid.UUID(new_command_id()) for _ in range(IDS)]
    after = time.time_ns() // 1_000_000
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}
    assert all(before <= one.int >> 80 <= after for one in made)


def test_ids_made_in_several_threads_are_all_different() -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: new_command_id(), range(IDS)))
    assert len(set(made)) == IDS


def test_a_forked_process_does_not_repeat_its_parents_ids() -> None:
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True)
    random_parts = [line[14:] for line in run.stdout.split()]
    assert len(set(random_parts)) == len(random_parts) == 7
