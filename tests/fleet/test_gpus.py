"""Which GPUs there are, by what the kernel and CUDA's variable say, and what a worker is told."""

from pathlib import Path

import pytest

from podium.fleet.workers.gpus import GpuBook, visible_gpus


def machine(root: Path, nodes: list[str], listed: int | None) -> Path:
    (root / "dev").mkdir()
    for name in nodes:
        (root / "dev" / name).touch()
    if listed is not None:
        for number in range(listed):
            (root / f"proc/driver/nvidia/gpus/0000:0{number}:00.0").mkdir(parents=True)
    return root


@pytest.mark.parametrize(
    ("nodes", "listed", "names"),
    [
        ([], None, ()),
        (["nvidiactl", "nvidia-uvm", "nvidia0"], None, ("0",)),
        (["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia3"], 2, ("0", "1")),
        (["nvidia3"], 8, ("0",)),  # a container that was given one of eight
        ([], 8, ()),  # and one that was given none
    ],
)
def test_gpus_are_counted_as_cuda_numbers_them(tmp_path: Path, nodes: list[str], listed: int | None, names: object) -> None:
    assert visible_gpus({}, machine(tmp_path, nodes, listed)) == names


@pytest.mark.parametrize(
    ("said", "names"),
    [
        ("", ()),
        ("-1", ()),
        ("2", ("2",)),
        ("3, 1", ("3", "1")),
        ("0,-1,1", ("0",)),
        ("GPU-8932f937-d72c,MIG-GPU-1/2/0", ("GPU-8932f937-d72c", "MIG-GPU-1/2/0")),
        ("0;rm -rf /,1", ()),
    ],
)
def test_the_variable_says_which_there_are(tmp_path: Path, said: str, names: object) -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": said}, machine(tmp_path, ["nvidia0"], 1)) == names


def test_each_worker_sees_one_gpu_and_leaves_it_to_the_next() -> None:
    book = GpuBook(("3", "1"))

    shown = [book.environ(book.take(replica, "auto"))["CUDA_VISIBLE_DEVICES"] for replica in (1, 2, 3)]
    book.give_back(2)
    assert [*shown, book.environ(book.take(4, "cuda"))["CUDA_VISIBLE_DEVICES"]] == ["3", "1", "3", "1"]


def test_a_worker_on_the_cpu_sees_none_and_a_machine_without_gpus_says_nothing() -> None:
    book, bare = GpuBook(("0",)), GpuBook(())

    assert book.environ(book.take(1, "cpu")) == {"CUDA_VISIBLE_DEVICES": ""}
    assert bare.environ(bare.take(1, "cpu")) == bare.environ(bare.take(2, "auto")) == {}


def test_mlflows_variable_has_its_say_where_the_setting_is_auto() -> None:
    book = GpuBook(("0", "1", "2"), preferred="cuda:2")

    shown = [book.environ(book.take(replica, device)) for replica, device in enumerate(("auto", "auto", "cuda"))]
    assert [each["CUDA_VISIBLE_DEVICES"] for each in shown] == ["2", "2", "0"]
    assert book.take(9, "auto").device == "auto"
