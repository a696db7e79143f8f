"""The devices that the tests of the Python around the kernels run on: all that are here."""

import mytensor_backend as backend


def _is_here(device: str) -> bool:
    try:
        backend.full((1,), 0.0, backend.float32, device)
    except (NotImplementedError, RuntimeError, ValueError):
        return False
    return True


DEVICES = [device for device in ("cpu", "simt", "cuda") if _is_here(device)]
