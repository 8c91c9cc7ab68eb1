"""Counting what a session wrote, while it does what it can against being counted."""

import os
import threading
from pathlib import Path

from heddle.adapters.workspaces.measure import DEEPEST, measure
from heddle.core.extent import Extent

ALL = Extent(10**12, 10**9)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_links_lead_nowhere_and_holes_take_no_room(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    for number in range(50):
        (tmp_path / "victim" / str(number)).write_text("x")
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "folder").symlink_to(tmp_path / "victim")
    (layer / "loop").symlink_to(layer)
    with (layer / "hole").open("wb") as file:
        file.truncate(10**12)
    os.mkfifo(layer / "pipe")
    told = measure([layer], ALL)
    assert told.files == 4
    assert told.bytes < 100_000
    assert measure([layer / "folder", tmp_path / "missing"], ALL) == Extent(0, 0)


def test_several_names_of_a_file_take_its_room_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(os.urandom(400_000))
    alone = measure([tmp_path], ALL)
    for number in range(99):
        os.link(tmp_path / "one", tmp_path / f"again-{number}")
    told = measure([tmp_path], ALL)
    assert told.files == 100
    assert abs(told.bytes - alone.bytes) < 4096


def test_a_walk_ends_with_enough_and_leaves_no_descriptor(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(20):
            (tmp_path / str(folder) / str(number)).write_text("x")
    before = descriptors()
    assert measure([tmp_path], ALL).files == 420
    assert measure([tmp_path], Extent(10**12, 30)).files == 31
    assert measure([tmp_path, tmp_path], Extent(0, 10**9)).files == 1
    assert descriptors() == before


def test_depth_costs_no_more_than_its_bound(tmp_path: Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(3 * DEEPEST):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    before = descriptors()
    assert measure([tmp_path], ALL).files == DEEPEST + 1
    assert descriptors() == before


def test_folders_without_rights_and_ones_that_come_and_go_fail_nothing(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o000)
    done = threading.Event()

    def churn() -> None:
        while not done.is_set():
            inner = tmp_path / "here" / "deeper"
            inner.mkdir(parents=True)
            (inner / "file").write_text("x")
            (inner / "file").unlink()
            inner.rmdir()
            inner.parent.rmdir()
            (tmp_path / "here").symlink_to("/")
            (tmp_path / "here").unlink()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        told = [measure([tmp_path], ALL).files for _ in range(300)]
    finally:
        done.set()
        thread.join()
    assert set(told) <= {1, 2, 3, 4}
