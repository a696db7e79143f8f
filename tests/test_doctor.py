"""The doctor says what is there and what is not, and its exit status can be relied on."""

import sys

import pytest

from mytensor import doctor
from mytensor.__main__ import main
from mytensor.data import cifar10_files
from mytensor.lab import record


@pytest.fixture(autouse=True)
def no_data(monkeypatch, tmp_path):
    monkeypatch.delenv("MYTENSOR_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cifar10_files, "_repository", lambda: None)


def values(findings, name):
    return [finding for finding in findings if finding.name == name]


def test_the_report_has_everything():
    findings = doctor.examine()
    names = {finding.name for finding in findings}
    assert names >= {
        "mytensor",
        "python",
        "numpy",
        "torch",
        "torchvision",
        "jupyterlab",
        "sources",
        "memory",
        "cpu",
        "cuda",
    }
    assert {finding.section for finding in findings} >= {"Software", "Compiled backend", "Devices", "Data"}
    text = doctor.report(findings)
    for finding in findings:
        assert finding.value in text
    assert values(findings, "CIFAR-10")[0].state == "off"


def test_a_missing_optional_package_is_off_a_needed_one_wrong(monkeypatch):
    real = doctor.importlib.metadata.version

    def version(name):
        if name in ("torch", "tqdm"):
            raise doctor.importlib.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    findings = doctor.examine()
    assert values(findings, "torch")[0].state == "off" and "no comparison" in values(findings, "torch")[0].value
    assert values(findings, "tqdm")[0].state == "wrong" and "pip install tqdm" in values(findings, "tqdm")[0].value
    assert not doctor.usable(findings)
    assert main(["doctor"]) == 1


def test_a_stale_backend_is_wrong(monkeypatch):
    monkeypatch.setattr(doctor, "stale_message", lambda built, folder: "the compiled backend is stale: rebuild it")
    findings = doctor.examine()
    assert values(findings, "sources")[0].state == "wrong" and not doctor.usable(findings)


def test_a_sound_machine_is_usable(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "stale_message", lambda built, folder: None)
    assert main(["doctor"]) == 0
    assert "Everything that is needed works." in capsys.readouterr().out


def test_damaged_data_are_wrong(tmp_path, capsys):
    (tmp_path / "test_batch").write_bytes(b"not a pickle")
    findings = doctor.examine(tmp_path)
    assert values(findings, "CIFAR-10")[0].state == "wrong"


def test_cuda_is_explained(monkeypatch):
    without = {
        "built": False,
        "runtime_version": None,
        "driver_version": None,
        "gpus": [],
        "problem": "built without CUDA",
    }
    monkeypatch.setattr(doctor.backend, "cuda_info", lambda: without)
    monkeypatch.setattr(doctor, "nvidia_driver", lambda: None)
    assert "built without CUDA" in values(doctor.examine(), "cuda")[0].value
    monkeypatch.setattr(doctor, "nvidia_driver", lambda: "570.1")
    assert "driver 570.1 is here" in values(doctor.examine(), "cuda")[0].value

    no_driver = {"built": True, "runtime_version": "13.0", "driver_version": None, "gpus": [], "problem": "no driver"}
    monkeypatch.setattr(doctor.backend, "cuda_info", lambda: no_driver)
    assert "no driver" in values(doctor.examine(), "cuda")[0].value

    gpu = {"name": "GPU X", "compute_capability": (9, 0), "total_memory": 80 * 2**30}
    monkeypatch.setattr(
        doctor.backend, "cuda_info", lambda: no_driver | {"driver_version": "13.0", "gpus": [gpu], "problem": None}
    )
    assert "GPU X (sm_90, 80 GiB)" in values(doctor.examine(), "cuda")[0].value

    problem = "no kernels for this GPU: GPU X has compute capability 9.0, and mytensor was built for 100"
    monkeypatch.setattr(
        doctor.backend, "cuda_info", lambda: no_driver | {"driver_version": "13.0", "gpus": [gpu], "problem": problem}
    )
    (found,) = values(doctor.examine(), "cuda")
    assert found.state == "off" and problem in found.value and "GPU X (sm_90, 80 GiB)" in found.value


def test_facts(monkeypatch):
    found = doctor.versions()
    assert found["python"] == sys.version.split()[0] and found["numpy"]
    assert doctor.cpu_model()
    commit = record.git_commit()
    assert commit is None or len(commit.removesuffix("+changes")) == 12
