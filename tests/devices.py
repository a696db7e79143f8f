"""The devices that are here: the CPU, the emulator, and a GPU where there is one."""

import mytensor_backend as backend


def _is_here(device: str) -> bool:
    if device == "simt":
        return not backend.simt_problem()
    try:
        backend.full((1,), 0.0, backend.float32, device)
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return True


DEVICES = [device for device in ("cpu", "simt", "cuda") if _is_here(device)]
