"""Which kernel serves on which GPU: told by the tables, no GPU is asked."""

import mytensor_backend as backend
import pytest

import mytensor as mt

OPS = [op for op in backend.ops_with_kernels() if backend.kernels(op, "simt")]
NEEDS_8_0 = {("matmul", "tensor_core_tf32"), ("matmul", "tensor_core_bf16"), ("conv2d", "tensor_core")}


def test_all_but_the_tensor_cores_rungs_run_on_every_gpu():
    for op in OPS:
        for row in backend.kernels(op, "simt"):
            wanted = (8, 0) if (op, row["name"]) in NEEDS_8_0 else (7, 5)
            assert row["oldest_gpu"] == wanted, (op, row["name"])


@pytest.mark.parametrize("capability", [(7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (10, 0)])
def test_the_default_serves_on_every_gpu(capability):
    for op in OPS:
        assert backend.kernel_for(op, capability, "simt") == backend.kernels(op, "simt")[0]["name"]


def test_a_rung_that_needs_a_newer_gpu_is_refused_by_name():
    for op, rung in NEEDS_8_0:
        with mt.use_kernel(op, rung):
            assert backend.kernel_for(op, (8, 0), "simt") == rung
            with pytest.raises(
                NotImplementedError,
                match=f"{op}: the kernel '{rung}' needs a GPU of compute capability 8.0 or newer, and this one has 7.5",
            ):
                backend.kernel_for(op, (7, 5), "simt")
    with pytest.raises(NotImplementedError, match=r"relu has no kernel on device simt for compute capability 7\.0"):
        backend.kernel_for("relu", (7, 0), "simt")


def test_the_default_falls_back_to_the_first_that_runs():
    kernels = [("newest", 90), ("oldest", 75), ("newer", 80)]
    serving = {capability: backend._kernel_of_list(kernels, "", capability) for capability in (75, 80, 89, 90, 100)}
    assert serving == {75: "oldest", 80: "oldest", 89: "oldest", 90: "newest", 100: "newest"}
    # What is selected serves, whatever stands before it; a name that is another device's leaves the default.
    assert backend._kernel_of_list(kernels, "newer", 86) == "newer"
    assert backend._kernel_of_list(kernels, "im2col_naive", 86) == "oldest"
    with pytest.raises(NotImplementedError, match=r"'newer' needs a GPU of compute capability 8\.0"):
        backend._kernel_of_list(kernels, "newer", 75)
    with pytest.raises(NotImplementedError, match=r"no kernel on device cuda for compute capability 7\.0"):
        backend._kernel_of_list(kernels, "", 70)
